// The scheduler as its owner (cli, tests) sees it: store, engine and HTTP API on one loop. Not the brain: decisions are
// made in scheduler/core. Everything here is called on the loop's thread; the store has a thread of its own inside.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/address.h"
#include "net/loop.h"
#include "scheduler/core/core.h"
#include "scheduler/server/dns_service.h"

namespace lotse::scheduler {

struct SchedulerOptions {
  std::string listen = "127.0.0.1:8080";          // the API starts containers: it must not be open by accident
  std::string data = "/var/lib/lotse/scheduler";  // made when absent; locked by flock while we run
  std::string version = "0.1.0";                  // of Lotse, for /v1/status; /v2/info answers Marathon's
  // "host:port" in X-Marathon-Leader and /v2/leader; empty: the bound address, with the host name for a wildcard.
  std::string advertise;
  DnsOptions dns;
  Settings settings;  // of the core: leases, deadlines, quarantine
};

class Scheduler {
 public:
  Scheduler(net::Loop& loop, SchedulerOptions options);
  ~Scheduler();  // stop()s
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Opens the data directory, restores what was acknowledged, then listens. The bound address. Once.
  Result<net::Address, Problem> start();

  net::Address dns_address() const;  // empty: no DNS

  // Closes every connection and waits until what was queued is on disk. Tasks go on running.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::scheduler

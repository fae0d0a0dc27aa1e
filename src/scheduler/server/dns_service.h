// DNS as part of the scheduler: the names, the server that tells them, and what both count. Follows the engine's output
// as the route streams do. Owned by Scheduler; loop thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "dns/server.h"
#include "net/address.h"
#include "net/loop.h"
#include "scheduler/server/dns_names.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

struct DnsOptions {
  std::string listen;  // "127.0.0.1:8053"; empty: no DNS
  std::string domain = "mesos";
  Duration ttl = std::chrono::seconds(5);
  dns::ServerOptions server;
};

class DnsService {
 public:
  // `api`: the address of the scheduler's API.
  static Result<std::unique_ptr<DnsService>, Problem> open(net::Loop& loop, Engine& engine, const DnsOptions& options,
                                                           const net::Address& api);

  void reset();  // the State was built again, or the core may have missed that we followed
  void publish(const model::RouteUpdate& update);

  net::Address address() const { return server_->address(); }
  std::size_t names() const { return names_.names(); }
  const dns::Server& server() const { return *server_; }

 private:
  DnsService(Engine& engine, DnsNamesOptions options) : engine_(engine), names_(engine.state(), std::move(options)) {}

  Engine& engine_;
  DnsNames names_;
  std::unique_ptr<dns::Server> server_;
};

}  // namespace lotse::scheduler

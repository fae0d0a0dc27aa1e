// Active health (apps.*.health): checks every endpoint of the apps that ask for it, at its interval, and marks in the
// EndpointRegistry who has come up or gone down. At most limits.health_checks_max checks are under way; the rest wait
// their turn. Opens no connection itself (HealthProbe does) and touches no worker: a verdict is a change of a set like
// any other. Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "http/client.h"
#include "net/timers.h"
#include "proxy/endpoint_registry.h"
#include "proxy/health_probe.h"

namespace lotse::proxy {

class HealthChecker {
 public:
  // `on_verdict`: an app was marked in the registry. A pending one that has left that state is told the same way.
  HealthChecker(net::Loop& loop, EndpointRegistry& registry, Random random, std::function<void()> on_verdict);
  ~HealthChecker();

  void on_change(const RoutingUpdate& update);  // endpoints that are new, changed or gone
  void on_config(std::size_t checks_max);       // the registry has a new one
  void stop();

  std::vector<model::TaskId> pending_tasks() const;                               // each once
  bool take_pending_changed() { return std::exchange(pending_changed_, false); }  // some are no longer
  struct Counts {
    std::uint64_t passed = 0, failed = 0, delayed = 0;  // delayed: had to wait for others to end
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Entry {
    std::shared_ptr<EndpointRecord> record;
    HealthCheck check;
    std::unique_ptr<net::Timer> next;
    std::unique_ptr<HealthProbe> probe;
    bool is_queued = false;
  };
  void watch(const std::shared_ptr<EndpointRecord>& record);
  void forget(const EndpointRecord& record);
  void begin(Entry& entry);
  void finish(Entry& entry, std::string problem);
  void judge(Entry& entry, std::string problem);
  void set(EndpointRecord& record, ActiveHealth::Verdict verdict);
  void begin_queued();
  Duration interval_of(const Entry& entry);

  net::Loop& loop_;
  EndpointRegistry& registry_;
  Random random_;
  std::function<void()> on_verdict_;
  http::Client client_;
  std::unordered_map<const EndpointRecord*, std::unique_ptr<Entry>> entries_;
  std::unordered_set<const EndpointRecord*> pending_;
  bool pending_changed_ = false;
  std::deque<const EndpointRecord*> queue_;  // may name some that have gone
  std::size_t checks_max_ = 1, under_way_ = 0;
  Counts counts_;
};

}  // namespace lotse::proxy

// Watches one running task: its health checks, its readiness check, and whether its ports accept connections. Turns
// all of it into the TaskHealth that is reported (docs/decisions/0002-ready-before-traffic.md says what "ready" means).
// Owned by the task's driver as long as the task runs; one loop thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/health_state.h"
#include "agent/prober.h"
#include "agent/runtime.h"
#include "net/loop.h"

namespace lotse::agent {

class HealthMonitor {
 public:
  struct Subject {
    model::LaunchTask launch;
    std::string container_ip, host;
    Instant running_since;
    model::TaskHealth known;  // what an earlier life of the agent reported; its task is empty when there is none
  };
  // `on_changed` comes from a watcher of ours: it must not destroy the monitor.
  HealthMonitor(net::Loop& loop, Prober& prober, Runtime& runtime, Subject subject, std::function<void()> on_changed);
  HealthMonitor(const HealthMonitor&) = delete;
  void start();
  model::TaskHealth health() const;

 private:
  Async<Unit> watch_check(std::size_t index);
  Async<ProbeResult> probe(std::size_t index);
  Async<Unit> watch_ports();
  Async<Unit> watch_readiness();

  net::Loop& loop_;
  Prober& prober_;
  Runtime& runtime_;
  Subject subject_;
  std::function<void()> on_changed_;
  std::vector<HealthState> states_;
  std::vector<ProbeTarget> targets_;  // of the checks, same index
  bool ports_accept_ = false;
  std::optional<bool> readiness_passed_;
  std::vector<Async<Unit>> watchers_;
};

}  // namespace lotse::agent

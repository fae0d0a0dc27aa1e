// What must never be, looked at after every step and at every command that leaves the scheduler; and what must be once
// the faults have stopped.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/fake_agent.h"
#include "tests/simulation/fake_proxy.h"

namespace lotse::simulation {

class Checks : public Shell::Watcher {
 public:
  Checks(const Timeline& timeline, const Shell& shell, const std::vector<std::unique_ptr<FakeAgent>>& agents,
         const std::vector<std::unique_ptr<FakeProxy>>& proxies)
      : timeline_(timeline), shell_(shell), agents_(agents), proxies_(proxies) {}

  void on_command(const scheduler::Command& command) override;
  void on_step() override;
  // Empty: everything is as the definitions say. Else what is not.
  std::string unsettled() const;
  const std::string& violation() const { return violation_; }  // the first; empty: none
  // In a world where nothing dies by itself: whatever a live proxy may pick, runs.
  void check_nothing_routed_is_dead();

 private:
  struct Use {
    model::AppId app;
    std::vector<std::pair<std::string, int>> addresses;  // host, port
  };
  void violated(const std::string& what);
  void check_kill(const model::TaskId& task);
  void check_success(const std::string& plan);
  void check_launch(const model::AgentId& agent, const model::LaunchTask& launch);
  void check_books();
  void check_machines();
  void check_records();
  void note_releases();

  const Timeline& timeline_;
  const Shell& shell_;
  const std::vector<std::unique_ptr<FakeAgent>>& agents_;
  const std::vector<std::unique_ptr<FakeProxy>>& proxies_;
  std::string violation_;
  std::map<model::TaskId, Instant> draining_since_;  // published as draining, first in this epoch
  std::uint64_t epoch_ = 0;
  Instant epoch_start_{};
  std::map<model::TaskId, Use> uses_;
  std::map<std::pair<std::string, int>, std::pair<model::AppId, Instant>> released_;
  int steps_ = 0;
};

}  // namespace lotse::simulation

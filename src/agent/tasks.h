// All tasks of this agent: takes launches and kills, finds again what an earlier life left, forgets what is long over.
// Owned by the agent; one loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/docker_answers.h"
#include "agent/task_driver.h"
#include "net/timers.h"

namespace lotse::agent {

class Tasks {
 public:
  static constexpr std::size_t kAliveMax = 4096;  // launches beyond fail with a sentence
  static constexpr std::size_t kOverMax = 256;    // ended tasks whose last words and sandboxes are kept
  static constexpr Duration kOverKept = std::chrono::minutes(10);

  struct Policy {
    // Which runtime takes this app; the Problem is why none can.
    std::function<Result<RuntimeKind, Problem>(const model::App&)> choose_runtime;
    std::function<bool()> is_listed;  // every container of ours is known: an unknown task is unknown for certain
    std::function<bool(const model::TaskId&)> has_unacknowledged;
    std::function<bool()> is_short_of_disk;  // then sandboxes of ended tasks go at once
    // A status of a task we have no record of.
    std::function<void(const model::TaskId&, model::TaskState, const std::string& message)> on_stray_status;
  };
  Tasks(DriverContext context, Policy policy);

  void load();  // at start: drivers for every record; they look when their runtime answers
  void launch(const model::LaunchTask& launch);
  void kill(const model::KillTask& kill);
  void on_runtime_news(const model::TaskId& task);
  void on_containers(const std::vector<ListedContainer>& containers);  // the whole list of ours
  void kill_all();

  const TaskDriver* find(const model::TaskId& task) const;
  std::vector<model::AgentRegistration::KnownTask> alive() const;
  std::size_t left_to_clean() const;  // not alive and not removed yet count as well
  bool has_docker_records() const;
  const std::map<model::TaskId, std::unique_ptr<TaskDriver>>& all() const { return drivers_; }

 private:
  TaskDriver& add(TaskRecord record, Observation seen);
  void adopt(const ListedContainer& container);
  void report_again_if_told(const TaskDriver& driver);
  void answer_waiting_kills();
  void forget_old();

  DriverContext context_;
  Policy policy_;
  std::map<model::TaskId, std::unique_ptr<TaskDriver>> drivers_;
  std::set<model::TaskId> waiting_kills_;  // of unknown tasks, until the first listing is complete
  net::Timer forget_timer_;
};

}  // namespace lotse::agent

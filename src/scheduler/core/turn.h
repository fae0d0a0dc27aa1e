// One step of the core while it is being taken: the state, the time, what goes out, which records have changed and what
// must still be looked at. Lives for one call of step(); the files of this folder hand it around.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "scheduler/core/commands.h"
#include "scheduler/core/events.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

struct Turn {
  State& state;
  const Now now;
  Random& random;
  std::vector<Command> out;  // all but records and WakeAt

  // Records to write or, where the thing is gone by the end of the step, to erase.
  std::set<model::AppId> changed_apps, changed_backoffs;
  std::set<model::TaskId> changed_tasks, changed_health;
  std::set<model::AgentId> changed_agents;
  std::set<std::string> changed_deployments;
  std::map<std::string, std::optional<std::string>> records;  // by key, whole; nullopt: erase
  std::map<std::string, std::string> unsynced_records;        // nothing waits for these

  // What settle() still has to look at.
  std::set<model::AppId> apps;                     // wanted against actual
  std::set<std::string> deployments;               // may have got further
  std::map<model::TaskId, model::GoneWhy> routes;  // endpoints may have changed; why, should they be gone
  std::set<model::AgentId> freed;                  // may have room for who waits
  bool proxies_changed = false;                    // leases or reports: both halves of the barrier
  bool drains_due = false;                         // a task began to drain, or a deadline is over

  void reply(Token token, Answer answer) {
    if (token != 0) out.emplace_back(Reply{token, std::move(answer)});
  }
  void refuse(Token token, int status, std::string message) {
    reply(token, model::ApiError{.status = status, .message = std::move(message)});
  }
  void send(const model::AgentId& agent, model::AgentCommand command);  // adds term and cluster

  // Later than every version before, whatever the wall clock does.
  model::Version next_version();
};

// The records and WakeAt, at the end of a step.
std::vector<Command> finish(Turn&& turn);

}  // namespace lotse::scheduler

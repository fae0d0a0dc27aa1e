#include "model/task.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace lotse::model {
namespace {

struct StateNames {
  TaskState state;
  std::string_view ours, marathon;
};
constexpr std::array kStates{
    StateNames{TaskState::staging, "staging", "TASK_STAGING"},
    StateNames{TaskState::starting, "starting", "TASK_STARTING"},
    StateNames{TaskState::running, "running", "TASK_RUNNING"},
    StateNames{TaskState::killing, "killing", "TASK_KILLING"},
    StateNames{TaskState::unreachable, "unreachable", "TASK_UNREACHABLE"},
    StateNames{TaskState::finished, "finished", "TASK_FINISHED"},
    StateNames{TaskState::failed, "failed", "TASK_FAILED"},
    StateNames{TaskState::killed, "killed", "TASK_KILLED"},
    StateNames{TaskState::lost, "lost", "TASK_LOST"},
};

const StateNames& names_of(TaskState state) { return kStates[static_cast<std::size_t>(state)]; }

nlohmann::json time_or_null(const std::string& time) { return time.empty() ? nlohmann::json() : nlohmann::json(time); }

}  // namespace

bool is_terminal(TaskState state) { return state >= TaskState::finished; }
std::string_view to_marathon(TaskState state) { return names_of(state).marathon; }
std::string_view to_string(TaskState state) { return names_of(state).ours; }

std::optional<TaskState> task_state_from(std::string_view text) {
  for (const StateNames& names : kStates) {
    if (text == names.ours || text == names.marathon) return names.state;
  }
  return std::nullopt;
}

nlohmann::json to_json(const HealthResult& result, std::string_view instance_id) {
  return {{"alive", result.alive},
          {"consecutiveFailures", result.consecutive_failures},
          {"firstSuccess", time_or_null(result.first_success)},
          {"lastSuccess", time_or_null(result.last_success)},
          {"lastFailure", time_or_null(result.last_failure)},
          {"lastFailureCause", time_or_null(result.last_failure_cause)},
          {"instanceId", std::string(instance_id)}};
}

}  // namespace lotse::model

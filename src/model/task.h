// One running instance of an app, as the scheduler records it and the API shows it. Values and JSON only.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/app.h"

namespace lotse::model {

using TaskId = std::string;
using AgentId = std::string;

// What the agent observed. Terminal: from `finished` on.
enum class TaskState : std::uint8_t {
  staging,   // launch accepted by the scheduler, not yet confirmed by the agent
  starting,  // the agent is pulling, creating, starting
  running,
  killing,      // the agent was asked to stop it
  unreachable,  // its agent is lost; may come back
  finished,     // exit code 0
  failed,       // exit code other than 0, or could not start: `message` has Docker's words
  killed,       // ended because we asked
  lost,         // expunged, or its container vanished
};
bool is_terminal(TaskState state);
std::string_view to_marathon(TaskState state);  // TASK_RUNNING, ...
std::string_view to_string(TaskState state);    // running, ...
std::optional<TaskState> task_state_from(std::string_view text);

// The result of one health check of the app (same index as App::health_checks), times from the agent's wall clock.
struct HealthResult {
  bool alive = false;
  int consecutive_failures = 0;
  std::string first_success, last_success, last_failure;  // timestamps; empty: never
  std::string last_failure_cause;
  bool operator==(const HealthResult&) const = default;
};
// The last answer to a task's readiness check.
struct ReadinessResult {
  int status = 0;                  // of HTTP; 0: no answer
  std::string content_type, body;  // with preserveLastResponse; the body's beginning
  bool operator==(const ReadinessResult&) const = default;
};
nlohmann::json to_json(const HealthResult& result, std::string_view instance_id);

}  // namespace lotse::model

// Following a deployment to its end, with progress for people on standard error, and why it failed: the words of the
// scheduler and of Docker, and the last lines of the task that did it. Used by every command with --wait.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/api_client.h"

namespace lotse::cli {

struct Followed {
  std::string deployment;         // id; empty: nothing had to be done, only the apps are looked at
  std::string version;            // of the deployment: an app with a later one was changed again; empty: any
  std::vector<std::string> apps;  // whose counts are shown; empty: none
  Duration timeout{};
};

struct FailedTask {
  std::string id, node, message, log;  // log: its last lines, when its agent still has them
};
struct Outcome {
  enum class State : std::uint8_t { success, failed, replaced, timed_out };
  State state = State::success;
  std::string reason;                // empty: success
  std::string rolled_back_to;        // a version: the app went back there by itself
  std::optional<FailedTask> failed;  // the last of this version that ended by itself or is unhealthy
};

Outcome wait_for_deployment(ApiClient& client, const Followed& followed);

// For people: the log of the failed task on standard error; the Problem is the rest.
Result<Unit, Problem> tell(const Followed& followed, const Outcome& outcome);
nlohmann::json to_json(const Followed& followed, const Outcome& outcome);

std::string health_of(const nlohmann::json& task);  // "healthy", "unhealthy", "-"

}  // namespace lotse::cli

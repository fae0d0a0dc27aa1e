// Following a deployment to its end, with progress for people on standard error. Used by every command with --wait.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/api_client.h"

namespace lotse::cli {

struct Followed {
  std::string deployment;         // id
  std::string version;            // of the deployment: an app with a later one was changed again; empty: any
  std::vector<std::string> apps;  // whose counts are shown; empty: none
  Duration timeout{};
};

// Done: the deployment is over and the apps run what it wanted. A Problem says what went wrong: cancelled, replaced by
// another one, or not over in time (with the last task failure).
Result<Unit, Problem> wait_for_deployment(ApiClient& client, const Followed& followed);

std::string health_of(const nlohmann::json& task);  // "healthy", "unhealthy", "-"

}  // namespace lotse::cli

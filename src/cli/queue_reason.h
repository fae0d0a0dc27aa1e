// Why an app waits in the queue, as a sentence with what it asked for: from what GET /v2/queue counts. Main thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/api_client.h"

namespace lotse::cli {

// Pure: `entry` is one of the queue's. "": there is room, or it only waits after a failure.
std::string reason_in(const nlohmann::json& entry);

// Of `app`, or with its name of the first that waits when `app` is empty. "": nothing waits, or nobody answers.
std::string what_keeps_waiting(ApiClient& scheduler, const std::string& app);

}  // namespace lotse::cli

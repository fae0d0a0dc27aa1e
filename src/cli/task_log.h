// What a task wrote, read from the agent that runs or ran it. Asked for a running task's whole log, and for the last
// words of one that failed. Main thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/api_client.h"

namespace lotse::cli {

// The API of the agent `node`, as the scheduler knows it.
Result<ApiClient, Problem> open_agent(ApiClient& scheduler, const std::string& node);
std::string log_path(const std::string& task, bool follow = false);

// At most `lines_max`, each ended; "" when there is none or nobody answers: what explains a failure must not be one.
std::string last_lines_of(ApiClient& scheduler, const std::string& node, const std::string& task,
                          std::size_t lines_max);

}  // namespace lotse::cli

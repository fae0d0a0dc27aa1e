// The environment of a task, as Marathon makes it (MARATHON.md section 3, "Environment of a task"). Pure.
#pragma once

#include <map>
#include <string>

#include "model/agent_protocol.h"

namespace lotse::agent {

// `host`: the agent's advertised address. `sandbox`: the sandbox folder as the task sees it. What the app itself sets
// wins over all but LOTSE_TASK_ID, as in Marathon.
std::map<std::string, std::string> task_environment(const model::LaunchTask& launch, const std::string& host,
                                                    const std::string& sandbox);

}  // namespace lotse::agent

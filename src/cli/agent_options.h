// The agent's command line, for `lotse agent` and `lotse dev`.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "base/result.h"

namespace lotse::cli {

struct AgentArguments {
  agent::AgentOptions options;
  std::string ports = "31000-32000", runtime = "docker";
  std::string fetch_size = "4g", fetch_timeout = "10m", fetch_cache = "2g";
  std::vector<std::string> attributes;
};

// Where the docker program of the same user looks. A service has no $HOME.
std::string default_docker_config();

// Fills in what is text on the command line; the Problem names the option.
Result<Unit, Problem> resolve(AgentArguments& arguments);

}  // namespace lotse::cli

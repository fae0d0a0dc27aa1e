// The table of nodes, for `lotse node list` and `lotse status`.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/table.h"

namespace lotse::cli {

std::string node_table(const nlohmann::json& nodes);  // as /v1/agents lists them

}  // namespace lotse::cli

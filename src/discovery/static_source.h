// Endpoints that stand in the configuration: no tasks, no agent to ask, always up. A pure function; whoever reads the
// configuration calls it again after an edit.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/routes.h"

namespace lotse::discovery {

using StaticApps = std::map<model::AppId, std::vector<std::string>>;  // app -> "host:port"

// The task id is made of app and address: "static:/legacy/billing:127.0.0.1:9000". What is not host:port is left out
// (the configuration was validated).
std::vector<model::Endpoint> static_endpoints(const StaticApps& apps);

}  // namespace lotse::discovery

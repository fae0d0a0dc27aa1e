// The core's events in the JSON of GET /v2/events (MARATHON.md section 4). Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/clock.h"
#include "scheduler/core/commands.h"

namespace lotse::scheduler {

nlohmann::json event_json(const Emit& event, WallTime now);

}  // namespace lotse::scheduler

// A posted group as the one change of apps and groups that it asks for (MARATHON.md section 2, groups): nested apps and
// groups, a factor to scale by, or an earlier version. Reads State, changes nothing; knows no HTTP.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "base/result.h"
#include "model/api_error.h"
#include "scheduler/core/events.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

// PUT: `body` over what `group` has. A list of apps or of groups replaces the one that is there, what is not named
// stays; {"scaleBy": 1.5} and {"version": "..."} stand alone.
Result<ChangeApps, model::ApiError> update_of_group(const State& state, const model::AppId& group,
                                                    const nlohmann::json& body);
// POST: the group that `body` names, below `parent`, and that must not exist yet. The change's `group` is its id.
Result<ChangeApps, model::ApiError> creation_of_group(const State& state, const model::AppId& parent,
                                                      const nlohmann::json& body);

// Apps of a top-level group that enforces its role get it, unless they name another.
void give_role(const State& state, model::App& app);

}  // namespace lotse::scheduler

// The table of endpoints that proxies follow: what follows from a task, and the delta of one step. Publishing stamps
// tasks with the revision in which they became `up` or `draining`, which is what the route barrier waits for.
#pragma once

#include <vector>

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

std::vector<model::Endpoint> endpoints_of(const State& state, const Task& task);

// Brings the table in line with turn.routes: at most one update (two when an agent has a new address).
void publish_routes(Turn& turn);

// At a start: the whole table, as the first revision of this epoch.
void rebuild_table(State& state);

}  // namespace lotse::scheduler

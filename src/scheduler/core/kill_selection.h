// Which tasks of an app go first when it shrinks (MARATHON.md section 5, "Scale-down order"). Reads, changes nothing.
#pragma once

#include <set>
#include <vector>

#include "scheduler/core/state.h"

namespace lotse::scheduler {

// `count` of `tasks`: named victims, then what keeps GROUP_BY even, then unreachable < staging < starting < running,
// then the youngest (or oldest, by killSelection).
std::vector<Task*> select_victims(const State& state, const model::App& app, const std::vector<Task*>& tasks,
                                  const std::set<model::TaskId>& named, std::size_t count);

}  // namespace lotse::scheduler

// How long an app that fails waits before its next launch (MARATHON.md section 5). A task that was healthy for a while
// is replaced at once; what dies before, or again and again, waits longer each time.
#pragma once

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

// backoff x factor^failures, at most max_launch_delay. Pure.
Duration launch_delay(const model::App& app, int failures);

void note_failure(Turn& turn, App& app, const Task& task);  // `task` ended though nobody asked
void reset_backoff(Turn& turn, App& app);

}  // namespace lotse::scheduler

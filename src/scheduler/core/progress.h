// Does a deployment get anywhere? Looked at now and then, not with every event: how far its current step is, against
// the farthest it ever was. What never moves fails (upgradeStrategy.progressDeadlineSeconds), and may go back by itself
// (autoRollback). Marathon waits for ever.
#pragma once

#include <string>

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

// Begins to look: at its start, and after a restart of the scheduler.
void watch_progress(Turn& turn, Deployment& deployment);
// The time to look has come. May end the deployment, and begin the one that goes back.
void on_progress_timer(Turn& turn, const std::string& deployment);

}  // namespace lotse::scheduler

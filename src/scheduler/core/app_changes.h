// What the core changes by itself, in the way of a request: the return of a failed deployment's apps. Requests come as
// events (handlers.h).
#pragma once

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

// Back to each app's last good version. An app that never was good stays as it is: there is nothing to return to.
void roll_back(Turn& turn, const Deployment& failed);

}  // namespace lotse::scheduler

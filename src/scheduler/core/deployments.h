// Running deployments: begun, advanced step by step as their apps get there, cancelled. Their steps' effect on an app
// is scaling.cc's.
#pragma once

#include <string>

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

// Locks its apps. Call when the apps' new definitions are in place.
void begin_deployment(Turn& turn, Deployment deployment);
// Goes on to the next step when all actions of the current one are done, and so on to the end.
void advance_deployment(Turn& turn, const std::string& id);
// Stops it where it is (deployment_failed); what is half done stays.
void cancel_deployment(Turn& turn, const std::string& id, const std::string& reason);
// The same, of itself: its step failed.
void fail_deployment(Turn& turn, const std::string& id, const std::string& reason);

}  // namespace lotse::scheduler

// One app's wanted tasks against its actual ones: launches, kills, and the wait in the launch queue. Level-triggered:
// called for every app that something happened to, and again after a restart; it remembers nothing between calls.
#pragma once

#include "scheduler/core/turn.h"

namespace lotse::scheduler {

void reconcile_app(Turn& turn, const model::AppId& id);

// A task of the app serves now, or does not any more. Only a running deployment cares; a replacement takes its next
// move from it, anything else can at most be done.
void note_service(Turn& turn, const model::AppId& id);

// Is the deployment's action on its app complete? (MARATHON.md section 5, "Done")
bool is_done(const Turn& turn, const Action& action);

// How far the action is: more with every instance that serves, and with every one gone that should go.
long progress_of(const Turn& turn, const Action& action);

// Erases a removed app without tasks, with its versions.
void forget_app(Turn& turn, model::AppId id);  // by value: the caller may have it from the app itself

}  // namespace lotse::scheduler

// The life of a task: launched, confirmed, leaving, ended; and what becomes of it when its agent is lost. Each function
// takes one step of it, keeps the indices of State right, and notes in the turn what follows.
#pragma once

#include <string>

#include "scheduler/core/placement.h"
#include "scheduler/core/turn.h"

namespace lotse::scheduler {

Task& launch_task(Turn& turn, App& app, const Definition& definition, Place place);
void send_launch(Turn& turn, Task& task);
void send_kill(Turn& turn, Task& task);

// A kill on purpose. By way of the route barrier when the task was ever published; at once else. Idempotent.
void begin_leaving(Turn& turn, Task& task, std::string reason);
// The barrier is open, or there is none: from here on the kill is sent until a terminal status comes.
void begin_killing(Turn& turn, Task& task);

struct Ending {
  model::TaskState state = model::TaskState::lost;  // terminal
  std::string message;
  model::GoneWhy why = model::GoneWhy::asked;  // lost: nobody saw it end
};
void end_task(Turn& turn, const model::TaskId& id, const Ending& ending);  // invalidates the Task

// Its agent was lost, and came back with it. What is not worth waiting for (unreachableStrategy) becomes a zombie.
void lose_contact(Turn& turn, Task& task);
void regain_contact(Turn& turn, Task& task, model::TaskState seen);
void expunge_if_due(Turn& turn, Task& task);
// Launched too long ago and still not running: killed, and counted as a failure of its app.
void give_up_if_overdue(Turn& turn, Task& task);
bool is_inactive(const Task& task, Instant now);  // unreachable for too long to count as an instance

// Events about one task.
void emit_status(Turn& turn, const Task& task, model::TaskState state, const std::string& message);
void emit_health(Turn& turn, const Task& task);
void emit_failed_check(Turn& turn, const Task& task, std::size_t check);  // index into its definition's health checks

}  // namespace lotse::scheduler

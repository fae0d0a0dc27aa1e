#include "scheduler/core/tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/app_id.h"
#include "model/app_json.h"
#include "model/json_text.h"
#include "scheduler/core/backoff.h"
#include "scheduler/core/records.h"

namespace lotse::scheduler {
namespace {

std::string_view condition_of(model::TaskState state) {  // Marathon's word for it
  switch (state) {
    case model::TaskState::staging:
      return "Staging";
    case model::TaskState::starting:
      return "Starting";
    case model::TaskState::running:
      return "Running";
    case model::TaskState::killing:
      return "Killing";
    case model::TaskState::unreachable:
      return "Unreachable";
    case model::TaskState::finished:
      return "Finished";
    case model::TaskState::failed:
      return "Failed";
    case model::TaskState::killed:
      return "Killed";
    case model::TaskState::lost:
      return "Gone";
  }
  return "Unknown";
}

Emit event_of(const Task& task, std::string type) {
  Emit event;
  event.type = std::move(type);
  event.app = task.app;
  event.task = task.id;
  event.agent = task.agent;
  event.host = task.host;
  event.version = task.definition->version;
  event.ports = task.host_ports;
  event.ip_address = task.ip_address;
  return event;
}

void leave_app(Turn& turn, const Task& task) {
  App& app = turn.state.apps.at(task.app);
  app.tasks.erase(task.id);
  if (--app.tasks_on_agent[task.agent] == 0) app.tasks_on_agent.erase(task.agent);
  turn.apps.insert(task.app);
}

// Gives its resources back and puts its ports into quarantine.
void leave_agent(Turn& turn, const Task& task) {
  State& state = turn.state;
  Agent& agent = state.agents.at(task.agent);
  agent.tasks.erase(task.id);
  give_back_resources(state, agent, resources_of(*task.definition));
  turn.freed.insert(task.agent);
  PortRelease release{.app = task.app, .released = turn.now.wall, .released_instant = turn.now.instant};
  for (int port : task.host_ports) {
    if (port != 0) release.ports.push_back(port);
  }
  if (release.ports.empty()) return;
  for (int port : release.ports) {
    agent.ports_used.erase(port);
    agent.ports_quarantined[port] = task.id;
  }
  // What is still in the table goes with the next revision; what was never published, no proxy can know.
  if (task.is_published) release.revision = state.table.contains(task.id) ? state.revision + 1 : state.revision;
  turn.records[release_key(task.agent, task.id)] = encode_release(task.agent, task.id, release);
  agent.releases[task.id] = std::move(release);
  state.timers.arm({TimerKey::Kind::quarantine, task.agent}, turn.now.instant + state.settings.port_quarantine);
}

void note_end(Turn& turn, const Task& task, const Ending& ending) {
  App& app = turn.state.apps.at(task.app);
  const bool is_failure = ending.state == model::TaskState::failed || ending.state == model::TaskState::lost;
  if (is_failure && task.leaving == Leaving::no) {
    app.last_failure = TaskFailure{.task = task.id,
                                   .state = ending.state,
                                   .message = ending.message,
                                   .host = task.host,
                                   .timestamp = format_timestamp(turn.now.wall),
                                   .agent = task.agent,
                                   .version = task.definition->version};
    turn.changed_apps.insert(app.id);
  }
  // A task lost with its agent says nothing about its app.
  if (ending.state != model::TaskState::lost && task.leaving == Leaving::no) note_failure(turn, app, task);
}

void expunge(Turn& turn, Task& task) {
  const Ending ending{model::TaskState::lost, "its agent is lost", model::GoneWhy::lost};
  note_end(turn, task, ending);
  leave_app(turn, task);
  turn.state.draining.erase(task.id);
  task.state = model::TaskState::lost;
  task.is_zombie = true;
  task.leaving = Leaving::killing;
  turn.changed_tasks.insert(task.id);
  turn.routes.insert_or_assign(task.id, model::GoneWhy::lost);
  emit_status(turn, task, model::TaskState::lost, ending.message);
}

}  // namespace

Task& launch_task(Turn& turn, App& app, const Definition& definition, Place place) {
  State& state = turn.state;
  Agent& agent = state.agents.at(place.agent);
  Task task;
  task.id = model::make_task_id(app.id, make_uuid(turn.random));
  task.app = app.id;
  task.definition = definition;
  task.agent = place.agent;
  task.host = agent.registration.host;
  task.host_ports = std::move(place.host_ports);
  task.staged_at = turn.now.wall;
  task.launched = turn.now.instant;
  take_resources(state, agent, resources_of(*definition));
  for (int port : task.host_ports) {
    if (port == 0) continue;
    agent.ports_used.insert(port);
    // A release that this port's app takes back early, or that is over: forgotten with its other ports in its time.
    agent.ports_quarantined.erase(port);
  }
  agent.tasks.insert(task.id);
  app.tasks.insert(task.id);
  ++app.tasks_on_agent[place.agent];
  Task& stored = state.tasks.emplace(task.id, std::move(task)).first->second;
  state.timers.arm({TimerKey::Kind::task, stored.id}, turn.now.instant + state.settings.launch_timeout);
  turn.changed_tasks.insert(stored.id);
  send_launch(turn, stored);
  emit_status(turn, stored, model::TaskState::staging, "");
  return stored;
}

void send_launch(Turn& turn, Task& task) {
  model::AgentCommand command;
  command.launch = model::LaunchTask{.task = task.id, .app = *task.definition, .host_ports = task.host_ports};
  task.command_sent = turn.now.instant;
  turn.send(task.agent, std::move(command));
}

void send_kill(Turn& turn, Task& task) {
  model::AgentCommand command;
  const auto grace = std::chrono::duration<double>(model::kill_grace_of(*task.definition));
  command.kill = model::KillTask{.task = task.id, .grace_seconds = grace.count()};
  task.command_sent = turn.now.instant;
  turn.send(task.agent, std::move(command));
}

void begin_leaving(Turn& turn, Task& task, std::string reason) {
  if (task.leaving != Leaving::no || task.is_zombie) return;
  task.leaving_reason = std::move(reason);
  if (task.state == model::TaskState::unreachable) {  // nobody to ask, and nobody routes to it: killed should it return
    expunge(turn, task);
    return;
  }
  turn.changed_tasks.insert(task.id);
  turn.apps.insert(task.app);
  emit_status(turn, task, model::TaskState::killing, task.leaving_reason);
  if (!task.is_published) {
    begin_killing(turn, task);
    return;
  }
  task.leaving = Leaving::draining;
  turn.state.draining.insert(task.id);
  turn.routes.emplace(task.id, model::GoneWhy::asked);
  turn.drains_due = true;
}

void begin_killing(Turn& turn, Task& task) {
  turn.state.draining.erase(task.id);
  task.leaving = Leaving::killing;
  turn.changed_tasks.insert(task.id);
  send_kill(turn, task);
}

void end_task(Turn& turn, const model::TaskId& id, const Ending& ending) {
  auto found = turn.state.tasks.find(id);
  if (found == turn.state.tasks.end()) return;
  Task& task = found->second;
  if (!task.is_zombie) {
    note_end(turn, task, ending);
    leave_app(turn, task);
    emit_status(turn, task, ending.state, ending.message);
  }
  leave_agent(turn, task);
  turn.routes.insert_or_assign(id, ending.why);
  turn.changed_tasks.insert(id);
  turn.state.draining.erase(id);
  turn.state.tasks.erase(found);
}

void lose_contact(Turn& turn, Task& task) {
  if (task.is_zombie || task.state == model::TaskState::unreachable) return;
  if (task.leaving != Leaving::no) {
    expunge(turn, task);
    return;
  }
  task.state = model::TaskState::unreachable;
  task.unreachable_since = turn.now.wall;
  task.unreachable_instant = turn.now.instant;
  turn.changed_tasks.insert(task.id);
  turn.routes.insert_or_assign(task.id, model::GoneWhy::lost);
  turn.apps.insert(task.app);
  emit_status(turn, task, model::TaskState::unreachable, "its agent is lost");
  expunge_if_due(turn, task);
}

void regain_contact(Turn& turn, Task& task, model::TaskState seen) {
  if (task.is_zombie || task.state != model::TaskState::unreachable || model::is_terminal(seen)) return;
  task.launched = turn.now.instant;
  turn.state.timers.arm({TimerKey::Kind::task, task.id}, task.launched + turn.state.settings.launch_timeout);
  task.state = task.started_at.empty() && seen != model::TaskState::running ? seen : model::TaskState::running;
  task.unreachable_since.reset();
  task.unreachable_instant.reset();
  turn.changed_tasks.insert(task.id);
  turn.routes.emplace(task.id, model::GoneWhy::asked);
  turn.apps.insert(task.app);
  emit_status(turn, task, task.state, "its agent is back");
}

void expunge_if_due(Turn& turn, Task& task) {
  if (task.is_zombie || !task.unreachable_instant) return;
  const model::UnreachableStrategy& strategy = task.definition->unreachable_strategy;
  if (strategy.disabled) return;
  const Instant inactive = *task.unreachable_instant + std::chrono::duration_cast<Duration>(strategy.inactive_after);
  const Instant expunged = *task.unreachable_instant + std::chrono::duration_cast<Duration>(strategy.expunge_after);
  if (turn.now.instant >= expunged) {
    expunge(turn, task);
    return;
  }
  turn.apps.insert(task.app);
  const Instant next = turn.now.instant < inactive ? std::min(inactive, expunged) : expunged;
  turn.state.timers.arm({TimerKey::Kind::task, task.id}, next);
}

void give_up_if_overdue(Turn& turn, Task& task) {
  const bool is_starting = task.state == model::TaskState::staging || task.state == model::TaskState::starting;
  if (!is_starting || task.leaving != Leaving::no || task.is_zombie) return;
  const Duration timeout = turn.state.settings.launch_timeout;
  if (turn.now.instant < task.launched + timeout) {
    turn.state.timers.arm({TimerKey::Kind::task, task.id}, task.launched + timeout);
    return;
  }
  const std::string message = "it did not start within " + format_duration(timeout);
  note_end(turn, task, {model::TaskState::failed, message, model::GoneWhy::asked});
  begin_leaving(turn, task, message);
}

bool is_inactive(const Task& task, Instant now) {
  if (task.state != model::TaskState::unreachable || !task.unreachable_instant) return false;
  const model::UnreachableStrategy& strategy = task.definition->unreachable_strategy;
  return !strategy.disabled &&
         now >= *task.unreachable_instant + std::chrono::duration_cast<Duration>(strategy.inactive_after);
}

void emit_status(Turn& turn, const Task& task, model::TaskState state, const std::string& message) {
  Emit status = event_of(task, "status_update_event");
  status.state = model::to_marathon(state);
  status.message = message;
  turn.out.emplace_back(std::move(status));
  Emit instance = event_of(task, "instance_changed_event");
  instance.state = condition_of(state);
  turn.out.emplace_back(std::move(instance));
}

void emit_failed_check(Turn& turn, const Task& task, std::size_t check) {
  const auto& checks = task.definition->health_checks;
  if (check >= checks.size()) return;
  Emit event = event_of(task, "failed_health_check_event");
  event.health_check_json = model::to_text(model::to_json(checks[check]));
  turn.out.emplace_back(std::move(event));
}

void emit_health(Turn& turn, const Task& task) {
  for (const char* type : {"health_status_changed_event", "instance_health_changed_event"}) {
    Emit event = event_of(task, type);
    event.alive = task.alive;
    turn.out.emplace_back(std::move(event));
  }
}

}  // namespace lotse::scheduler

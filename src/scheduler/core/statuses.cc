// What agents say of their tasks: numbered changes of state, each taken exactly once, and health, of which the last
// word counts.
#include <algorithm>
#include <utility>

#include "scheduler/core/handlers.h"
#include "scheduler/core/scaling.h"
#include "scheduler/core/tasks.h"

namespace lotse::scheduler {
namespace {

std::optional<model::ApiError> refuse_report(const State& state, const AgentReported& event) {
  auto found = state.agents.find(event.agent);
  if (found == state.agents.end()) {
    return model::ApiError{.status = 404, .message = "Agent '" + event.agent + "' is not registered"};
  }
  const model::AgentRegistration& known = found->second.registration;
  if (known.data_id != event.report.data_id || event.report.incarnation < known.incarnation) {
    return model::ApiError{.status = 409, .message = "Agent '" + event.agent + "' has been replaced by another start"};
  }
  if (event.report.incarnation > known.incarnation) {
    return model::ApiError{.status = 404, .message = "Agent '" + event.agent + "' must register this start first"};
  }
  return std::nullopt;
}

void emit_unknown_terminated(Turn& turn, const model::AgentId& agent, const model::TaskStatus& status) {
  Emit event;
  event.type = "unknown_instance_terminated_event";
  event.task = status.task;
  event.agent = agent;
  event.state = model::to_marathon(status.state);
  turn.out.emplace_back(std::move(event));
}

void kill_what_should_not_run(Turn& turn, const model::AgentId& agent, const model::TaskId& task) {
  model::AgentCommand command;
  command.kill = model::KillTask{.task = task};
  turn.send(agent, std::move(command));
}

void note_health(Turn& turn, Task& task) {
  if (is_healthy(task) && !task.healthy_since) task.healthy_since = turn.now.instant;
  turn.routes.emplace(task.id, model::GoneWhy::asked);
  note_service(turn, task.app);
}

void take_running(Turn& turn, Task& task, const model::TaskStatus& status) {
  if (!status.ip_address.empty()) task.ip_address = status.ip_address;
  if (status.state == model::TaskState::running && task.started_at.empty()) task.started_at = status.time;
  const bool is_step = status.state != task.state && task.state != model::TaskState::running &&
                       task.state != model::TaskState::unreachable;
  if (!is_step) return;
  task.state = status.state;
  emit_status(turn, task, task.state, status.message);
  note_health(turn, task);
}

void take_status(Turn& turn, const model::AgentId& agent, const model::TaskStatus& status) {
  auto found = turn.state.tasks.find(status.task);
  if (found == turn.state.tasks.end()) {
    if (model::is_terminal(status.state)) {
      emit_unknown_terminated(turn, agent, status);
    } else {
      kill_what_should_not_run(turn, agent, status.task);
    }
    return;
  }
  Task& task = found->second;
  if (task.agent != agent) return;
  if (model::is_terminal(status.state)) {
    // The agent saw it end, so it is certain; even `lost`, which answers a kill of what it never had.
    end_task(turn, task.id, {status.state, status.message, model::GoneWhy::asked});
    return;
  }
  if (task.is_zombie) {
    kill_what_should_not_run(turn, agent, status.task);
    return;
  }
  task.is_confirmed = true;
  turn.changed_tasks.insert(task.id);
  if (status.state == model::TaskState::starting || status.state == model::TaskState::running) {
    take_running(turn, task, status);
  }
}

// The agent says how often each check has failed in a row: more often than before is a new failure.
void note_failed_checks(Turn& turn, const Task& task, const std::vector<model::HealthResult>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const int before = i < task.results.size() ? task.results[i].consecutive_failures : 0;
    if (!results[i].alive && results[i].consecutive_failures > before) emit_failed_check(turn, task, i);
  }
}

bool differs_in_more_than_times(const Task& task, const model::TaskHealth& health) {
  if (health.is_ready && !task.is_ready) return true;
  if (health.alive && health.alive != task.alive) return true;
  if (health.readiness_passed && health.readiness_passed != task.readiness_passed) return true;
  if (health.results.empty()) return false;
  return !std::equal(health.results.begin(), health.results.end(), task.results.begin(), task.results.end(),
                     [](const model::HealthResult& a, const model::HealthResult& b) {
                       return a.alive == b.alive && a.consecutive_failures == b.consecutive_failures &&
                              a.first_success == b.first_success;
                     });
}

void take_health(Turn& turn, const model::AgentId& agent, const model::TaskHealth& health) {
  auto found = turn.state.tasks.find(health.task);
  if (found == turn.state.tasks.end() || found->second.agent != agent || found->second.is_zombie) return;
  Task& task = found->second;
  const std::optional<bool> alive_before = task.alive;
  const bool says_more = differs_in_more_than_times(task, health);
  // A restarted agent has no results yet. What it knew before stays true until it says otherwise.
  task.is_ready = task.is_ready || health.is_ready;
  if (health.alive) task.alive = health.alive;
  note_failed_checks(turn, task, health.results);
  if (!health.results.empty()) task.results = health.results;
  if (health.readiness_passed) task.readiness_passed = health.readiness_passed;
  if (health.readiness) task.readiness = health.readiness;
  if (!says_more && !health.wants_kill) return;  // all that moved is when it last succeeded
  turn.changed_health.insert(task.id);
  if (task.alive != alive_before) emit_health(turn, task);
  note_health(turn, task);
  if (!health.wants_kill || task.leaving != Leaving::no || task.state != model::TaskState::running) return;
  Emit event;
  event.type = "unhealthy_instance_kill_event";
  event.app = task.app;
  event.task = task.id;
  event.agent = task.agent;
  event.host = task.host;
  event.version = task.definition->version;
  event.reason = health.results.empty() ? "" : health.results.front().last_failure_cause;
  turn.out.emplace_back(std::move(event));
  begin_leaving(turn, task, "unhealthy");
}

}  // namespace

void handle(Turn& turn, const AgentReported& event) {
  if (auto error = refuse_report(turn.state, event)) {
    turn.reply(event.token, std::move(*error));
    return;
  }
  Agent& agent = turn.state.agents.at(event.agent);
  for (const model::TaskStatus& status : event.report.statuses) {
    if (status.number <= agent.acknowledged) continue;
    agent.acknowledged = status.number;
    turn.changed_agents.insert(event.agent);
    take_status(turn, event.agent, status);
  }
  for (const model::TaskHealth& health : event.report.health) take_health(turn, event.agent, health);
  turn.reply(event.token, model::StatusAnswer{.term = turn.state.term, .acknowledged = agent.acknowledged});
}

}  // namespace lotse::scheduler

// Agents: registration (which is the heartbeat), identity and fencing, reconciliation of what they run with what we
// know, and their loss.
#include <algorithm>
#include <utility>

#include "scheduler/core/barrier.h"
#include "scheduler/core/handlers.h"
#include "scheduler/core/records.h"
#include "scheduler/core/tasks.h"

namespace lotse::scheduler {
namespace {

constexpr Duration kQuarantinePoll = std::chrono::seconds(1);  // a release that only waits for a proxy's word

std::optional<model::ApiError> refuse_registration(const State& state, const model::AgentRegistration& seen) {
  auto error = [](std::string message) { return model::ApiError{.status = 409, .message = std::move(message)}; };
  if (seen.term > state.term) {
    return error("This scheduler's term is " + std::to_string(state.term) + ", but the agent has seen term " +
                 std::to_string(seen.term) + ": another scheduler has taken over.");
  }
  if (!seen.cluster.empty() && seen.cluster != state.cluster) {
    return error("Agent '" + seen.id + "' belongs to cluster " + seen.cluster + ", this is cluster " + state.cluster +
                 ". Give it an empty data directory to move it.");
  }
  auto found = state.agents.find(seen.id);
  if (found == state.agents.end()) return std::nullopt;
  const model::AgentRegistration& known = found->second.registration;
  if (known.data_id != seen.data_id && found->second.health != AgentHealth::lost) {
    return error("Another agent with the id '" + seen.id + "' is registered from another data directory (at " +
                 known.api + "). Give this one an id of its own with --id, or wait until the other is lost.");
  }
  if (known.data_id == seen.data_id && seen.incarnation < known.incarnation) {
    return error("Agent '" + seen.id + "' has been replaced by a later start from the same data directory (" +
                 std::to_string(known.incarnation) + " after " + std::to_string(seen.incarnation) + ").");
  }
  return std::nullopt;
}

// Where its tasks are reached, and who confirms them.
void follow_address(Turn& turn, const Agent& agent, const model::AgentRegistration& before) {
  const model::AgentRegistration& now = agent.registration;
  const bool moved = before.host != now.host;
  if (!moved && before.api == now.api && before.attributes == now.attributes) return;
  for (const model::TaskId& id : agent.tasks) {
    Task& task = turn.state.tasks.at(id);
    if (moved) {
      task.host = now.host;
      turn.changed_tasks.insert(id);
    }
    turn.routes.emplace(id, model::GoneWhy::asked);
  }
}

Agent& take_registration(Turn& turn, model::AgentRegistration seen) {
  State& state = turn.state;
  seen.tasks.clear();
  seen.has_tasks = false;
  seen.term = 0;
  auto [entry, is_new] = state.agents.try_emplace(seen.id);
  Agent& agent = entry->second;
  seen.cluster = state.cluster;
  const model::AgentRegistration before = std::exchange(agent.registration, std::move(seen));
  if (!is_new && before.data_id != agent.registration.data_id) agent.acknowledged = 0;
  if (is_new || !(before == agent.registration)) {
    turn.changed_agents.insert(agent.registration.id);
    turn.freed.insert(agent.registration.id);
    const model::AgentRegistration& said = agent.registration;
    set_total(state, agent, make_resources(said.cpus, said.mem_mib, said.disk_mib));
    if (!is_new) follow_address(turn, agent, before);
  }
  if (agent.health != AgentHealth::live) turn.freed.insert(agent.registration.id);
  agent.health = AgentHealth::live;
  agent.last_heard = turn.now.instant;
  state.timers.arm({TimerKey::Kind::agent, agent.registration.id},
                   turn.now.instant + state.settings.agent_suspect_after);
  return agent;
}

void kill_unknown(Turn& turn, const model::AgentId& agent, const model::TaskId& task) {
  model::AgentCommand command;
  command.kill = model::KillTask{.task = task};
  turn.send(agent, std::move(command));
}

void reconcile_listed(Turn& turn, const model::AgentId& agent, const model::AgentRegistration::KnownTask& listed) {
  auto found = turn.state.tasks.find(listed.task);
  if (found == turn.state.tasks.end()) {
    if (!model::is_terminal(listed.state)) kill_unknown(turn, agent, listed.task);
    return;
  }
  Task& task = found->second;
  if (task.agent != agent) return;  // another's; only that one is asked
  task.missing_since.reset();
  if (!task.is_confirmed) {
    task.is_confirmed = true;
    turn.changed_tasks.insert(task.id);
  }
  regain_contact(turn, task, listed.state);
  const bool is_overdue = turn.now.instant >= task.command_sent + turn.state.settings.resend_after;
  if (task.leaving == Leaving::killing && is_overdue) send_kill(turn, task);
}

void reconcile_missing(Turn& turn, const model::TaskId& id) {
  Task& task = turn.state.tasks.at(id);
  const Instant now = turn.now.instant;
  if (task.is_zombie) {
    end_task(turn, id, {.why = model::GoneWhy::lost});
    return;
  }
  if (!task.is_confirmed && task.state != model::TaskState::unreachable) {  // the launch may still be on its way
    if (now < task.command_sent + turn.state.settings.resend_after) return;
    task.leaving == Leaving::killing ? send_kill(turn, task) : send_launch(turn, task);
    return;
  }
  // Its last status may be on its way, with Docker's own words; or this list is older than the launch.
  if (!task.missing_since) task.missing_since = now;
  if (now < *task.missing_since + turn.state.settings.missing_grace) return;
  end_task(turn, id, {model::TaskState::lost, "the agent does not have it any more", model::GoneWhy::lost});
}

void reconcile(Turn& turn, const Agent& agent, const std::vector<model::AgentRegistration::KnownTask>& listed) {
  std::set<model::TaskId> seen;
  for (const auto& task : listed) {
    seen.insert(task.task);
    reconcile_listed(turn, agent.registration.id, task);
  }
  const std::vector<model::TaskId> ours(agent.tasks.begin(), agent.tasks.end());
  for (const model::TaskId& id : ours) {
    if (!seen.contains(id)) reconcile_missing(turn, id);
  }
}

void lose_agent(Turn& turn, Agent& agent) {
  agent.health = AgentHealth::lost;
  const std::vector<model::TaskId> ids(agent.tasks.begin(), agent.tasks.end());
  for (const model::TaskId& id : ids) lose_contact(turn, turn.state.tasks.at(id));
}

// A machine that never comes back must not stay in the books for ever. Should it, its tasks are unknown and killed.
void forget_agent(Turn& turn, const model::AgentId& id) {
  Agent& agent = turn.state.agents.at(id);
  const std::vector<model::TaskId> ids(agent.tasks.begin(), agent.tasks.end());
  for (const model::TaskId& task : ids) {
    if (!turn.state.tasks.at(task).is_zombie) return;  // unreachable, and its app wants to wait
  }
  for (const model::TaskId& task : ids) end_task(turn, task, {.why = model::GoneWhy::lost});
  for (const auto& [task, release] : agent.releases) turn.records[release_key(id, task)] = std::nullopt;
  turn.changed_agents.insert(id);
  turn.state.draining_agents.erase(id);
  forget_resources(turn.state, agent);
  turn.state.agents.erase(id);
}

}  // namespace

void handle(Turn& turn, const AgentRegistered& event) {
  const model::AgentRegistration& seen = event.registration;
  if (auto error = refuse_registration(turn.state, seen)) {
    turn.reply(event.token, std::move(*error));
    return;
  }
  Agent& agent = take_registration(turn, seen);
  if (seen.has_tasks) reconcile(turn, agent, seen.tasks);
  turn.reply(
      event.token,
      model::AgentAnswer{.term = turn.state.term, .cluster = turn.state.cluster, .acknowledged = agent.acknowledged});
}

void handle(Turn& turn, const DrainAgent& event) {
  auto found = turn.state.agents.find(event.agent);
  if (found == turn.state.agents.end()) {
    turn.refuse(event.token, 404, "Agent '" + event.agent + "' does not exist");
    return;
  }
  Agent& agent = found->second;
  if (agent.is_draining != event.is_wanted) {
    agent.is_draining = event.is_wanted;
    if (event.is_wanted) {
      turn.state.draining_agents.insert(event.agent);
    } else {
      turn.state.draining_agents.erase(event.agent);
    }
    turn.changed_agents.insert(event.agent);
    if (!event.is_wanted) turn.freed.insert(event.agent);
    for (const model::TaskId& id : agent.tasks) turn.apps.insert(turn.state.tasks.at(id).app);
  }
  turn.reply(event.token, Done{});
}

void handle(Turn& turn, const AgentConnected& event) {
  auto found = turn.state.agents.find(event.agent);
  if (found == turn.state.agents.end()) return;
  for (const model::TaskId& id : found->second.tasks) {
    Task& task = turn.state.tasks.at(id);
    if (task.leaving == Leaving::killing) {
      send_kill(turn, task);
    } else if (!task.is_confirmed && task.leaving == Leaving::no) {
      send_launch(turn, task);
    }
  }
}

void on_agent_timer(Turn& turn, const model::AgentId& id) {
  auto found = turn.state.agents.find(id);
  if (found == turn.state.agents.end()) return;
  Agent& agent = found->second;
  const Settings& settings = turn.state.settings;
  const Instant now = turn.now.instant;
  const Instant suspect = agent.last_heard + settings.agent_suspect_after;
  const Instant lost = agent.last_heard + settings.agent_lost_after;
  const Instant forgotten = lost + settings.agent_forget_after;
  if (now >= suspect && agent.health == AgentHealth::live) agent.health = AgentHealth::suspect;
  if (now >= lost && agent.health != AgentHealth::lost) lose_agent(turn, agent);
  if (now >= forgotten) {
    forget_agent(turn, id);
    if (!turn.state.agents.contains(id)) return;
  }
  Instant next = now < suspect     ? suspect
                 : now < lost      ? lost
                 : now < forgotten ? forgotten
                                   : now + settings.agent_forget_after;
  turn.state.timers.arm({TimerKey::Kind::agent, id}, next);
}

void on_quarantine_timer(Turn& turn, const model::AgentId& id) {
  auto found = turn.state.agents.find(id);
  if (found == turn.state.agents.end()) return;
  Agent& agent = found->second;
  const Instant now = turn.now.instant;
  for (auto release = agent.releases.begin(); release != agent.releases.end();) {
    const auto& [task, freed] = *release;
    if (!is_quarantine_over(turn.state, freed, now)) {
      const Instant end = freed.released_instant + turn.state.settings.port_quarantine;
      turn.state.timers.arm({TimerKey::Kind::quarantine, id}, std::max(end, now + kQuarantinePoll));
      ++release;
      continue;
    }
    for (int port : freed.ports) {
      auto held = agent.ports_quarantined.find(port);
      if (held != agent.ports_quarantined.end() && held->second == task) agent.ports_quarantined.erase(held);
    }
    turn.records[release_key(id, task)] = std::nullopt;
    turn.freed.insert(id);
    release = agent.releases.erase(release);
  }
}

}  // namespace lotse::scheduler

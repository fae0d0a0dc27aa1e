// From records back to a State: what a start, and a failed write, begin with.
#include <algorithm>
#include <utility>

#include "scheduler/core/core.h"
#include "scheduler/core/groups.h"
#include "scheduler/core/records.h"
#include "scheduler/core/routes.h"
#include "scheduler/core/service_ports.h"

namespace lotse::scheduler {
namespace {

// A remaining wait, measured by the wall clock because only that outlives us; never longer than it can have been.
Instant instant_of(WallTime until, Duration longest, Now now) {
  return now.instant + std::clamp(std::chrono::duration_cast<Duration>(until - now.wall), Duration{0}, longest);
}

void index_task(State& state, Task& task, Now now) {
  Agent& agent = state.agents.at(task.agent);
  agent.tasks.insert(task.id);
  take_resources(state, agent, resources_of(*task.definition));
  for (int port : task.host_ports) {
    if (port != 0) agent.ports_used.insert(port);
  }
  task.command_sent = task.launched = now.instant;
  if (task.state == model::TaskState::staging || task.state == model::TaskState::starting) {
    state.timers.arm({TimerKey::Kind::task, task.id}, now.instant + state.settings.launch_timeout);
  }
  if (task.unreachable_since) {
    const Duration gone =
        std::max(Duration{0}, std::chrono::duration_cast<Duration>(now.wall - *task.unreachable_since));
    task.unreachable_instant = now.instant - std::min<Duration>(gone, std::chrono::hours(24 * 365));
    state.timers.arm({TimerKey::Kind::task, task.id}, now.instant);
  }
  if (task.is_zombie) return;
  App& app = state.apps.at(task.app);
  app.tasks.insert(task.id);
  ++app.tasks_on_agent[task.agent];
  if (is_healthy(task)) task.healthy_since = now.instant - state.settings.stable_after;
  if (task.leaving == Leaving::no) return;
  // The barrier starts anew: proxies of the last epoch may not have heard that it drains.
  task.leaving = task.is_published ? Leaving::draining : Leaving::killing;
  if (task.leaving == Leaving::draining) state.draining.insert(task.id);
}

void index_agent(State& state, const model::AgentId& id, Agent& agent, Now now) {
  const model::AgentRegistration& known = agent.registration;
  set_total(state, agent, make_resources(known.cpus, known.mem_mib, known.disk_mib));
  agent.health = AgentHealth::suspect;  // nothing new for it until it is heard; its full time until it is lost
  agent.last_heard = now.instant;
  if (agent.is_draining) state.draining_agents.insert(id);
  state.timers.arm({TimerKey::Kind::agent, id}, now.instant + state.settings.agent_suspect_after);
  for (auto& [task, release] : agent.releases) {
    release.released_instant = now.instant;
    release.revision = state.revision;
    for (int port : release.ports) {
      if (!agent.ports_used.contains(port)) agent.ports_quarantined[port] = task;
    }
    state.timers.arm({TimerKey::Kind::quarantine, id}, now.instant + state.settings.port_quarantine);
  }
}

void index_app(State& state, App& app, Now now) {
  if (!app.is_removed) claim_service_ports(state, *app.current);
  const auto longest = std::chrono::duration_cast<Duration>(app.current->max_launch_delay);
  app.backoff.until = instant_of(app.backoff.until_wall, longest, now);
}

// Stores written before groups were kept have none.
void make_missing_groups(State& state) {
  for (const auto& [id, app] : state.apps) {
    for (model::AppId group = parent_group(id); group != "/" && !app.is_removed; group = parent_group(group)) {
      state.groups.try_emplace(group, Group{.version = app.current->version});
    }
  }
}

void lock_apps(State& state, Now now) {
  for (auto& [id, deployment] : state.deployments) {
    if (deployment.progress.since) {
      const Duration ago =
          std::max(Duration{0}, std::chrono::duration_cast<Duration>(now.wall - deployment.progress.since_wall));
      deployment.progress.since = now.instant - std::min<Duration>(ago, std::chrono::hours(24 * 365));
    }
    for (const auto& [app, original] : deployment.original) {
      if (auto found = state.apps.find(app); found != state.apps.end()) found->second.deployment = id;
    }
  }
}

}  // namespace

Result<State, Problem> restore(std::span<const std::pair<std::string, std::string>> records, std::uint64_t term,
                               std::string cluster, const Settings& settings, Now now) {
  State state;
  state.settings = settings;
  state.term = term;
  state.cluster = std::move(cluster);
  RecordReader reader(state);
  for (const auto& [key, value] : records) {
    if (auto read = reader.read(key, value); !read) return fail(read.error());
  }
  if (auto linked = reader.link(); !linked) return fail(linked.error());
  for (auto& [id, task] : state.tasks) {
    if (!task.is_zombie && !state.apps.contains(task.app)) return fail(Problem{task_key(id), "its app has no record"});
    index_task(state, task, now);
  }
  for (auto& [id, agent] : state.agents) index_agent(state, id, agent, now);
  for (auto& [id, app] : state.apps) index_app(state, app, now);
  for (auto& [key, proxy] : state.proxies) {
    proxy.lease_until = now.instant + settings.proxy_lease + settings.proxy_lease_margin;
    state.timers.arm({TimerKey::Kind::proxy, ""}, proxy.lease_until);
  }
  make_missing_groups(state);
  lock_apps(state, now);
  rebuild_table(state);
  state.is_fresh = true;
  return state;
}

void carry_over_volatile(const State& before, State& after) {
  // Whoever followed our revisions has seen fewer than `before` counts. A number nobody has seen makes every proxy take
  // a snapshot and acknowledge anew.
  after.revision = before.revision + 1;
  for (const auto& [key, proxy] : before.proxies) {  // a lease that was granted counts, stored or not
    after.proxies[key] = proxy;
    after.timers.arm({TimerKey::Kind::proxy, ""}, proxy.lease_until);
  }
  for (auto& [id, agent] : after.agents) {
    auto known = before.agents.find(id);
    if (known == before.agents.end()) continue;
    agent.last_heard = known->second.last_heard;
    agent.health = known->second.health == AgentHealth::live ? AgentHealth::live : AgentHealth::suspect;
    for (auto& [task, release] : agent.releases) {
      release.revision = after.revision;
      auto released = known->second.releases.find(task);
      if (released != known->second.releases.end()) release.released_instant = released->second.released_instant;
    }
  }
  for (auto& [id, task] : after.tasks) {
    auto known = before.tasks.find(id);
    if (known == before.tasks.end()) continue;
    const Task& seen = known->second;
    task.is_ready = seen.is_ready;
    task.alive = seen.alive;
    task.results = seen.results;
    task.readiness_passed = seen.readiness_passed;
    task.healthy_since = seen.healthy_since;
    task.missing_since = seen.missing_since;
  }
  after.ended_deployments = before.ended_deployments;
  std::erase_if(after.ended_deployments, [&](const auto& ended) { return after.deployments.contains(ended.id); });
  after.is_carried_over = true;
  rebuild_table(after);
}

void forgive_silence(State& state, Instant now) {  // timers that were armed before look again, and wait
  for (auto& [key, proxy] : state.proxies) {
    proxy.lease_until = now + state.settings.proxy_lease + state.settings.proxy_lease_margin;
  }
  for (auto& [id, agent] : state.agents) {
    if (agent.health != AgentHealth::lost) agent.last_heard = now;
  }
}

}  // namespace lotse::scheduler

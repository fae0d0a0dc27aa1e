#include "scheduler/core/scaling.h"

#include <algorithm>

#include "scheduler/core/kill_selection.h"
#include "scheduler/core/placement.h"
#include "scheduler/core/records.h"
#include "scheduler/core/rolling.h"
#include "scheduler/core/tasks.h"

namespace lotse::scheduler {
namespace {

bool is_fresh(const Task& task, const model::App& target) {
  return task.definition->last_config_change_at == target.last_config_change_at;
}

// A new task counts for a deployment when it is healthy for its agent, passed its readiness check, and every live proxy
// can send it requests (design section 4, rule 1).
bool serves(const State& state, const Task& task) {
  if (!is_healthy(task) || !is_usable_by_all_proxies(state, task)) return false;
  return task.definition->readiness_checks.empty() || task.readiness_passed.value_or(false);
}

struct Tally {
  std::vector<Task*> active;    // count as instances: neither leaving nor unreachable for too long
  std::vector<Task*> inactive;  // unreachable for too long
  int leaving = 0;
};

Tally tally(Turn& turn, const App& app) {
  Tally result;
  for (const model::TaskId& id : app.tasks) {
    Task& task = turn.state.tasks.at(id);
    if (task.leaving != Leaving::no) {
      ++result.leaving;
    } else if (is_inactive(task, turn.now.instant)) {
      result.inactive.push_back(&task);
    } else {
      result.active.push_back(&task);
    }
  }
  return result;
}

void set_queued(Turn& turn, App& app, int count, const Definition& definition) {
  if (count <= 0) {
    app.queued.reset();
    turn.state.queue.erase(app.id);
    return;
  }
  const WallTime since = app.queued ? app.queued->since : turn.now.wall;
  app.queued = QueueEntry{.count = count, .since = since, .definition = definition};
  turn.state.queue.insert(app.id);
}

// As many of `count` as the backoff and the agents' room allow; the rest waits in the queue.
void launch(Turn& turn, App& app, int count, const Definition& definition) {
  if (count > 0 && app.backoff.until > turn.now.instant) {
    turn.state.timers.arm({TimerKey::Kind::backoff, app.id}, app.backoff.until);
    set_queued(turn, app, count, definition);
    return;
  }
  if (count > 0) {
    PlacementRound round(turn.state, *definition, turn.now.instant);
    while (count > 0) {
      auto place = round.next(turn.random);
      if (!place) break;
      launch_task(turn, app, definition, std::move(*place));
      --count;
    }
  }
  set_queued(turn, app, count, definition);
}

bool must_move(const State& state, const Task& task) {
  auto agent = state.agents.find(task.agent);
  return agent != state.agents.end() && agent->second.is_draining;
}

void kill_some(Turn& turn, const App& app, const std::vector<Task*>& tasks, int count, const std::string& reason) {
  if (count <= 0) return;
  for (Task* task : select_victims(turn.state, *app.current, tasks, {}, static_cast<std::size_t>(count))) {
    begin_leaving(turn, *task, reason);
  }
}

// Replaces what `is_old` says by new tasks of `target`, within its upgradeStrategy: a new configuration, or tasks that
// have to move to another node.
template <typename IsOld>
void replace(Turn& turn, App& app, const Definition& target, const Tally& tasks, IsOld is_old,
             const std::string& reason) {
  RollingTasks counts{.leaving = tasks.leaving};
  std::vector<Task*> old_healthy, old_unhealthy, fresh;
  for (Task* task : tasks.active) {
    if (!is_old(*task)) {
      ++(serves(turn.state, *task) ? counts.fresh_healthy : counts.fresh_unhealthy);
      fresh.push_back(task);
    } else if (!is_healthy(*task)) {
      old_unhealthy.push_back(task);
    } else if (is_usable_by_all_proxies(turn.state, *task)) {
      old_healthy.push_back(task);
    } else {
      ++counts.old_unproven;
    }
  }
  counts.old_healthy = static_cast<int>(old_healthy.size());
  counts.old_unhealthy = static_cast<int>(old_unhealthy.size());
  const RollingMoves moves = rolling_moves({.instances = target->instances,
                                            .minimum_health_capacity = target->upgrade_strategy.minimum_health_capacity,
                                            .maximum_over_capacity = target->upgrade_strategy.maximum_over_capacity},
                                           counts);
  kill_some(turn, app, old_unhealthy, moves.kill_old_unhealthy, reason);
  kill_some(turn, app, old_healthy, moves.kill_old_healthy, reason);
  kill_some(turn, app, fresh, moves.kill_fresh, "scaled down");
  launch(turn, app, moves.start, target);
}

void keep_instances(Turn& turn, App& app, const Definition& definition, const std::set<model::TaskId>& victims) {
  const Tally tasks = tally(turn, app);
  const int wanted = definition->instances;
  const int active = static_cast<int>(tasks.active.size());
  auto moves = [&](const Task& task) { return must_move(turn.state, task); };
  if (std::any_of(tasks.active.begin(), tasks.active.end(), [&](const Task* task) { return moves(*task); })) {
    return replace(turn, app, definition, tasks, moves, "its node is being drained");
  }
  if (active > wanted) {
    const auto surplus = static_cast<std::size_t>(active - wanted);
    for (Task* task : select_victims(turn.state, *definition, tasks.active, victims, surplus)) {
      begin_leaving(turn, *task, "scaled down");
    }
  }
  // A killed task is replaced while it still drains, as far as the app allows more than its instances at once.
  const int most = std::max(wanted, capacity_max(wanted, definition->upgrade_strategy.maximum_over_capacity));
  const int room = std::max(0, most - active - tasks.leaving);
  launch(turn, app, std::clamp(wanted - active, 0, room), definition);
}

void stop_all(Turn& turn, App& app) {
  set_queued(turn, app, 0, nullptr);
  const std::set<model::TaskId> ids = app.tasks;  // an unreachable one leaves the app at once
  for (const model::TaskId& id : ids) begin_leaving(turn, turn.state.tasks.at(id), "the app is deleted");
  if (app.tasks.empty() && app.deployment.empty()) forget_app(turn, app.id);
}

void roll(Turn& turn, App& app) {
  const Definition target = app.current;
  const Tally tasks = tally(turn, app);
  auto is_old = [&](const Task& task) { return !is_fresh(task, *target) || must_move(turn.state, task); };
  replace(turn, app, target, tasks, is_old, "upgraded");
  for (Task* task : tasks.inactive) {  // old ones are not waited for; fresh ones may come back as surplus
    if (!is_fresh(*task, *target)) begin_leaving(turn, *task, "upgraded");
  }
}

// The step of `deployment` that does something to the app (start is a step without effect), and what.
struct Part {
  ActionKind kind = ActionKind::scale;
  std::size_t step = 0;
};
Part part_of(const Deployment& deployment, const model::AppId& app) {
  for (std::size_t i = 0; i < deployment.steps.size(); ++i) {
    for (const Action& action : deployment.steps[i].actions) {
      if (action.app == app && action.kind != ActionKind::start) return {action.kind, i};
    }
  }
  return {ActionKind::scale, deployment.steps.size()};
}

}  // namespace

void reconcile_app(Turn& turn, const model::AppId& id) {
  auto found = turn.state.apps.find(id);
  if (found == turn.state.apps.end()) return;
  App& app = found->second;
  auto locked = turn.state.deployments.find(app.deployment);
  if (locked == turn.state.deployments.end()) {
    if (app.is_removed) {
      stop_all(turn, app);
    } else {
      keep_instances(turn, app, app.current, {});
    }
    return;
  }
  const Deployment& deployment = locked->second;
  const Part part = part_of(deployment, id);
  if (deployment.current < part.step) {  // its turn has not come: what was, goes on
    const Definition& before = deployment.original.at(id);
    if (before != nullptr) keep_instances(turn, app, before, {});
    return;
  }
  if (app.is_removed) {
    stop_all(turn, app);
  } else if (deployment.current == part.step && part.kind == ActionKind::restart) {
    roll(turn, app);
  } else {
    keep_instances(turn, app, app.current, deployment.victims);
  }
}

void note_service(Turn& turn, const model::AppId& id) {
  auto app = turn.state.apps.find(id);
  if (app == turn.state.apps.end()) return;
  const auto& counts = app->second.tasks_on_agent;
  const auto& draining = turn.state.draining_agents;
  if (std::any_of(draining.begin(), draining.end(), [&](const auto& agent) { return counts.contains(agent); })) {
    turn.apps.insert(id);  // its next move away from there may wait for this
  }
  auto found = turn.state.deployments.find(app->second.deployment);
  if (found == turn.state.deployments.end()) return;
  const Part part = part_of(found->second, id);
  if (part.step == found->second.current && part.kind == ActionKind::restart) {
    turn.apps.insert(id);
  } else {
    turn.deployments.insert(found->first);
  }
}

bool is_done(const Turn& turn, const Action& action) {
  const State& state = turn.state;
  if (action.kind == ActionKind::start) return true;
  auto found = state.apps.find(action.app);
  if (found == state.apps.end()) return true;
  const App& app = found->second;
  if (action.kind == ActionKind::stop) return app.tasks.empty();
  int counted = 0;
  for (const model::TaskId& id : app.tasks) {
    const Task& task = state.tasks.at(id);
    if (task.leaving != Leaving::no) return false;
    const bool inactive = is_inactive(task, turn.now.instant);
    if (action.kind == ActionKind::restart) {
      if (!is_fresh(task, *app.current)) return false;
      if (inactive) continue;
      if (!serves(state, task)) return false;
    } else {
      if (inactive) continue;
      // Only what this very deployment started is waited for: others may have been unhealthy before.
      if (task.definition->version == app.current->version && !serves(state, task)) return false;
    }
    ++counted;
  }
  return counted == app.current->instances;
}

long progress_of(const Turn& turn, const Action& action) {
  auto found = turn.state.apps.find(action.app);
  if (found == turn.state.apps.end() || action.kind == ActionKind::start) return 0;
  const App& app = found->second;
  long covered = 0;
  for (const model::TaskId& id : app.tasks) {
    const Task& task = turn.state.tasks.at(id);
    const bool is_old = action.kind == ActionKind::restart && !is_fresh(task, *app.current);
    const bool is_surplus = action.kind == ActionKind::stop || is_old || task.leaving != Leaving::no;
    if (is_surplus) {
      --covered;
    } else if (serves(turn.state, task)) {
      ++covered;
    }
  }
  return covered;
}

void forget_app(Turn& turn, model::AppId id) {
  auto found = turn.state.apps.find(id);
  if (found == turn.state.apps.end()) return;
  for (const auto& [version, definition] : found->second.versions)
    turn.records[version_key(id, version)] = std::nullopt;
  turn.state.queue.erase(id);
  turn.state.apps.erase(found);
  turn.changed_apps.insert(id);
  Emit event;
  event.type = "app_terminated_event";
  event.app = id;
  turn.out.emplace_back(std::move(event));
}

}  // namespace lotse::scheduler

#include "scheduler/core/core.h"

#include <utility>

#include "scheduler/core/deployments.h"
#include "scheduler/core/handlers.h"
#include "scheduler/core/placement.h"
#include "scheduler/core/progress.h"
#include "scheduler/core/records.h"
#include "scheduler/core/routes.h"
#include "scheduler/core/scaling.h"
#include "scheduler/core/tasks.h"
#include "scheduler/core/turn.h"

namespace lotse::scheduler {
namespace {

void handle(Turn&, const Tick&) {}  // timers fire before every event

void fire(Turn& turn, const TimerKey& key) {
  switch (key.kind) {
    case TimerKey::Kind::agent:
      on_agent_timer(turn, key.id);
      break;
    case TimerKey::Kind::quarantine:
      on_quarantine_timer(turn, key.id);
      break;
    case TimerKey::Kind::proxy:
      on_lease_timer(turn);
      break;
    case TimerKey::Kind::backoff:
      turn.apps.insert(key.id);
      break;
    case TimerKey::Kind::deployment:
      on_progress_timer(turn, key.id);
      break;
    case TimerKey::Kind::task: {
      auto task = turn.state.tasks.find(key.id);
      if (task == turn.state.tasks.end()) break;
      if (task->second.leaving == Leaving::draining) turn.drains_due = true;
      if (task->second.state == model::TaskState::unreachable) {
        expunge_if_due(turn, task->second);
      } else {
        give_up_if_overdue(turn, task->second);
      }
      break;
    }
  }
}

// A restart: everything durable is there, but nothing has been looked at.
void look_at_all(Turn& turn) {
  for (const auto& [id, app] : turn.state.apps) turn.apps.insert(id);
  for (auto& [id, deployment] : turn.state.deployments) {
    turn.deployments.insert(id);
    watch_progress(turn, deployment);
  }
  for (const auto& [id, task] : turn.state.tasks) {
    if (task.is_ready && !task.is_published) turn.routes.emplace(id, model::GoneWhy::asked);
    if (turn.state.is_carried_over) turn.changed_health.insert(id);
  }
  // Unsynced, so that a heartbeat need not wait for a disk that is still full: these leases were granted without it.
  if (turn.state.is_carried_over) {
    for (const auto& [key, proxy] : turn.state.proxies) {
      turn.unsynced_records[proxy_key(proxy.id, proxy.boot)] = encode_proxy(proxy);
    }
  }
  turn.drains_due = true;
  turn.state.is_fresh = turn.state.is_carried_over = false;
}

// Room on an agent, or a port of it, may be what an app in the queue waits for.
void wake_queue(Turn& turn) {
  for (const model::AgentId& freed : std::exchange(turn.freed, {})) {
    auto agent = turn.state.agents.find(freed);
    if (agent == turn.state.agents.end()) continue;
    for (const model::AppId& id : turn.state.queue) {
      const App& app = turn.state.apps.at(id);
      const model::App& wanted = *app.queued->definition;
      if (obstacle(agent->second, wanted, resources_of(wanted)).empty()) turn.apps.insert(id);
    }
  }
}

// A proxy's word, or its end, may let deployments go on whose new tasks it did not know yet.
void wake_deployments(Turn& turn) {
  turn.proxies_changed = false;
  turn.drains_due = true;
  for (const auto& [id, deployment] : turn.state.deployments) {
    if (deployment.current >= deployment.steps.size()) continue;
    for (const Action& action : deployment.steps[deployment.current].actions) note_service(turn, action.app);
  }
  for (const model::AgentId& id : turn.state.draining_agents) {  // what replaces its tasks may be known now
    for (const model::TaskId& task : turn.state.agents.at(id).tasks) turn.apps.insert(turn.state.tasks.at(task).app);
  }
}

void reconcile_one(Turn& turn) {
  const model::AppId id = turn.apps.extract(turn.apps.begin()).value();
  reconcile_app(turn, id);
  auto app = turn.state.apps.find(id);
  if (app != turn.state.apps.end() && !app->second.deployment.empty()) turn.deployments.insert(app->second.deployment);
}

// Consequences, until there are none. The order matters: kills come after the revision that says `draining`, and a
// deployment is judged when its apps have been looked at and their endpoints are published.
void settle(Turn& turn) {
  for (;;) {
    if (turn.proxies_changed) {
      wake_deployments(turn);
    } else if (!turn.freed.empty()) {
      wake_queue(turn);
    } else if (!turn.apps.empty()) {
      reconcile_one(turn);
    } else if (!turn.routes.empty()) {
      publish_routes(turn);
    } else if (std::exchange(turn.drains_due, false)) {
      go_on_with_drains(turn);
    } else if (!turn.deployments.empty()) {
      advance_deployment(turn, turn.deployments.extract(turn.deployments.begin()).value());
    } else {
      return;
    }
  }
}

}  // namespace

std::vector<Command> step(State& state, const Event& event, Now now, Random& random) {
  Turn turn{.state = state, .now = now, .random = random};
  if (state.is_fresh) look_at_all(turn);
  while (auto due = state.timers.take_due(now.instant)) fire(turn, *due);
  std::visit([&turn](const auto& value) { handle(turn, value); }, event);
  settle(turn);
  return finish(std::move(turn));
}

std::vector<model::Endpoint> all_endpoints(const State& state) {
  std::vector<model::Endpoint> endpoints;
  for (const auto& [id, published] : state.table) endpoints.insert(endpoints.end(), published.begin(), published.end());
  return endpoints;
}

}  // namespace lotse::scheduler

#include "scheduler/core/deployments.h"

#include <algorithm>
#include <utility>

#include "scheduler/core/progress.h"
#include "scheduler/core/records.h"
#include "scheduler/core/scaling.h"

namespace lotse::scheduler {
namespace {

void emit(Turn& turn, const Deployment& deployment, std::string type, const std::string& reason = "") {
  Emit event;
  event.type = std::move(type);
  event.deployment = event.plan = deployment.id;
  event.version = deployment.version;
  event.plan_json = plan_json(deployment);
  if (deployment.current < deployment.steps.size()) {
    event.current_step_json = step_json(deployment.steps[deployment.current]);
  }
  event.reason = reason;
  turn.out.emplace_back(std::move(event));
}

void unlock(Turn& turn, const Deployment& deployment) {
  for (const auto& [id, original] : deployment.original) {
    auto app = turn.state.apps.find(id);
    if (app == turn.state.apps.end() || app->second.deployment != deployment.id) continue;
    app->second.deployment.clear();
    turn.apps.insert(id);
  }
}

// What was deployed with success is what a later failure goes back to.
void note_good_versions(Turn& turn, const Deployment& deployment) {
  for (const auto& [id, original] : deployment.original) {
    auto app = turn.state.apps.find(id);
    if (app == turn.state.apps.end() || app->second.is_removed) continue;
    app->second.good_version = app->second.current->version;
    turn.changed_apps.insert(id);
  }
}

// Its apps are free again, and how it ended is remembered for those who wait for it.
void end_deployment(Turn& turn, const Deployment& deployment, EndedDeployment ended) {
  State& state = turn.state;
  unlock(turn, deployment);
  ended.id = deployment.id;
  ended.version = deployment.version;
  state.ended_deployments.push_back(std::move(ended));
  if (state.ended_deployments.size() > state.settings.ended_deployments_max) state.ended_deployments.pop_front();
  turn.changed_deployments.insert(deployment.id);
  turn.unsynced_records.erase(progress_key(deployment.id));
  state.deployments.erase(std::string(deployment.id));
}

// The checks of configurations that this deployment has ended.
void emit_old_checks(Turn& turn, const Deployment& deployment) {
  for (const auto& [id, original] : deployment.original) {
    if (original == nullptr) continue;
    auto app = turn.state.apps.find(id);
    const bool goes_on = app != turn.state.apps.end() && !app->second.is_removed &&
                         app->second.current->last_config_change_at == original->last_config_change_at;
    for (std::size_t i = 0; i < original->health_checks.size() && !goes_on; ++i) {
      Emit event;
      event.type = "remove_health_check_event";
      event.app = id;
      turn.out.emplace_back(std::move(event));
    }
  }
}

void begin_step(Turn& turn, const Deployment& deployment) {
  emit(turn, deployment, "deployment_info");
  for (const Action& action : deployment.steps[deployment.current].actions) turn.apps.insert(action.app);
}

bool is_step_done(const Turn& turn, const DeploymentStep& step) {
  return std::all_of(step.actions.begin(), step.actions.end(), [&](const Action& a) { return is_done(turn, a); });
}

void finish_step(Turn& turn, Deployment& deployment) {
  for (const Action& action : deployment.steps[deployment.current].actions) {
    if (action.kind == ActionKind::stop) forget_app(turn, action.app);
  }
  emit(turn, deployment, "deployment_step_success");
  ++deployment.current;
  turn.changed_deployments.insert(deployment.id);
}

}  // namespace

void begin_deployment(Turn& turn, Deployment deployment) {
  const std::string id = deployment.id;
  Deployment& stored = turn.state.deployments.insert_or_assign(id, std::move(deployment)).first->second;
  turn.changed_deployments.insert(id);
  for (const auto& [app, original] : stored.original) {
    auto found = turn.state.apps.find(app);
    if (found != turn.state.apps.end()) found->second.deployment = id;
    turn.apps.insert(app);
  }
  if (stored.steps.empty()) {
    advance_deployment(turn, id);
  } else {
    begin_step(turn, stored);
    watch_progress(turn, stored);
  }
}

void advance_deployment(Turn& turn, const std::string& id) {
  auto found = turn.state.deployments.find(id);
  if (found == turn.state.deployments.end()) return;
  Deployment& deployment = found->second;
  while (deployment.current < deployment.steps.size()) {
    // What the step's apps still want to begin (launches, kills) must be under way before anything counts as done.
    const DeploymentStep& step = deployment.steps[deployment.current];
    const bool untouched = std::any_of(step.actions.begin(), step.actions.end(),
                                       [&](const Action& action) { return turn.apps.contains(action.app); });
    if (untouched || !is_step_done(turn, step)) return;
    finish_step(turn, deployment);
    if (deployment.current < deployment.steps.size()) begin_step(turn, deployment);
  }
  emit_old_checks(turn, deployment);
  emit(turn, deployment, "deployment_success");
  note_good_versions(turn, deployment);
  end_deployment(turn, deployment, {.is_success = true});
}

void cancel_deployment(Turn& turn, const std::string& id, const std::string& reason) {
  auto found = turn.state.deployments.find(id);
  if (found == turn.state.deployments.end()) return;
  emit(turn, found->second, "deployment_failed", reason);
  end_deployment(turn, found->second, {.is_success = false, .reason = reason});
}

void fail_deployment(Turn& turn, const std::string& id, const std::string& reason) {
  auto found = turn.state.deployments.find(id);
  if (found == turn.state.deployments.end()) return;
  emit(turn, found->second, "deployment_step_failure", reason);
  cancel_deployment(turn, id, reason);
}

}  // namespace lotse::scheduler

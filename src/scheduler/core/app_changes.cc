// Changes of the root group: definitions put, apps removed and restarted, tasks killed, deployments cancelled. All of
// them end in plan_steps() and one Deployment.
#include "scheduler/core/app_changes.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "model/app_json.h"
#include "model/json_text.h"
#include "scheduler/core/backoff.h"
#include "scheduler/core/deployments.h"
#include "scheduler/core/groups.h"
#include "scheduler/core/handlers.h"
#include "scheduler/core/records.h"
#include "scheduler/core/service_ports.h"
#include "scheduler/core/tasks.h"

namespace lotse::scheduler {
namespace {

struct Change {
  Token token = 0;
  std::vector<AppChange> apps;  // `after` without version
  bool force = false;
  bool is_rollback = false;  // of the core's own making
  bool is_revert = false;    // keep the configuration stamps of `after`: its tasks are not to be replaced
  std::set<model::TaskId> victims;
  GroupEdit groups;
  model::AppId group;  // whose change it is; empty: the apps' parent
  bool is_dry_run = false;
};

model::ApiError locked_error(const std::set<std::string>& deployments) {
  return {.status = 409,
          .message =
              "App is locked by one or more deployments. Override with the option '?force=true'. View details at "
              "'/v2/deployments/<DEPLOYMENT_ID>'.",
          .deployments = {deployments.begin(), deployments.end()}};
}

std::set<model::AppId> affected_by(const std::vector<DeploymentStep>& steps) {
  std::set<model::AppId> apps;
  for (const DeploymentStep& step : steps) {
    for (const Action& action : step.actions) apps.insert(action.app);
  }
  return apps;
}

// The oldest versions go, except those that tasks still run.
void trim_versions(Turn& turn, App& app) {
  const std::size_t most = std::max<std::size_t>(1, turn.state.settings.versions_max);
  if (app.versions.size() <= most) return;
  std::set<model::Version> used{app.current->version, app.good_version};
  for (const model::TaskId& id : app.tasks) used.insert(turn.state.tasks.at(id).definition->version);
  std::size_t excess = app.versions.size() - most;
  for (auto version = app.versions.begin(); version != app.versions.end() && excess > 0;) {
    if (used.contains(version->first)) {
      ++version;
      continue;
    }
    turn.records[version_key(app.id, version->first)] = std::nullopt;
    version = app.versions.erase(version);
    --excess;
  }
}

// The checks of a configuration that begins.
void emit_new_checks(Turn& turn, const model::App& definition) {
  for (const model::HealthCheck& check : definition.health_checks) {
    Emit event;
    event.type = "add_health_check_event";
    event.app = definition.id;
    event.version = definition.version;
    event.health_check_json = model::to_text(model::to_json(check));
    turn.out.emplace_back(std::move(event));
  }
}

void put_definition(Turn& turn, const AppChange& change, const model::Version& version, bool keeps_stamps) {
  model::App definition = *change.after;
  definition.version = version;
  const bool restarts = change.before == nullptr || change.restart || model::needs_restart(*change.before, definition);
  if (change.before == nullptr || restarts) {
    definition.last_scaling_at = version;
    if (!keeps_stamps || definition.last_config_change_at.empty()) definition.last_config_change_at = version;
  } else {
    definition.last_config_change_at = change.before->last_config_change_at;
    definition.last_scaling_at = version;
  }
  if (restarts) emit_new_checks(turn, definition);
  App& app = turn.state.apps[change.id];
  app.id = change.id;
  app.is_removed = false;
  if (change.before != nullptr) release_service_ports(turn.state, *change.before);
  claim_service_ports(turn.state, definition);
  turn.records[version_key(change.id, version)] = encode_version(definition);
  app.current = std::make_shared<const model::App>(std::move(definition));
  app.versions[version] = app.current;
  reset_backoff(turn, app);
  trim_versions(turn, app);
  turn.changed_apps.insert(change.id);
}

void carry_out(Turn& turn, const Change& change, const std::set<model::AppId>& affected, Deployment& deployment) {
  for (const AppChange& app : change.apps) {
    if (!affected.contains(app.id)) continue;
    deployment.original[app.id] = app.before;
    if (app.after == nullptr) {
      release_service_ports(turn.state, *app.before);
      turn.state.apps.at(app.id).is_removed = true;
      turn.changed_apps.insert(app.id);
    } else {
      put_definition(turn, app, deployment.version, change.is_revert);
    }
  }
}

model::AppId group_of(const Change& change) {
  if (!change.group.empty()) return change.group;
  return change.apps.size() == 1 ? parent_group(change.apps.front().id) : "/";
}

// The tree of groups follows the apps that the plan does something to.
void change_groups(Turn& turn, const Change& change, const std::set<model::AppId>& affected, const AppsAfter& after,
                   const model::Version& version) {
  AppsAfter changed_before, changed_after;
  for (const AppChange& app : change.apps) {
    if (!affected.contains(app.id)) continue;
    changed_before[app.id] = app.before;
    changed_after[app.id] = after.at(app.id);
  }
  edit_groups(turn, changed_before, changed_after, change.groups, version);
}

void refuse(Turn& turn, const Change& change, model::ApiError error) {
  if (!change.is_dry_run) {
    Emit group;
    group.type = "group_change_failed";
    group.app = group_of(change);
    group.version = turn.state.last_version;
    group.reason = error.message;
    turn.out.emplace_back(std::move(group));
  }
  turn.reply(change.token, std::move(error));
}

// Refuses, or begins the deployment. `change.apps` have their service ports.
void change_apps(Turn& turn, Change change) {
  State& state = turn.state;
  AppsAfter after;
  for (const AppChange& app : change.apps) after[app.id] = app.after;
  if (auto error = refuse_id_clash(state, after, change.groups.put)) return refuse(turn, change, std::move(*error));
  auto steps = plan_steps(
      change.apps, [&](const model::AppId& id) { return dependencies_after(state, after, change.groups.put, id); });
  if (!steps) {
    return refuse(
        turn, change,
        {.status = 422, .message = "Object is not valid", .details = {{"/dependencies", {steps.error().text()}}}});
  }
  if (change.is_dry_run) {
    turn.reply(change.token, PlannedSteps{steps_json(*steps)});
    return;
  }
  const std::set<model::AppId> affected = affected_by(*steps);
  std::set<std::string> locks;
  for (const model::AppId& id : affected) {
    auto app = state.apps.find(id);
    if (app != state.apps.end() && !app->second.deployment.empty()) locks.insert(app->second.deployment);
  }
  if (!locks.empty() && !change.force) {
    return refuse(turn, change, locked_error(locks));
  }
  if (!steps->empty() && state.deployments.size() - locks.size() >= state.settings.deployments_max) {
    return refuse(
        turn, change,
        {.status = 403,
         .message = "Max running deployments count (" + std::to_string(state.settings.deployments_max) + ") exceeded"});
  }
  for (const std::string& lock : locks) cancel_deployment(turn, lock, "replaced by a newer deployment with force");
  Deployment deployment;
  deployment.id = make_uuid(turn.random);
  deployment.version = turn.next_version();
  deployment.started = turn.now.wall;
  deployment.steps = std::move(*steps);
  deployment.victims = std::move(change.victims);
  deployment.is_rollback = change.is_rollback;
  carry_out(turn, change, affected, deployment);
  change_groups(turn, change, affected, after, deployment.version);
  turn.reply(change.token, DeploymentResult{deployment.version, deployment.id});
  Emit group;
  group.type = "group_change_success";
  group.app = group_of(change);
  group.version = deployment.version;
  turn.out.emplace_back(std::move(group));
  begin_deployment(turn, std::move(deployment));
}

Definition current_of(const State& state, const model::AppId& id) {
  const App* app = find_app(state, id);
  return app == nullptr ? nullptr : app->current;
}

std::optional<model::ApiError> refuse_change(const State& state, const ChangeApps& event) {
  for (const model::AppId& id : event.create_only) {
    if (find_app(state, id) != nullptr) {
      return model::ApiError{.status = 409, .message = "An app with id [" + id + "] already exists."};
    }
  }
  for (const std::vector<model::AppId>* ids : {&event.remove, &event.restart}) {
    for (const model::AppId& id : *ids) {
      if (find_app(state, id) == nullptr) {
        return model::ApiError{.status = 404, .message = "App '" + id + "' does not exist"};
      }
    }
  }
  return std::nullopt;
}

// Each app as it was, and what its tasks ran then still counts as new.
AppChange back_to(const State& state, const model::AppId& id, const Definition& before) {
  AppChange change{.id = id, .before = current_of(state, id), .after = before};
  if (change.before != nullptr && before != nullptr) {
    change.restart = change.before->last_config_change_at != before->last_config_change_at;
  }
  return change;
}

}  // namespace

void roll_back(Turn& turn, const Deployment& failed) {
  Change change{.force = true, .is_rollback = true, .is_revert = true};
  for (const auto& [id, original] : failed.original) {
    auto app = turn.state.apps.find(id);
    if (app == turn.state.apps.end() || app->second.is_removed) {
      if (original != nullptr) change.apps.push_back(back_to(turn.state, id, original));
      continue;
    }
    auto good = app->second.versions.find(app->second.good_version);
    if (good == app->second.versions.end()) continue;
    change.apps.push_back(back_to(turn.state, id, good->second));
  }
  if (change.apps.empty()) return;
  const std::size_t before = turn.state.deployments.size();
  change_apps(turn, std::move(change));
  if (turn.state.deployments.size() == before) return;
  for (const auto& [id, deployment] : turn.state.deployments) {
    if (deployment.version == turn.state.last_version) turn.state.ended_deployments.back().rollback = id;
  }
}

void handle(Turn& turn, const ChangeApps& event) {
  const State& state = turn.state;
  if (auto error = refuse_change(state, event)) {
    turn.reply(event.token, std::move(*error));
    return;
  }
  std::map<model::AppId, AppChange> changes;
  std::set<int> taken;
  for (const model::App& app : event.set) {
    const Definition before = current_of(state, app.id);
    model::App after = app;
    if (!assign_service_ports(state, before.get(), after, taken)) {
      turn.refuse(event.token, 503, "No service port is left for " + app.id);
      return;
    }
    changes[app.id] = {.id = app.id, .before = before, .after = std::make_shared<const model::App>(std::move(after))};
  }
  for (const model::AppId& id : event.remove) changes[id] = {.id = id, .before = current_of(state, id)};
  for (const model::AppId& id : event.restart) {
    AppChange& change = changes[id];
    if (change.id.empty()) change = {.id = id, .before = current_of(state, id), .after = current_of(state, id)};
    change.restart = true;
  }
  Change change{.token = event.token,
                .force = event.force,
                .groups = {.put = event.put_groups, .remove = event.remove_groups},
                .group = event.group,
                .is_dry_run = event.is_dry_run};
  for (auto& [id, app] : changes) change.apps.push_back(std::move(app));
  change_apps(turn, std::move(change));
}

void handle(Turn& turn, const KillTasks& event) {
  State& state = turn.state;
  KilledTasks killed;
  std::map<model::AppId, int> per_app;
  for (const model::TaskId& id : event.tasks) {
    auto task = state.tasks.find(id);
    if (task == state.tasks.end() || task->second.is_zombie) continue;
    killed.tasks.push_back(id);
    if (task->second.leaving == Leaving::no) ++per_app[task->second.app];
  }
  if (!event.scale) {
    turn.reply(event.token, killed);
    for (const model::TaskId& id : killed.tasks) {
      auto task = state.tasks.find(id);
      if (task != state.tasks.end()) begin_leaving(turn, task->second, "killed by request");
    }
    return;
  }
  Change change{.token = event.token, .force = event.force};
  change.victims.insert(killed.tasks.begin(), killed.tasks.end());
  for (const auto& [id, count] : per_app) {
    const Definition before = current_of(state, id);
    if (before == nullptr) continue;  // it is being deleted already
    model::App after = *before;
    after.instances = std::max(0, after.instances - count);
    change.apps.push_back({.id = id, .before = before, .after = std::make_shared<const model::App>(std::move(after))});
  }
  change_apps(turn, std::move(change));
}

void handle(Turn& turn, const CancelDeployment& event) {
  auto found = turn.state.deployments.find(event.deployment);
  if (found == turn.state.deployments.end()) {
    turn.refuse(event.token, 404, "DeploymentPlan " + event.deployment + " does not exist");
    return;
  }
  const std::map<model::AppId, Definition> original = found->second.original;
  cancel_deployment(turn, event.deployment, "cancelled by request");
  if (event.force) {
    turn.reply(event.token, Done{});
    return;
  }
  Change change{.token = event.token, .force = true, .is_revert = true};
  for (const auto& [id, before] : original) {
    if (current_of(turn.state, id) == nullptr && before == nullptr) continue;
    change.apps.push_back(back_to(turn.state, id, before));
  }
  change_apps(turn, std::move(change));
}

void handle(Turn& turn, const ResetDelay& event) {
  auto app = turn.state.apps.find(event.app);
  if (app == turn.state.apps.end() || app->second.is_removed || !app->second.queued) {
    turn.refuse(event.token, 404, "Application " + event.app + " not found in tasks queue.");
    return;
  }
  reset_backoff(turn, app->second);
  turn.apps.insert(event.app);
  turn.reply(event.token, Done{});
}

}  // namespace lotse::scheduler

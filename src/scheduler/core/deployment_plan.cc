#include "scheduler/core/deployment_plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lotse::scheduler {
namespace {

using nlohmann::json;

// The length of the longest path of dependencies below an app. Walks only what the changed apps reach.
class Layers {
 public:
  explicit Layers(const std::function<std::vector<model::AppId>(const model::AppId&)>& dependencies_of)
      : dependencies_of_(dependencies_of) {}

  // nullopt: `app` is on a cycle. Iterative, since a chain of dependencies may be as long as there are apps.
  std::optional<int> of(const model::AppId& app) {
    if (auto known = depth_.find(app); known != depth_.end()) return known->second;
    std::vector<Visit> path{visit(app)};
    while (!path.empty()) {
      Visit& top = path.back();
      if (top.next == top.dependencies.size()) {
        int depth = top.depth;
        depth_[top.app] = depth;
        on_path_.erase(top.app);
        path.pop_back();
        if (!path.empty()) path.back().depth = std::max(path.back().depth, depth + 1);
        continue;
      }
      const model::AppId dependency = top.dependencies[top.next++];
      if (on_path_.contains(dependency)) return std::nullopt;
      if (auto known = depth_.find(dependency); known != depth_.end()) {
        top.depth = std::max(top.depth, known->second + 1);
      } else {
        path.push_back(visit(dependency));
      }
    }
    return depth_[app];
  }

 private:
  struct Visit {
    model::AppId app;
    std::vector<model::AppId> dependencies;
    std::size_t next = 0;
    int depth = 0;
  };
  Visit visit(const model::AppId& app) {
    on_path_.insert(app);
    return {app, dependencies_of_(app)};
  }

  const std::function<std::vector<model::AppId>(const model::AppId&)>& dependencies_of_;
  std::map<model::AppId, int> depth_;
  std::set<model::AppId> on_path_;
};

std::optional<Action> action_of(const AppChange& change) {
  if (change.after == nullptr) return std::nullopt;  // a stop has a step of its own
  if (change.before == nullptr) return Action{ActionKind::scale, change.id};
  const bool differs = model::needs_restart(*change.before, *change.after);
  if (change.after->instances == 0) {
    if (!differs && change.before->instances == 0) return std::nullopt;
    return Action{ActionKind::scale, change.id};
  }
  if (differs || change.restart) return Action{ActionKind::restart, change.id};
  if (change.before->instances != change.after->instances) return Action{ActionKind::scale, change.id};
  return std::nullopt;
}

json to_json(const DeploymentStep& step) {
  json actions = json::array();
  for (const Action& action : step.actions) {
    actions.push_back({{"action", std::string(to_marathon(action.kind))}, {"app", action.app}});
  }
  return {{"actions", std::move(actions)}};
}

}  // namespace

Result<std::vector<DeploymentStep>, Problem> plan_steps(
    const std::vector<AppChange>& changes,
    const std::function<std::vector<model::AppId>(const model::AppId&)>& dependencies_of) {
  DeploymentStep stop, start;
  std::map<int, DeploymentStep> layers;
  Layers depths(dependencies_of);
  for (const AppChange& change : changes) {
    if (change.after == nullptr) {
      if (change.before != nullptr) stop.actions.push_back({ActionKind::stop, change.id});
      continue;
    }
    if (change.before == nullptr) start.actions.push_back({ActionKind::start, change.id});
    std::optional<int> depth = depths.of(change.id);
    if (!depth) return fail(Problem{change.id, "the dependencies are cyclic"});
    if (auto action = action_of(change)) layers[*depth].actions.push_back(*action);
  }
  std::vector<DeploymentStep> steps;
  if (!stop.actions.empty()) steps.push_back(std::move(stop));
  if (!start.actions.empty()) steps.push_back(std::move(start));
  for (auto& [depth, step] : layers) steps.push_back(std::move(step));
  return steps;
}

std::string_view to_marathon(ActionKind kind) {
  switch (kind) {
    case ActionKind::start:
      return "StartApplication";
    case ActionKind::stop:
      return "StopApplication";
    case ActionKind::scale:
      return "ScaleApplication";
    case ActionKind::restart:
      return "RestartApplication";
  }
  return "";
}

std::string plan_json(const Deployment& deployment) {
  json steps = json::array();
  for (const DeploymentStep& step : deployment.steps) steps.push_back(to_json(step));
  return json{{"id", deployment.id}, {"version", deployment.version}, {"steps", std::move(steps)}}.dump();
}

std::string step_json(const DeploymentStep& step) { return to_json(step).dump(); }

std::string steps_json(const std::vector<DeploymentStep>& steps) {
  json list = json::array();
  for (const DeploymentStep& step : steps) list.push_back(to_json(step));
  return list.dump();
}

}  // namespace lotse::scheduler

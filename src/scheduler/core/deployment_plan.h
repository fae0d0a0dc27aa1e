// What a change of apps has to do, and in which order (MARATHON.md section 5): stop what goes, start what is new, then
// one step for each layer of dependencies. Pure: definitions in, steps out. Carrying a plan out is deployments.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "model/app.h"
#include "model/task.h"

namespace lotse::scheduler {

using Definition = std::shared_ptr<const model::App>;  // immutable, shared by an app and its tasks

enum class ActionKind : std::uint8_t { start, stop, scale, restart };
std::string_view to_marathon(
    ActionKind kind);  // StartApplication, StopApplication, ScaleApplication, RestartApplication

struct Action {
  ActionKind kind = ActionKind::scale;
  model::AppId app;
  bool operator==(const Action&) const = default;
};
struct DeploymentStep {
  std::vector<Action> actions;
  bool operator==(const DeploymentStep&) const = default;
};

// The farthest a deployment has come, and when (progress.h). Stored unsynced.
struct Progress {
  std::size_t step = 0;
  long covered = 0;              // within that step; more is farther
  std::optional<Instant> since;  // absent: not looked at yet
  WallTime since_wall;           // the same, for the store
};

// A running deployment. It locks `changes`' apps against others.
struct Deployment {
  std::string id;
  model::Version version;
  WallTime started;
  std::vector<DeploymentStep> steps;
  std::size_t current = 0;                      // index into steps of the one under way; steps.size() when all are done
  std::map<model::AppId, Definition> original;  // every affected app as it was; nullptr: it did not exist
  std::set<model::TaskId> victims;              // KillTasks with scale: these go first
  bool is_rollback = false;                     // begun by the core, after another one failed
  Progress progress;
};

// One app's way from `before` to `after`; a nullptr: it is not there.
struct AppChange {
  model::AppId id;
  Definition before, after;
  bool restart = false;  // even where nothing differs
};

// `dependencies_of` answers for every app after the change. An empty result: nothing to do. Cyclic dependencies are a
// Problem. Unchanged apps in `changes` give no action.
Result<std::vector<DeploymentStep>, Problem> plan_steps(
    const std::vector<AppChange>& changes,
    const std::function<std::vector<model::AppId>(const model::AppId&)>& dependencies_of);

// {"id","version","steps":[{"actions":[{"action","app"}]}]} and {"actions":[...]}, as Marathon's events show them.
std::string plan_json(const Deployment& deployment);
std::string step_json(const DeploymentStep& step);
std::string steps_json(const std::vector<DeploymentStep>& steps);  // [{"actions":[...]}]

}  // namespace lotse::scheduler

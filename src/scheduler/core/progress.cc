#include "scheduler/core/progress.h"

#include <algorithm>

#include "scheduler/core/app_changes.h"
#include "scheduler/core/barrier.h"
#include "scheduler/core/deployments.h"
#include "scheduler/core/records.h"
#include "scheduler/core/scaling.h"

namespace lotse::scheduler {
namespace {

constexpr Duration kLookMax = std::chrono::seconds(30);
constexpr Duration kLookMin = std::chrono::milliseconds(100);
constexpr int kLooksPerDeadline = 20;

// The definition whose strategy counts for an app of the deployment: the new one, or for a deletion the old one.
const model::App* definition_of(const State& state, const Deployment& deployment, const model::AppId& id) {
  auto app = state.apps.find(id);
  if (app != state.apps.end() && !app->second.is_removed) return app->second.current.get();
  auto original = deployment.original.find(id);
  return original == deployment.original.end() ? nullptr : original->second.get();
}

bool may_fail(ActionKind kind) { return kind == ActionKind::scale || kind == ActionKind::restart; }

// How long the app's old tasks may yet take to leave: while they do, new ones may have no room.
Duration longest_end(const Turn& turn, const model::AppId& id) {
  Duration longest{0};
  auto app = turn.state.apps.find(id);
  if (app == turn.state.apps.end()) return longest;
  for (const model::TaskId& task_id : app->second.tasks) {
    const Task& task = turn.state.tasks.at(task_id);
    if (task.leaving == Leaving::no) continue;
    longest = std::max(longest, drain_deadline_of(turn.state.settings, *task.definition) +
                                    std::chrono::duration_cast<Duration>(model::kill_grace_of(*task.definition)));
  }
  return longest;
}

// The shortest among what the current step still waits for; nullopt: it may take for ever. Stopping is not ours to
// hurry, and the way back has no other way left.
std::optional<Duration> deadline_of(const Turn& turn, const Deployment& deployment) {
  if (deployment.is_rollback || deployment.current >= deployment.steps.size()) return std::nullopt;
  std::optional<Duration> shortest;
  for (const Action& action : deployment.steps[deployment.current].actions) {
    const model::App* app = definition_of(turn.state, deployment, action.app);
    if (!may_fail(action.kind) || app == nullptr) continue;
    const auto deadline = model::progress_deadline_of(*app);
    if (!deadline || is_done(turn, action)) continue;
    const Duration patience = std::chrono::duration_cast<Duration>(*deadline) + longest_end(turn, action.app);
    if (!shortest || patience < *shortest) shortest = patience;
  }
  return shortest;
}

Duration look_interval(const std::optional<Duration>& deadline) {
  return deadline ? std::clamp(*deadline / kLooksPerDeadline, kLookMin, kLookMax) : kLookMax;
}

long distance_covered(const Turn& turn, const Deployment& deployment) {
  long covered = 0;
  for (const Action& action : deployment.steps[deployment.current].actions) covered += progress_of(turn, action);
  return covered;
}

std::string obstacle_of(const Turn& turn, const Action& action) {
  auto found = turn.state.apps.find(action.app);
  if (found == turn.state.apps.end()) return "";
  const App& app = found->second;
  if (app.last_failure && app.last_failure->version == app.current->version) return app.last_failure->message;
  if (app.queued) {
    std::string reasons;
    for (const auto& [reason, agents] : explain_placement(turn.state, *app.queued->definition, turn.now.instant)) {
      if (!reason.empty()) reasons += (reasons.empty() ? "" : ", ") + reason + " on " + std::to_string(agents);
    }
    return reasons.empty() ? "no agent takes it" : reasons;
  }
  for (const model::TaskId& id : app.tasks) {
    const Task& task = turn.state.tasks.at(id);
    if (task.definition->version != app.current->version) continue;
    for (const model::HealthResult& result : task.results) {
      if (!result.alive && !result.last_failure_cause.empty()) return "unhealthy: " + result.last_failure_cause;
    }
    if (!is_healthy(task)) return "its tasks run and do not become healthy";
    if (!is_usable_by_all_proxies(turn.state, task)) return "not every proxy can use its tasks yet";
    if (!task.definition->readiness_checks.empty() && !task.readiness_passed.value_or(false)) {
      return "its readiness check does not pass";
    }
  }
  return "";
}

std::string reason_of(const Turn& turn, const Deployment& deployment, Duration deadline) {
  std::string reason = "no progress for " + format_duration(deadline);
  for (const Action& action : deployment.steps[deployment.current].actions) {
    if (!may_fail(action.kind) || is_done(turn, action)) continue;
    const std::string obstacle = obstacle_of(turn, action);
    return reason + ": " + action.app + (obstacle.empty() ? " is not done" : ": " + obstacle);
  }
  return reason;
}

bool wants_rollback(const Turn& turn, const Deployment& deployment) {
  const auto& actions = deployment.steps[deployment.current].actions;
  return std::any_of(actions.begin(), actions.end(), [&](const Action& action) {
    const model::App* app = definition_of(turn.state, deployment, action.app);
    return may_fail(action.kind) && app != nullptr && model::rolls_back(*app) && !is_done(turn, action);
  });
}

}  // namespace

void watch_progress(Turn& turn, Deployment& deployment) {
  if (deployment.current >= deployment.steps.size()) return;
  if (!deployment.progress.since) {
    deployment.progress = {.step = deployment.current,
                           .covered = distance_covered(turn, deployment),
                           .since = turn.now.instant,
                           .since_wall = turn.now.wall};
    turn.unsynced_records[progress_key(deployment.id)] = encode_progress(deployment);
  }
  turn.state.timers.arm({TimerKey::Kind::deployment, deployment.id},
                        turn.now.instant + look_interval(deadline_of(turn, deployment)));
}

void on_progress_timer(Turn& turn, const std::string& id) {
  auto found = turn.state.deployments.find(id);
  if (found == turn.state.deployments.end()) return;
  Deployment& deployment = found->second;
  if (deployment.current >= deployment.steps.size()) return;
  const long covered = distance_covered(turn, deployment);
  Progress& farthest = deployment.progress;
  const bool has_moved = farthest.step != deployment.current || covered > farthest.covered || !farthest.since;
  if (has_moved) {
    farthest = {.step = deployment.current, .covered = covered, .since = turn.now.instant, .since_wall = turn.now.wall};
    turn.unsynced_records[progress_key(id)] = encode_progress(deployment);
  }
  const auto deadline = deadline_of(turn, deployment);
  if (!deadline || turn.now.instant < *farthest.since + *deadline) {
    Instant next = turn.now.instant + look_interval(deadline);
    if (deadline) next = std::min(next, *farthest.since + *deadline);
    turn.state.timers.arm({TimerKey::Kind::deployment, id}, std::max(next, turn.now.instant + kLookMin));
    return;
  }
  const std::string reason = reason_of(turn, deployment, *deadline);
  const bool goes_back = wants_rollback(turn, deployment);
  const Deployment failed = deployment;
  fail_deployment(turn, id, reason);
  if (goes_back) roll_back(turn, failed);
}

}  // namespace lotse::scheduler

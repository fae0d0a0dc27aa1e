#include "cli/deployment_progress.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cli/client_command.h"
#include "cli/progress_line.h"
#include "cli/queue_reason.h"
#include "cli/task_log.h"

namespace lotse::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::size_t kLogLines = 20;
constexpr std::size_t kFailuresShown = 5;  // different ones, while waiting; the last one is told in the end

struct AppView {
  json app;
  bool exists = false;
};

Result<AppView, Problem> look_at(ApiClient& client, const std::string& id) {
  auto answer = client.call("GET", app_path(id));
  if (!answer) return fail(answer.error());
  if (answer->status == 404) return AppView{};
  if (!answer->is_success()) return fail(Problem{id, error_text(*answer)});
  json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object() || !body.contains("app")) return fail(Problem{id, "the scheduler's answer is no app"});
  return AppView{body["app"], true};
}

std::string config_version_of(const json& app) {
  return app.value("versionInfo", json::object()).value("lastConfigChangeAt", app.value("version", ""));
}

std::string counts_of(const std::string& id, const json& app) {
  int instances = app.value("instances", 0), current = 0;
  std::string version = config_version_of(app);
  for (const json& task : app.value("tasks", json::array())) current += task.value("version", "") >= version;
  std::string text = fmt::format("{}: {} wanted, {} running", id, instances, app.value("tasksRunning", 0));
  if (!app.value("healthChecks", json::array()).empty())
    text += fmt::format(", {} healthy", app.value("tasksHealthy", 0));
  int old = static_cast<int>(app.value("tasks", json::array()).size()) - current;
  if (old > 0) text += fmt::format(", {} of the version before", old);
  return text;
}

// Of this version: a failure of the one before explains nothing.
std::optional<FailedTask> ended_task_of(const json& app) {
  const json failure = app.contains("lastTaskFailure") ? app["lastTaskFailure"] : json();
  if (!failure.is_object() || failure.value("version", "") < config_version_of(app)) return std::nullopt;
  return FailedTask{.id = failure.value("taskId", ""),
                    .node = failure.value("slaveId", ""),
                    .message = failure.value("message", failure.value("state", "")),
                    .log = {}};
}

std::optional<FailedTask> unhealthy_task_of(const json& app) {
  for (const json& task : app.value("tasks", json::array())) {
    if (task.value("version", "") < config_version_of(app)) continue;
    for (const json& result : task.value("healthCheckResults", json::array())) {
      if (result.value("alive", false)) continue;
      json cause = result.value("lastFailureCause", json());
      return FailedTask{.id = task.value("id", ""),
                        .node = task.value("slaveId", ""),
                        .message = cause.is_string() ? "unhealthy: " + cause.get<std::string>() : "unhealthy",
                        .log = {}};
    }
  }
  return std::nullopt;
}

// "step 2/3, restart /shop/web"; empty for what has one step only, which the counts tell better.
std::string step_of(const json& deployment) {
  if (deployment.value("totalSteps", 0) < 2) return {};
  std::string actions;
  for (const json& action : deployment.value("currentActions", json::array())) {
    std::string name = action.value("action", "");
    for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    std::string verb = name.substr(0, name.find("application"));
    actions += (actions.empty() ? ", " : " and ") + verb + " " + action.value("app", "");
  }
  return fmt::format("step {}/{}{}; ", deployment.value("currentStep", 0), deployment.value("totalSteps", 0), actions);
}

// Looks again and again, and remembers what would explain a failure.
class Watch {
 public:
  Watch(ApiClient& client, const Followed& followed)
      : client_(client), followed_(followed), is_over_(followed.deployment.empty()) {}

  Outcome run() {
    for (;;) {
      if (auto outcome = look()) return finish(std::move(*outcome));
      if (clock_.now() - started_ > followed_.timeout) return finish(timed_out());
      client_.wait(milliseconds(200));
    }
  }

 private:
  // Nothing: not yet. A scheduler that restarts in the middle resumes the deployment, so silence is waited out.
  std::optional<Outcome> look() {
    json deployment{{"state", "success"}};
    if (!is_over_) {
      auto answer = client_.call("GET", "/v1/deployments/" + http::percent_encode(followed_.deployment));
      unreachable_ = !answer ? answer.error().text() : answer->status >= 500 ? error_text(*answer) : "";
      if (!unreachable_.empty()) {
        line_.show(unreachable_ + "; still trying");
        return std::nullopt;
      }
      // Long over, or told by a scheduler that forgot: what the apps look like decides.
      if (answer->is_success()) deployment = json::parse(answer->body, nullptr, false);
      if (!deployment.is_object()) return std::nullopt;
    }
    const std::string state = deployment.value("state", "success");
    if (state == "running") return show(deployment), std::nullopt;
    if (state == "failed") return failed(deployment);
    is_over_ = true;
    return judge_apps();
  }

  void show(const json& deployment) {
    std::vector<std::string> apps = apps_acted_on(deployment);
    if (apps.empty()) return;
    auto view = look_at(client_, apps.front());
    if (!view || !view->exists) return;
    std::string text = step_of(deployment) + counts_of(apps.front(), view->app);
    note_failure(view->app);
    if (std::string obstacle = what_keeps_waiting(client_, apps.front()); !obstacle.empty()) text += "; " + obstacle;
    obstacle_ = text;
    auto waited = std::chrono::duration_cast<std::chrono::seconds>(clock_.now() - started_).count();
    line_.show(fmt::format("{:3}s  ", waited), text);
  }

  std::vector<std::string> apps_acted_on(const json& deployment) const {
    std::vector<std::string> apps;
    for (const json& action : deployment.value("currentActions", json::array()))
      apps.push_back(action.value("app", ""));
    return apps.empty() ? followed_.apps : apps;
  }

  void note_failure(const json& app) {
    auto failed = ended_task_of(app);
    if (!failed) failed = unhealthy_task_of(app);
    if (!failed || (failed_ && failed_->id == failed->id && failed_->message == failed->message)) return;
    if (messages_.size() < kFailuresShown && messages_.insert(failed->message).second) {
      line_.keep(fmt::format("      task {} failed: {}", failed->id, failed->message));
    }
    failed_ = std::move(failed);
  }

  Outcome failed(const json& deployment) {
    Outcome outcome{.state = Outcome::State::failed, .reason = deployment.value("reason", ""), .rolled_back_to = {}};
    if (outcome.reason.empty()) outcome.reason = "was cancelled";
    for (const std::string& id : followed_.apps) {
      if (auto view = look_at(client_, id); view && view->exists && !failed_) note_failure(view->app);
    }
    if (std::string rollback = deployment.value("rollback", ""); !rollback.empty()) await_rollback(rollback, outcome);
    return outcome;
  }

  // A pipeline that goes on finds the version before in place, not on its way.
  void await_rollback(const std::string& id, Outcome& outcome) {
    if (failed_) read_log();  // before its agent forgets it
    line_.keep("      failed: " + outcome.reason + "; rolling back");
    while (clock_.now() - started_ <= followed_.timeout) {
      auto answer = client_.call("GET", "/v1/deployments/" + http::percent_encode(id));
      json rollback = answer && answer->is_success() ? json::parse(answer->body, nullptr, false) : json();
      std::string state = rollback.is_object() ? rollback.value("state", "") : "";
      if (state == "success") {
        auto view = followed_.apps.empty() ? AppView{} : look_at(client_, followed_.apps.front()).value_or(AppView{});
        outcome.rolled_back_to = view.exists ? view.app.value("version", "") : "the state before";
        return;
      }
      if (state == "failed") break;
      if (state == "running") show(rollback);
      client_.wait(milliseconds(200));
    }
    outcome.reason += "; the way back, deployment " + id + ", is not done either";
  }

  // The deployment is over: do the apps run what it wanted? An unchanged app may just be starting a task again.
  std::optional<Outcome> judge_apps() {
    using State = Outcome::State;
    for (const std::string& id : followed_.apps) {
      auto view = look_at(client_, id);
      if (!view) {
        unreachable_ = view.error().text();
        return std::nullopt;
      }
      if (!view->exists) return Outcome{.state = State::replaced, .reason = id + " was destroyed meanwhile"};
      const json& app = view->app;
      if (std::string now = app.value("version", ""); !followed_.version.empty() && now > followed_.version) {
        return Outcome{
            .state = State::replaced,
            .reason = fmt::format("it was replaced: {} is at version {}, this was {}", id, now, followed_.version)};
      }
      int good = app.value("healthChecks", json::array()).empty() ? app.value("tasksRunning", 0)
                                                                  : app.value("tasksHealthy", 0);
      if (good < app.value("instances", 0)) {
        note_failure(app);
        obstacle_ = counts_of(id, app);
        return std::nullopt;
      }
    }
    return Outcome{};
  }

  Outcome timed_out() {
    const std::string& why = unreachable_.empty() ? obstacle_ : unreachable_;
    return {.state = Outcome::State::timed_out,
            .reason = "not done after " + format_duration(followed_.timeout) + (why.empty() ? "" : "; " + why)};
  }

  Outcome finish(Outcome outcome) {
    if (outcome.state == Outcome::State::success) {
      line_.show(fmt::format("{:.1f}s  done", std::chrono::duration<double>(clock_.now() - started_).count()));
      return outcome;
    }
    if (failed_) read_log();
    outcome.failed = failed_;
    return outcome;
  }

  void read_log() {
    if (failed_->log.empty()) failed_->log = last_lines_of(client_, failed_->node, failed_->id, kLogLines);
  }

  ApiClient& client_;
  const Followed& followed_;
  SystemClock clock_;
  Instant started_ = clock_.now();
  ProgressLine line_;
  bool is_over_;
  std::string obstacle_, unreachable_;
  std::optional<FailedTask> failed_;
  std::set<std::string> messages_;
};

std::string_view name_of(Outcome::State state) {
  switch (state) {
    case Outcome::State::success:
      return "success";
    case Outcome::State::failed:
      return "failed";
    case Outcome::State::replaced:
      return "replaced";
    case Outcome::State::timed_out:
      break;
  }
  return "timed out";
}

}  // namespace

std::string health_of(const json& task) {
  json results = task.value("healthCheckResults", json::array());
  if (results.empty()) return "-";
  for (const json& result : results) {
    if (!result.value("alive", false)) return "unhealthy";
  }
  return "healthy";
}

Outcome wait_for_deployment(ApiClient& client, const Followed& followed) { return Watch(client, followed).run(); }

Result<Unit, Problem> tell(const Followed& followed, const Outcome& outcome) {
  if (outcome.state == Outcome::State::success) return Unit{};
  std::string words = outcome.reason;
  if (outcome.failed) {
    words += fmt::format("; last failure: task {}: {}", outcome.failed->id, outcome.failed->message);
    if (!outcome.failed->log.empty()) {
      std::fprintf(stderr, "---- the last lines of %s\n%s----\n", outcome.failed->id.c_str(),
                   outcome.failed->log.c_str());
    }
  }
  if (!outcome.rolled_back_to.empty()) words += "; rolled back: it is at version " + outcome.rolled_back_to;
  return fail(Problem{"deployment " + followed.deployment, words});
}

json to_json(const Followed& followed, const Outcome& outcome) {
  json told{{"deploymentId", followed.deployment}, {"version", followed.version}, {"state", name_of(outcome.state)}};
  if (!outcome.reason.empty()) told["reason"] = outcome.reason;
  if (!outcome.rolled_back_to.empty()) told["rolledBackTo"] = outcome.rolled_back_to;
  if (outcome.failed) {
    told["failedTask"] = {{"id", outcome.failed->id},
                          {"node", outcome.failed->node},
                          {"message", outcome.failed->message},
                          {"log", outcome.failed->log}};
  }
  return told;
}

}  // namespace lotse::cli

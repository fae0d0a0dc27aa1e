#include "cli/deployment_progress.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/client_command.h"

namespace lotse::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

// One line that is written over on a terminal, and a new line per change in a log, where time passing is no change.
class ProgressLine {
 public:
  void show(const std::string& text) { show("", text); }
  void show(const std::string& time, const std::string& text) {
    const std::string line = time + text;
    if (line == shown_ || (!is_terminal_ && text == shown_text_)) return;
    if (is_terminal_)
      std::fprintf(stderr, "\r\033[K%s", line.c_str());
    else
      std::fprintf(stderr, "%s\n", line.c_str());
    std::fflush(stderr);
    shown_ = line;
    shown_text_ = text;
  }
  ~ProgressLine() {
    if (is_terminal_ && !shown_.empty()) std::fputc('\n', stderr);
  }

 private:
  std::string shown_, shown_text_;
  bool is_terminal_ = isatty(STDERR_FILENO) != 0;
};

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

std::string counts_of(const std::string& id, const json& app) {
  int instances = app.value("instances", 0), current = 0;
  std::string version = app.value("versionInfo", json::object()).value("lastConfigChangeAt", app.value("version", ""));
  for (const json& task : app.value("tasks", json::array())) current += task.value("version", "") >= version;
  std::string text = fmt::format("{}: {} wanted, {} running", id, instances, app.value("tasksRunning", 0));
  if (!app.value("healthChecks", json::array()).empty())
    text += fmt::format(", {} healthy", app.value("tasksHealthy", 0));
  int old = static_cast<int>(app.value("tasks", json::array()).size()) - current;
  if (old > 0) text += fmt::format(", {} of the version before", old);
  return text;
}

std::string failure_of(const json& app) {
  if (!app.contains("lastTaskFailure") || !app["lastTaskFailure"].is_object()) return {};
  const json& failure = app["lastTaskFailure"];
  return fmt::format("{}: {}", failure.value("taskId", ""), failure.value("message", failure.value("state", "")));
}

// What keeps the app waiting in the queue: the last failure of this version while it backs off, else why no agent
// takes it. The seconds of a delay are left out: each would be a line in a log.
std::string obstacle_of(ApiClient& client, const std::string& id, const json& app) {
  auto answer = client.expect_success("GET", "/v2/queue");
  if (!answer) return {};
  const json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object()) return {};
  for (const json& entry : body.value("queue", json::array())) {
    if (entry.value("app", json::object()).value("id", "") != id) continue;
    if (entry.value("delay", json::object()).value("overdue", true)) return entry.value("reason", "");
    const json failure = app.contains("lastTaskFailure") ? app["lastTaskFailure"] : json();
    if (!failure.is_object() || failure.value("version", "") != app.value("version", "")) return {};
    return "last failure: " + failure.value("message", failure.value("state", ""));
  }
  return {};
}

Result<bool, Problem> is_running(ApiClient& client, const std::string& deployment) {
  auto answer = client.expect_success("GET", "/v2/deployments");
  if (!answer) return fail(answer.error());
  for (const json& entry : json::parse(answer->body, nullptr, false)) {
    if (entry.is_object() && entry.value("id", "") == deployment) return true;
  }
  return false;
}

// Once the deployment is over: do the apps run what it wanted? False: not yet (an unchanged app whose tasks start
// again).
Result<bool, Problem> is_fulfilled(ApiClient& client, const Followed& followed) {
  for (const std::string& id : followed.apps) {
    auto view = look_at(client, id);
    if (!view) return fail(view.error());
    if (!view->exists) return fail(Problem{id, "the app was destroyed meanwhile"});
    const json& app = view->app;
    if (std::string now = app.value("version", ""); !followed.version.empty() && now > followed.version) {
      return fail(Problem{id, fmt::format("the deployment was replaced: the app is at version {}, this was {}", now,
                                          followed.version)});
    }
    int good =
        app.value("healthChecks", json::array()).empty() ? app.value("tasksRunning", 0) : app.value("tasksHealthy", 0);
    if (good < app.value("instances", 0)) return false;
  }
  return true;
}

// One line of counts; `why` becomes what is in the way, when there is something.
void show_counts(ApiClient& client, const std::string& id, Duration waited, ProgressLine& line, std::string& why) {
  auto view = look_at(client, id);
  if (!view || !view->exists) return;
  if (std::string failure = failure_of(view->app); !failure.empty()) why = "last task failure: " + failure;
  std::string text = counts_of(id, view->app);
  if (std::string obstacle = obstacle_of(client, id, view->app); !obstacle.empty()) {
    text += "; " + obstacle;
    if (why.empty()) why = obstacle;
  }
  line.show(fmt::format("{:3}s  ", std::chrono::duration_cast<std::chrono::seconds>(waited).count()), text);
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

Result<Unit, Problem> wait_for_deployment(ApiClient& client, const Followed& followed) {
  SystemClock clock;
  const Instant started = clock.now();
  ProgressLine line;
  std::string obstacle, unreachable;
  bool is_over = followed.deployment.empty();
  for (;;) {
    const Duration waited = clock.now() - started;
    // A scheduler that restarts in the middle resumes the deployment, so silence is waited out.
    auto running = is_over ? Result<bool, Problem>(false) : is_running(client, followed.deployment);
    unreachable = running ? "" : running.error().text();
    if (running && !*running) {
      is_over = true;
      auto fulfilled = is_fulfilled(client, followed);
      if (!fulfilled) return fail(fulfilled.error());
      if (*fulfilled) break;
    }
    if (!running)
      line.show(unreachable + "; still trying");
    else if (!followed.apps.empty())
      show_counts(client, followed.apps.front(), waited, line, obstacle);
    if (waited > followed.timeout) {
      const std::string& why = unreachable.empty() ? obstacle : unreachable;
      return fail(Problem{"deployment " + followed.deployment,
                          "not done after " + format_duration(followed.timeout) + (why.empty() ? "" : "; " + why)});
    }
    client.wait(milliseconds(200));
  }
  line.show(fmt::format("{:.1f}s  done", std::chrono::duration<double>(clock.now() - started).count()));
  return Unit{};
}

}  // namespace lotse::cli

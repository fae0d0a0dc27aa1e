#include "scheduler/server/app_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/app_id.h"
#include "model/app_json.h"
#include "model/json_text.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

constexpr std::size_t kTaskBytes = 768;  // about what one is as text

bool is_staged(model::TaskState state) {
  return state == model::TaskState::staging || state == model::TaskState::starting;
}

bool has_health(const Task& task) { return !task.results.empty() || task.alive.has_value(); }

bool is_alive(const Task& task) {
  if (task.alive) return *task.alive;
  return std::all_of(task.results.begin(), task.results.end(), [](const auto& result) { return result.alive; });
}

void count(const Task& task, TaskCounts& counts) {
  const model::TaskState shown = shown_state(task);
  counts.staged += is_staged(shown);
  if (shown != model::TaskState::running) return;
  ++counts.running;
  if (has_health(task)) ++(is_alive(task) ? counts.healthy : counts.unhealthy);
}

void write_results(model::JsonWriter& out, const Task& task) {
  const std::string instance(model::instance_id_of(task.id));
  auto text_or_null = [&out](std::string_view name, const std::string& text) {
    out.key(name);
    text.empty() ? out.raw("null") : out.value(text);
  };
  out.key("healthCheckResults");
  out.begin_array();
  for (const model::HealthResult& result : task.results) {
    out.begin_object();
    out.member("alive", result.alive);
    out.member("consecutiveFailures", result.consecutive_failures);
    text_or_null("firstSuccess", result.first_success);
    text_or_null("lastSuccess", result.last_success);
    text_or_null("lastFailure", result.last_failure);
    text_or_null("lastFailureCause", result.last_failure_cause);
    out.member("instanceId", instance);
    out.end_object();
  }
  out.end_array();
}

json failure_info(const App& app) {
  const TaskFailure& failure = *app.last_failure;
  return {{"appId", app.id},
          {"taskId", failure.task},
          {"state", model::to_marathon(failure.state)},
          {"message", failure.message},
          {"host", failure.host},
          {"timestamp", failure.timestamp},
          {"slaveId", failure.agent},
          {"version", failure.version}};
}

// While an app is being deployed: what the readiness checks of its new tasks say.
json readiness_results(const State& state, const App& app) {
  json results = json::array();
  if (app.deployment.empty() || app.current->readiness_checks.empty()) return results;
  const model::ReadinessCheck& check = app.current->readiness_checks.front();
  for (const model::TaskId& id : app.tasks) {
    const Task& task = state.tasks.at(id);
    if (task.definition->version != app.current->version || task.state != model::TaskState::running) continue;
    json result = {{"name", check.name}, {"taskId", id}, {"ready", task.readiness_passed.value_or(false)}};
    if (task.readiness && check.preserve_last_response) {
      result["lastResponse"] = {{"status", task.readiness->status},
                                {"contentType", task.readiness->content_type},
                                {"body", task.readiness->body}};
    }
    results.push_back(std::move(result));
  }
  return results;
}

// One group of UI 1.3's task statistics; null without tasks, as Marathon leaves it out.
json stats_of(const std::vector<const Task*>& tasks, Now now) {
  TaskCounts counts;
  std::vector<double> lives;
  for (const Task* task : tasks) {
    model::TaskState state = shown_state(*task);
    count(*task, counts);
    auto started = model::TaskState::running == state ? parse_timestamp(task->started_at) : std::nullopt;
    if (started) lives.push_back(std::chrono::duration<double>(now.wall - *started).count());
  }
  json stats = {{"counts",
                 {{"staged", counts.staged},
                  {"running", counts.running},
                  {"healthy", counts.healthy},
                  {"unhealthy", counts.unhealthy}}}};
  if (!lives.empty()) {
    std::sort(lives.begin(), lives.end());
    double total = 0;
    for (double life : lives) total += life;
    stats["lifeTime"] = {{"averageSeconds", total / static_cast<double>(lives.size())},
                         {"medianSeconds", lives[lives.size() / 2]}};
  }
  return {{"stats", std::move(stats)}};
}

json task_stats(const App& app, const std::vector<const Task*>& tasks, Now now) {
  std::vector<const Task*> after_scaling, latest, outdated;
  const model::App& current = *app.current;
  for (const Task* task : tasks) {
    if (task->definition->version >= current.last_scaling_at) after_scaling.push_back(task);
    bool is_latest = task->definition->version >= current.last_config_change_at;
    (is_latest ? latest : outdated).push_back(task);
  }
  json stats = json::object();
  if (!after_scaling.empty()) stats["startedAfterLastScaling"] = stats_of(after_scaling, now);
  if (!latest.empty()) stats["withLatestConfig"] = stats_of(latest, now);
  if (!outdated.empty()) stats["withOutdatedConfig"] = stats_of(outdated, now);
  if (!tasks.empty()) stats["totalSummary"] = stats_of(tasks, now);
  return stats;
}

json action_info(const Action& action) {
  return {{"action", std::string(to_marathon(action.kind))}, {"app", action.app}};
}

}  // namespace

std::vector<const Task*> tasks_of(const State& state, const App& app) {
  std::vector<const Task*> tasks;
  for (const model::TaskId& id : app.tasks) {
    if (const Task* task = find_task(state, id)) tasks.push_back(task);
  }
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task* a, const Task* b) { return a->staged_at < b->staged_at; });
  return tasks;
}

TaskCounts counts_of(const State& state, const App& app) {
  TaskCounts counts;
  for (const model::TaskId& id : app.tasks) {
    if (const Task* task = find_task(state, id)) count(*task, counts);
  }
  return counts;
}

std::string app_text(const State& state, const App& app, const AppEmbeds& embeds, Now now,
                     std::string_view definition) {
  const bool wants_tasks = embeds.tasks || embeds.task_stats;
  const std::vector<const Task*> tasks = wants_tasks ? tasks_of(state, app) : std::vector<const Task*>();
  TaskCounts counts;
  for (const Task* task : tasks) count(*task, counts);
  if (!wants_tasks) counts = counts_of(state, app);
  model::JsonWriter out(256 + (embeds.tasks ? tasks.size() * kTaskBytes : 0));
  out.begin_object();
  out.member("tasksStaged", counts.staged);
  out.member("tasksRunning", counts.running);
  out.member("tasksHealthy", counts.healthy);
  out.member("tasksUnhealthy", counts.unhealthy);
  out.key("deployments");
  out.raw(app.deployment.empty() ? "[]" : model::to_text(json::array({{{"id", app.deployment}}})));
  if (embeds.last_task_failure && app.last_failure) {
    out.key("lastTaskFailure");
    out.raw(model::to_text(failure_info(app)));
  }
  if (embeds.readiness) {
    out.key("readinessCheckResults");
    out.raw(model::to_text(readiness_results(state, app)));
  }
  if (embeds.tasks) {
    out.key("tasks");
    out.begin_array();
    for (const Task* task : tasks) write_task(out, *task, true);
    out.end_array();
  }
  if (embeds.task_stats) {
    out.key("taskStats");
    out.raw(model::to_text(task_stats(app, tasks, now)));
  }
  out.end_object();
  // Two objects as one: the definition's without its end, ours without its beginning.
  std::string text(definition.substr(0, definition.size() - 1));
  text += ',';
  text += std::string_view(out.take()).substr(1);
  return text;
}

json app_info(const State& state, const App& app, const AppEmbeds& embeds, Now now) {
  return json::parse(app_text(state, app, embeds, now, model::to_text(model::to_json(*app.current))), nullptr, false);
}

void write_task(model::JsonWriter& out, const Task& task, bool with_service_ports) {
  out.begin_object();
  out.member("id", task.id);
  out.member("appId", task.app);
  out.member("host", task.host);
  out.key("ports");
  out.begin_array();
  for (int port : task.host_ports) {
    if (port != 0) out.value(port);
  }
  out.end_array();
  out.key("servicePorts");
  out.begin_array();
  if (with_service_ports) {
    for (const model::AppPort& port : model::ports_of(*task.definition)) out.value(port.service_port);
  }
  out.end_array();
  out.key("ipAddresses");
  out.begin_array();
  const std::string& ip = task.ip_address.empty() ? task.host : task.ip_address;
  if (!ip.empty()) {
    out.begin_object();
    out.member("ipAddress", ip);
    out.member("protocol", ip.find(':') == std::string::npos ? "IPv4" : "IPv6");
    out.end_object();
  }
  out.end_array();
  out.member("slaveId", task.agent);
  out.member("state", model::to_marathon(shown_state(task)));
  out.member("stagedAt", format_timestamp(task.staged_at));
  out.member("version", task.definition->version);
  out.key("localVolumes");
  out.raw("[]");
  out.member("role", task.definition->role);
  if (!task.started_at.empty()) out.member("startedAt", task.started_at);
  // Absent until there is a result: an empty list would make Traefik drop the task.
  if (!task.results.empty()) write_results(out, task);
  out.end_object();
}

json task_info(const Task& task, bool with_service_ports) {
  model::JsonWriter out(kTaskBytes);
  write_task(out, task, with_service_ports);
  return json::parse(out.take(), nullptr, false);
}

json deployment_info(const State& state, const Deployment& deployment) {
  json affected = json::array(), steps = json::array(), current = json::array();
  for (const auto& [id, definition] : deployment.original) affected.push_back(id);
  for (const DeploymentStep& step : deployment.steps) {
    json actions = json::array();
    for (const Action& action : step.actions) actions.push_back(action_info(action));
    steps.push_back({{"actions", std::move(actions)}});
  }
  if (deployment.current < deployment.steps.size()) {
    for (const Action& action : deployment.steps[deployment.current].actions) {
      json entry = action_info(action);
      auto app = state.apps.find(action.app);
      entry["readinessCheckResults"] = app == state.apps.end() ? json::array() : readiness_results(state, app->second);
      current.push_back(std::move(entry));
    }
  }
  std::size_t total = deployment.steps.size();
  return {{"id", deployment.id},
          {"version", deployment.version},
          {"affectedApps", std::move(affected)},
          {"affectedPods", json::array()},
          {"steps", std::move(steps)},
          {"currentActions", std::move(current)},
          {"currentStep", std::min(deployment.current + 1, total)},
          {"totalSteps", total}};
}

json deployment_answer(std::string_view version, std::string_view deployment) {
  return {{"version", std::string(version)}, {"deploymentId", std::string(deployment)}};
}

}  // namespace lotse::scheduler

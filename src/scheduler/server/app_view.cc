#include "scheduler/server/app_view.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "model/app_id.h"
#include "model/app_json.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

bool is_staged(model::TaskState state) {
  return state == model::TaskState::staging || state == model::TaskState::starting;
}

bool has_health(const Task& task) { return !task.results.empty() || task.alive.has_value(); }

bool is_alive(const Task& task) {
  if (task.alive) return *task.alive;
  return std::all_of(task.results.begin(), task.results.end(), [](const auto& result) { return result.alive; });
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
    counts.staged += is_staged(state);
    counts.running += state == model::TaskState::running;
    if (state == model::TaskState::running && has_health(*task))
      ++(is_alive(*task) ? counts.healthy : counts.unhealthy);
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
    const Task* task = find_task(state, id);
    if (task == nullptr) continue;
    model::TaskState shown = shown_state(*task);
    counts.staged += is_staged(shown);
    if (shown != model::TaskState::running) continue;
    ++counts.running;
    if (has_health(*task)) ++(is_alive(*task) ? counts.healthy : counts.unhealthy);
  }
  return counts;
}

json app_info(const State& state, const App& app, const AppEmbeds& embeds, Now now) {
  json info = model::to_json(*app.current);
  TaskCounts counts = counts_of(state, app);
  info["tasksStaged"] = counts.staged;
  info["tasksRunning"] = counts.running;
  info["tasksHealthy"] = counts.healthy;
  info["tasksUnhealthy"] = counts.unhealthy;
  info["deployments"] = json::array();
  if (!app.deployment.empty()) info["deployments"].push_back({{"id", app.deployment}});
  if (embeds.last_task_failure && app.last_failure) info["lastTaskFailure"] = failure_info(app);
  if (embeds.readiness) info["readinessCheckResults"] = readiness_results(state, app);
  if (!embeds.tasks && !embeds.task_stats) return info;
  std::vector<const Task*> tasks = tasks_of(state, app);
  if (embeds.tasks) {
    info["tasks"] = json::array();
    for (const Task* task : tasks) info["tasks"].push_back(task_info(*task, true));
  }
  if (embeds.task_stats) info["taskStats"] = task_stats(app, tasks, now);
  return info;
}

json task_info(const Task& task, bool with_service_ports) {
  model::TaskState state = shown_state(task);
  std::string instance(model::instance_id_of(task.id));
  json ports = json::array(), service_ports = json::array(), addresses = json::array();
  for (int port : task.host_ports) {
    if (port != 0) ports.push_back(port);
  }
  if (with_service_ports) {
    for (const model::AppPort& port : model::ports_of(*task.definition)) service_ports.push_back(port.service_port);
  }
  std::string ip = task.ip_address.empty() ? task.host : task.ip_address;
  if (!ip.empty()) {
    addresses.push_back({{"ipAddress", ip}, {"protocol", ip.find(':') == std::string::npos ? "IPv4" : "IPv6"}});
  }
  json info = {{"id", task.id},
               {"appId", task.app},
               {"host", task.host},
               {"ports", std::move(ports)},
               {"servicePorts", std::move(service_ports)},
               {"ipAddresses", std::move(addresses)},
               {"slaveId", task.agent},
               {"state", std::string(model::to_marathon(state))},
               {"stagedAt", format_timestamp(task.staged_at)},
               {"version", task.definition->version},
               {"localVolumes", json::array()},
               {"role", task.definition->role}};
  if (!task.started_at.empty()) info["startedAt"] = task.started_at;
  // Absent until there is a result: an empty list would make Traefik drop the task.
  if (!task.results.empty()) {
    info["healthCheckResults"] = json::array();
    for (const model::HealthResult& result : task.results) {
      info["healthCheckResults"].push_back(model::to_json(result, instance));
    }
  }
  return info;
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

#include "scheduler/server/tasks_api.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "model/app_id.h"
#include "model/app_json.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/apps_api.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

// `status` and `status[]`: running or staging; anything else is ignored, as in Marathon.
struct StatusFilter {
  bool running = false, staging = false;
  bool passes(const Task& task) const {
    if (!running && !staging) return true;
    model::TaskState state = shown_state(task);
    bool is_staging = state == model::TaskState::staging || state == model::TaskState::starting;
    return (running && state == model::TaskState::running) || (staging && is_staging);
  }
};

StatusFilter filter_of(const http::ServerRequest& request) {
  StatusFilter filter;
  for (const auto& [name, value] : request.parameters) {
    if (name != "status" && name != "status[]") continue;
    filter.running |= value == "running";
    filter.staging |= value == "staging";
  }
  return filter;
}

// One line for each port of the app: id with '_', service port, "host:port" of every running task, tab separated.
void append_lines(std::string& text, const State& state, const App& app) {
  std::string name = app.id.substr(1);
  std::replace(name.begin(), name.end(), '/', '_');
  std::vector<const Task*> running = tasks_of(state, app);
  std::erase_if(running, [](const Task* task) { return shown_state(*task) != model::TaskState::running; });
  std::vector<model::AppPort> ports = model::ports_of(*app.current);
  if (ports.empty()) {
    text += name + "\t \t";
    for (const Task* task : running) text += task->host + "\t";
    text += "\n";
  }
  for (std::size_t i = 0; i < ports.size(); ++i) {
    text += name + "\t" + std::to_string(ports[i].service_port) + "\t";
    for (const Task* task : running) {
      if (i < task->host_ports.size() && task->host_ports[i] != 0) {
        text += task->host + ":" + std::to_string(task->host_ports[i]) + "\t";
      }
    }
    text += "\n";
  }
}

}  // namespace

void TasksApi::add_to(http::Router& router) {
  router.add("GET", "/v2/tasks",
             [this](http::ServerRequest& request, http::Responder responder) { list(request, std::move(responder)); });
  router.add("POST", "/v2/tasks/delete", [this](http::ServerRequest& request, http::Responder responder) {
    kill_listed(request, std::move(responder));
  });
}

void TasksApi::list(const http::ServerRequest& request, http::Responder responder) {
  if (accepts_explicitly(request, "text/plain") && !accepts_explicitly(request, "application/json")) {
    return respond_text(responder, 200, as_text(nullptr), "text/plain");
  }
  StatusFilter filter = filter_of(request);
  model::JsonWriter out;
  out.begin_object();
  out.key("tasks");
  out.begin_array();
  for (const auto& [id, app] : engine_.state().apps) {
    if (app.is_removed) continue;
    for (const Task* task : tasks_of(engine_.state(), app)) {
      if (filter.passes(*task)) write_task(out, *task, true);
    }
  }
  out.end_array();
  out.end_object();
  respond_text(responder, 200, out.take(), "application/json");
}

void TasksApi::list_of_app(const http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  const App* app = find_app(engine_.state(), id);
  if (app == nullptr) return respond_error(responder, unknown_app(id));
  if (accepts_explicitly(request, "text/plain") && !accepts_explicitly(request, "application/json")) {
    return respond_text(responder, 200, as_text(app), "text/plain");
  }
  json tasks = json::array();
  for (const Task* task : tasks_of(engine_.state(), *app)) tasks.push_back(task_info(*task, true));
  respond_json(responder, 200, {{"tasks", std::move(tasks)}});
}

void TasksApi::list_below(const model::AppId& group, http::Responder responder) {
  json tasks = json::array();
  for (const auto& [id, app] : engine_.state().apps) {
    if (app.is_removed || !is_below(id, group)) continue;
    for (const Task* task : tasks_of(engine_.state(), app)) tasks.push_back(task_info(*task, true));
  }
  respond_json(responder, 200, {{"tasks", std::move(tasks)}});
}

std::string TasksApi::as_text(const App* only) const {
  std::string text;
  for (const auto& [id, app] : engine_.state().apps) {
    if (!app.is_removed && (only == nullptr || only == &app)) append_lines(text, engine_.state(), app);
  }
  return text;
}

void TasksApi::kill_of_app(const http::ServerRequest& request, const model::AppId& id, http::Responder responder) {
  const App* app = find_app(engine_.state(), id);
  if (app == nullptr) return respond_error(responder, unknown_app(id));
  std::vector<const Task*> tasks = tasks_of(engine_.state(), *app);
  if (auto host = request.parameter("host"); host && !host->empty() && *host != "*") {
    std::erase_if(tasks, [&](const Task* task) { return task->host != *host; });
  }
  kill(request, std::move(tasks), Shape::list, std::move(responder));
}

void TasksApi::kill_one(const http::ServerRequest& request, const model::AppId& id, const model::TaskId& task,
                        http::Responder responder) {
  if (find_app(engine_.state(), id) == nullptr) return respond_error(responder, unknown_app(id));
  const Task* found = find_task(engine_.state(), task);
  if (found == nullptr || found->app != id) return respond_error(responder, unknown_task(task));
  kill(request, {found}, Shape::single, std::move(responder));
}

void TasksApi::kill_listed(http::ServerRequest& request, http::Responder responder) {
  auto body = model::parse_json(request.body);
  if (!body) return respond_error(responder, body.error());
  if (!body->is_object() || !body->contains("ids") || !(*body)["ids"].is_array()) {
    return respond_error(responder, {422, "Invalid JSON", {{"/ids", {"error.path.missing"}}}, "", {}});
  }
  std::vector<const Task*> tasks;
  for (const json& id : (*body)["ids"]) {
    if (!id.is_string()) {
      return respond_error(responder, {422, "Invalid JSON", {{"/ids", {"error.expected.jsstring"}}}, "", {}});
    }
    const auto& text = id.get_ref<const std::string&>();
    if (!model::app_of_task_id(text)) {
      return respond_error(responder, {400, "Invalid task id '" + text + "'", {}, "", {}});
    }
    if (const Task* task = find_task(engine_.state(), text)) tasks.push_back(task);  // others are gone already
  }
  kill(request, std::move(tasks), Shape::list, std::move(responder));
}

void TasksApi::kill(const http::ServerRequest& request, std::vector<const Task*> tasks, Shape shape,
                    http::Responder responder) {
  bool scale = request.flag("scale", false);
  if (scale && request.flag("wipe", false)) {
    return respond_error(responder, {400, "You cannot use scale and wipe at the same time.", {}, "", {}});
  }
  KillTasks event;
  event.scale = scale;
  event.force = request.flag("force", false);
  json killed = json::array();
  for (const Task* task : tasks) {
    event.tasks.push_back(task->id);
    killed.push_back(task_info(*task, false));
  }
  if (tasks.empty() && !scale) return respond_json(responder, 200, {{"tasks", std::move(killed)}});
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(std::move(event), [waiting, shape, killed = std::move(killed)](const Answer& answer) {
    if (!std::holds_alternative<KilledTasks>(answer)) return respond_deployment(*waiting, answer);
    if (shape == Shape::single) return respond_json(*waiting, 200, {{"task", killed.at(0)}});
    respond_json(*waiting, 200, {{"tasks", killed}});
  });
}

}  // namespace lotse::scheduler

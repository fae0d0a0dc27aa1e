// `lotse task ...`: list, logs, kill.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/deployment_progress.h"
#include "cli/table.h"
#include "cli/task_log.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

Result<Unit, Problem> list(ApiClient& client, const ClientOptions& options, const std::string& app) {
  auto answer = client.expect_success("GET", app.empty() ? "/v2/tasks" : app_path(app, "/tasks"));
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json body = json::parse(answer->body, nullptr, false);
  Table table({"TASK", "APP", "STATE", "HOST", "PORTS", "HEALTH", "AGE", "NODE"});
  for (const json& task : body.value("tasks", json::array())) {
    std::string ports;
    for (const json& port : task.value("ports", json::array())) ports += (ports.empty() ? "" : ",") + port.dump();
    table.add({task.value("id", ""), task.value("appId", ""), task.value("state", ""), task.value("host", ""), ports,
               health_of(task), age_of(task.value("startedAt", task.value("stagedAt", ""))),
               task.value("slaveId", "")});
  }
  print(table.is_empty() ? "no tasks\n" : table.text());
  return Unit{};
}

Result<json, Problem> find_task(ApiClient& client, const std::string& id) {
  auto answer = client.expect_success("GET", "/v2/tasks");
  if (!answer) return fail(answer.error());
  json found;
  for (const json& task : json::parse(answer->body, nullptr, false).value("tasks", json::array())) {
    std::string name = task.value("id", "");
    if (name == id) return task;
    if (name.starts_with(id)) {
      if (!found.is_null()) return fail(Problem{id, "several tasks begin so; write more of the id"});
      found = task;
    }
  }
  if (found.is_null()) return fail(Problem{"", "Task '" + id + "' does not exist"});
  return found;
}

Result<Unit, Problem> logs(ApiClient& client, const std::string& id, bool follow) {
  auto task = find_task(client, id);
  if (!task) return fail(task.error());
  auto agent = open_agent(client, task->value("slaveId", ""));
  if (!agent) return fail(agent.error());
  auto read = agent->stream(log_path(task->value("id", ""), follow), [](std::string_view bytes) { print(bytes); });
  if (!read) return fail(read.error());
  return Unit{};
}

Result<Unit, Problem> kill(ApiClient& client, const ClientOptions& options, const std::string& id, bool scale) {
  auto task = find_task(client, id);
  if (!task) return fail(task.error());
  std::string name = task->value("id", "");
  auto answer = client.expect_success("POST", std::string("/v2/tasks/delete") + (scale ? "?scale=true" : ""),
                                      json{{"ids", {name}}}.dump());
  if (!answer) return fail(answer.error());
  print_line(options.json
                 ? answer->body
                 : fmt::format("{} drains and is stopped{}", name,
                               scale ? ", and the app has one instance less" : "; another one takes its place"));
  return Unit{};
}

}  // namespace

void add_task(CLI::App& root, Invocation& invocation) {
  CLI::App* task = root.add_subcommand("task", "Look at running tasks, read their logs, replace them");
  task->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  auto flag = std::make_shared<bool>(false);

  CLI::App* command =
      add_client_command(*task, invocation, "list", "Every task, or those of one app", Talks::to_scheduler,
                         [=](ApiClient& client, const ClientOptions& options) { return list(client, options, *id); });
  command->add_option("app", *id, "App id")->type_name("APP");

  command = add_client_command(*task, invocation, "logs", "What the task wrote to standard output and error",
                               Talks::to_scheduler,
                               [=](ApiClient& client, const ClientOptions&) { return logs(client, *id, *flag); });
  command->add_option("id", *id, "Task id, or an unambiguous beginning of it")->required()->type_name("ID");
  command->add_flag("--follow,-f", *flag, "Go on with what comes");

  command = add_client_command(
      *task, invocation, "kill", "Stop a task once no request is under way; a new one replaces it", Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) { return kill(client, options, *id, *flag); });
  command->add_option("id", *id, "Task id, or an unambiguous beginning of it")->required()->type_name("ID");
  command->add_flag("--scale", *flag, "Lower the app's instances by one instead of replacing it");
}

}  // namespace lotse::cli

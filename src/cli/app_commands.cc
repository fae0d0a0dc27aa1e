// `lotse app ...`: deploy, promote, list, show, scale, restart, rollback, destroy. Talks Marathon's API, like any other
// client.
#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/app_deployment.h"
#include "cli/client_command.h"
#include "cli/deployment_progress.h"
#include "cli/table.h"
#include "model/json_text.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

constexpr int kInstancesMax = 1'000'000;  // a slip of the keyboard, not a cluster

Result<std::string, Problem> read_definition(const std::string& file) {
  std::stringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream stream(file);
    if (!stream) return fail(Problem{file, std::string("cannot be read: ") + std::strerror(errno)});
    if (stream.peek(); stream.bad()) return fail(Problem{file, "cannot be read; is it a directory?"});
    stream.clear();
    text << stream.rdbuf();
  }
  return text.str();
}

Result<Unit, Problem> deploy(ApiClient& client, const ClientOptions& options, const std::string& file, bool force,
                             const WaitOptions& wait) {
  auto text = read_definition(file);
  if (!text) return fail(text.error());
  auto parsed = model::parse_json_text(*text);
  if (!parsed) return fail(Problem{file, "not JSON: " + parsed.error().what});
  const json& definition = *parsed;
  std::vector<std::string> apps;
  std::string target;
  // The file is the whole truth about the app, so what it does not name goes back to its default.
  std::string query = force ? "?partialUpdate=false&force=true" : "?partialUpdate=false";
  if (definition.is_array()) {
    for (const json& app : definition) {
      if (app.is_object() && app.contains("id") && app["id"].is_string()) apps.push_back(normal_app_id(app["id"]));
    }
    target = "/v2/apps" + query;
  } else if (definition.is_object() && (definition.contains("apps") || definition.contains("groups"))) {
    std::string id = definition.contains("id") && definition["id"].is_string() ? normal_app_id(definition["id"]) : "/";
    target = "/v2/groups" + (id == "/" ? "" : app_path(id).substr(std::string_view("/v2/apps").size())) +
             (force ? "?force=true" : "");
  } else if (definition.is_object() && definition.contains("id") && definition["id"].is_string()) {
    apps.push_back(normal_app_id(definition["id"]));
    target = app_path(apps.front(), query);
  } else {
    return fail(Problem{
        file, "an app (an object with an \"id\"), a list of apps, or a group (with \"apps\" or \"groups\") is wanted"});
  }
  auto answer = client.expect_success("PUT", target, *text);
  if (!answer) return fail(answer.error());
  return follow_answer(client, options, wait, *answer, apps);
}

std::string image_or_cmd(const json& app) {
  if (app.contains("container") && app["container"].is_object() && app["container"].contains("docker")) {
    return app["container"]["docker"].value("image", "");
  }
  std::string cmd = app.contains("cmd") && app["cmd"].is_string() ? app["cmd"].get<std::string>() : "";
  return cmd.size() > 40 ? cmd.substr(0, 37) + "..." : cmd;
}

Result<Unit, Problem> list(ApiClient& client, const ClientOptions& options) {
  auto answer = client.expect_success("GET", "/v2/apps");
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json body = json::parse(answer->body, nullptr, false);
  Table table({"APP", "INSTANCES", "RUNNING", "HEALTHY", "DEPLOYING", "RUNS", "VERSION"});
  for (const json& app : body.value("apps", json::array())) {
    table.add(
        {app.value("id", ""), std::to_string(app.value("instances", 0)), std::to_string(app.value("tasksRunning", 0)),
         app.value("healthChecks", json::array()).empty() ? "-" : std::to_string(app.value("tasksHealthy", 0)),
         app.value("deployments", json::array()).empty() ? "" : "yes", image_or_cmd(app), app.value("version", "")});
  }
  print(table.is_empty() ? "no apps; deploy one with: lotse app deploy FILE\n" : table.text());
  return Unit{};
}

Result<Unit, Problem> show(ApiClient& client, const ClientOptions& options, const std::string& id) {
  auto answer = client.expect_success("GET", app_path(id));
  if (!answer) return fail(answer.error());
  json body = json::parse(answer->body, nullptr, false);
  if (options.json || !body.contains("app")) return print_line(answer->body), Unit{};
  json& app = body["app"];
  json tasks = app.value("tasks", json::array());
  json failure = app.contains("lastTaskFailure") ? app["lastTaskFailure"] : json();
  for (const char* key : {"tasks", "lastTaskFailure", "deployments", "tasksStats"}) app.erase(key);
  print_line(app.dump(2));
  Table table({"TASK", "STATE", "HOST", "PORTS", "HEALTH", "AGE", "VERSION"});
  for (const json& task : tasks) {
    std::string ports;
    for (const json& port : task.value("ports", json::array())) ports += (ports.empty() ? "" : ",") + port.dump();
    table.add({task.value("id", ""), task.value("state", ""), task.value("host", ""), ports, health_of(task),
               age_of(task.value("startedAt", "")), task.value("version", "")});
  }
  print("\n" + table.text());
  if (failure.is_object()) {
    print_line(fmt::format("\nlast failure: {} {} on {}: {}", failure.value("timestamp", ""),
                           failure.value("state", ""), failure.value("host", ""), failure.value("message", "")));
  }
  return Unit{};
}

Result<Unit, Problem> rollback(ApiClient& client, const ClientOptions& options, const std::string& id,
                               std::string version, const WaitOptions& wait) {
  if (version.empty()) {
    auto answer = client.expect_success("GET", app_path(id, "/versions"));
    if (!answer) return fail(answer.error());
    json versions = json::parse(answer->body, nullptr, false).value("versions", json::array());
    if (versions.size() < 2) return fail(Problem{id, "there is no earlier version"});
    version = versions[1];
    std::fprintf(stderr, "going back to version %s\n", version.c_str());
  }
  auto answer = client.expect_success("PUT", app_path(id), json{{"version", version}}.dump());
  if (!answer) return fail(answer.error());
  return follow_answer(client, options, wait, *answer, {normal_app_id(id)});
}

}  // namespace

void add_app(CLI::App& root, Invocation& invocation) {
  CLI::App* app = root.add_subcommand("app", "Deploy and look after apps");
  app->require_subcommand(1);

  auto wait = std::make_shared<WaitOptions>();
  auto force = std::make_shared<bool>(false);
  auto id = std::make_shared<std::string>(), argument = std::make_shared<std::string>();
  auto count = std::make_shared<int>(0);

  CLI::App* command = add_client_command(*app, invocation, "deploy",
                                         "Create or update what FILE defines: an app, a list of apps, or a group",
                                         Talks::to_scheduler, [=](ApiClient& client, const ClientOptions& options) {
                                           return deploy(client, options, *argument, *force, *wait);
                                         });
  command->add_option("file", *argument, "Definition, JSON; - reads standard input")->required()->type_name("FILE");
  command->add_flag("--force", *force, "Cancel a running deployment of the same app");
  add_wait(command, wait);

  add_promote(*app, invocation);

  add_client_command(*app, invocation, "list", "Every app with its counts", Talks::to_scheduler, list);

  command =
      add_client_command(*app, invocation, "show", "One app: definition, tasks, last failure", Talks::to_scheduler,
                         [=](ApiClient& client, const ClientOptions& options) { return show(client, options, *id); });
  command->add_option("id", *id, "App id")->required()->type_name("ID");

  command = add_client_command(*app, invocation, "scale", "Run N instances", Talks::to_scheduler,
                               [=](ApiClient& client, const ClientOptions& options) -> Result<Unit, Problem> {
                                 auto answer =
                                     client.expect_success("PATCH", app_path(*id, *force ? "?force=true" : ""),
                                                           json{{"instances", *count}}.dump());
                                 if (!answer) return fail(answer.error());
                                 return follow_answer(client, options, *wait, *answer, {normal_app_id(*id)});
                               });
  command->add_option("id", *id, "App id")->required()->type_name("ID");
  command->add_option("instances", *count, "How many")->required()->check(CLI::Range(0, kInstancesMax))->type_name("N");
  command->add_flag("--force", *force, "Cancel a running deployment of the same app");
  add_wait(command, wait);

  command = add_client_command(
      *app, invocation, "restart", "Replace every task, new ones healthy before old ones go", Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) -> Result<Unit, Problem> {
        auto answer = client.expect_success("POST", app_path(*id, *force ? "/restart?force=true" : "/restart"));
        if (!answer) return fail(answer.error());
        return follow_answer(client, options, *wait, *answer, {normal_app_id(*id)});
      });
  command->add_option("id", *id, "App id")->required()->type_name("ID");
  command->add_flag("--force", *force, "Cancel a running deployment of the same app");
  add_wait(command, wait);

  command = add_client_command(*app, invocation, "rollback", "Go back to VERSION, or to the one before",
                               Talks::to_scheduler, [=](ApiClient& client, const ClientOptions& options) {
                                 return rollback(client, options, *id, *argument, *wait);
                               });
  command->add_option("id", *id, "App id")->required()->type_name("ID");
  command->add_option("version", *argument, "As listed by /v2/apps/ID/versions")->type_name("VERSION");
  add_wait(command, wait);

  command = add_client_command(*app, invocation, "destroy", "Stop every task and forget the app", Talks::to_scheduler,
                               [=](ApiClient& client, const ClientOptions& options) -> Result<Unit, Problem> {
                                 auto answer = client.expect_success("DELETE", app_path(*id));
                                 if (!answer) return fail(answer.error());
                                 return follow_answer(client, options, *wait, *answer, {});
                               });
  command->add_option("id", *id, "App id")->required()->type_name("ID");
  add_wait(command, wait);
}

}  // namespace lotse::cli

// `lotse deployment ...`: list, watch, cancel.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/deployment_progress.h"
#include "cli/table.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

std::vector<std::string> apps_of(const json& deployment) {
  std::vector<std::string> apps;
  for (const json& app : deployment.value("affectedApps", json::array())) apps.push_back(app.get<std::string>());
  return apps;
}

Result<Unit, Problem> list(ApiClient& client, const ClientOptions& options) {
  auto answer = client.expect_success("GET", "/v2/deployments");
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  Table table({"DEPLOYMENT", "STEP", "APPS", "NOW", "SINCE"});
  for (const json& deployment : json::parse(answer->body, nullptr, false)) {
    std::string apps, now;
    for (const std::string& app : apps_of(deployment)) apps += (apps.empty() ? "" : ",") + app;
    for (const json& action : deployment.value("currentActions", json::array())) {
      now += (now.empty() ? "" : ", ") + action.value("action", "") + " " + action.value("app", "");
    }
    table.add({deployment.value("id", ""),
               fmt::format("{}/{}", deployment.value("currentStep", 0), deployment.value("totalSteps", 0)), apps, now,
               age_of(deployment.value("version", ""))});
  }
  print(table.is_empty() ? "no deployment is running\n" : table.text());
  return Unit{};
}

Result<Unit, Problem> watch(ApiClient& client, const ClientOptions& options, const std::string& id) {
  auto answer = client.expect_success("GET", "/v1/deployments/" + http::percent_encode(id));
  if (!answer) return fail(answer.error());
  const json deployment = json::parse(answer->body, nullptr, false);
  Followed followed{.deployment = id,
                    .version = deployment.value("version", ""),
                    .apps = apps_of(deployment),
                    .timeout = std::chrono::hours(24)};
  const Outcome outcome = wait_for_deployment(client, followed);
  if (options.json) print_line(to_json(followed, outcome).dump());
  return tell(followed, outcome);
}

}  // namespace

void add_deployment(CLI::App& root, Invocation& invocation) {
  CLI::App* deployment = root.add_subcommand("deployment", "Look at running deployments, cancel them");
  deployment->require_subcommand(1);
  auto id = std::make_shared<std::string>();
  auto force = std::make_shared<bool>(false);
  add_client_command(*deployment, invocation, "list", "Those that run now", Talks::to_scheduler, list);
  CLI::App* command =
      add_client_command(*deployment, invocation, "watch", "Show progress until it is over", Talks::to_scheduler,
                         [=](ApiClient& client, const ClientOptions& options) { return watch(client, options, *id); });
  command->add_option("id", *id, "Deployment id")->required()->type_name("ID");
  command = add_client_command(*deployment, invocation, "cancel", "Go back to the state before it", Talks::to_scheduler,
                               [=](ApiClient& client, const ClientOptions& options) -> Result<Unit, Problem> {
                                 auto answer =
                                     client.expect_success("DELETE", "/v2/deployments/" + http::percent_encode(*id) +
                                                                         (*force ? "?force=true" : ""));
                                 if (!answer) return fail(answer.error());
                                 print_line(options.json && !answer->body.empty() ? answer->body
                                            : *force                              ? "stopped where it was"
                                                                                  : "rolling back");
                                 return Unit{};
                               });
  command->add_option("id", *id, "Deployment id")->required()->type_name("ID");
  command->add_flag("--force", *force, "Only stop: tasks of two versions may stay");
}

}  // namespace lotse::cli

// `lotse status`: one page about everything, what is wrong first.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/node_table.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

std::string proxies_text(const json& proxies, const std::string& revision) {
  Table table({"PROXY", "LEASE", "APPLIED", "DRAINING", "REQ/S", "ADDRESS"});
  for (const json& proxy : proxies) {
    std::string applied =
        proxy.value("applied", json()).is_string() ? proxy["applied"].get<std::string>() : "nothing yet";
    if (applied != revision) applied += " (behind)";
    table.add({proxy.value("id", ""), fmt::format("{:.0f}s left", proxy.value("leaseSeconds", 0.0)), applied,
               std::to_string(proxy.value("draining", json::object()).size()),
               fmt::format("{:.1f}", proxy.value("requestsPerSecond", 0.0)), proxy.value("address", "")});
  }
  return table.text();
}

std::string apps_text(const json& apps) {
  Table table({"APP", "WANTED", "RUNNING", "HEALTHY", "STAGED", "DEPLOYING", "VERSION"});
  for (const json& app : apps) {
    table.add({app.value("id", ""), std::to_string(app.value("instances", 0)), std::to_string(app.value("running", 0)),
               app.value("hasHealthChecks", false) ? std::to_string(app.value("healthy", 0)) : "-",
               std::to_string(app.value("staged", 0)), app.value("deployment", "").empty() ? "" : "yes",
               app.value("version", "")});
  }
  return table.text();
}

std::string deployments_text(const json& deployments) {
  Table table({"DEPLOYMENT", "STEP", "APPS"});
  for (const json& deployment : deployments) {
    std::string apps;
    for (const json& app : deployment.value("affectedApps", json::array()))
      apps += (apps.empty() ? "" : ",") + app.get<std::string>();
    table.add({deployment.value("id", ""),
               fmt::format("{}/{}", deployment.value("currentStep", 0), deployment.value("totalSteps", 0)), apps});
  }
  return table.text();
}

Result<Unit, Problem> status(ApiClient& client, const ClientOptions& options) {
  auto answer = client.expect_success("GET", "/v1/status");
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json body = json::parse(answer->body, nullptr, false);
  std::string text = fmt::format("scheduler {} at {}, table {}\n\n", body.value("version", ""), client.base(),
                                 body.value("revision", ""));
  json problems = body.value("problems", json::array());
  if (problems.empty()) text += "nothing is wrong\n";
  for (const json& problem : problems)
    text += fmt::format("! {}: {}\n", problem.value("where", ""), problem.value("what", ""));
  auto section = [&](const char* key, const char* none, const std::function<std::string(const json&)>& table) {
    json rows = body.value(key, json::array());
    text += "\n" + (rows.empty() ? std::string(none) + "\n" : table(rows));
  };
  section("nodes", "no nodes", node_table);
  section("proxies", "no proxies", [&](const json& rows) { return proxies_text(rows, body.value("revision", "")); });
  section("apps", "no apps", apps_text);
  section("deployments", "no deployment is running", deployments_text);
  print(text);
  return Unit{};
}

}  // namespace

void add_status(CLI::App& root, Invocation& invocation) {
  add_client_command(root, invocation, "status", "One page: what is wrong, nodes, proxies, apps, deployments",
                     Talks::to_scheduler, status);
}

}  // namespace lotse::cli

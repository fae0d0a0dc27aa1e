// `lotse route ...`: list, explain. Talks the proxy's admin API.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/table.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

std::string number(const json& endpoint, const char* key) {
  return std::to_string(endpoint.value(key, std::uint64_t{0}));
}

// "up", or why an up one gets nothing: "ejected, 25s left".
std::string state_of(const json& endpoint) {
  if (!endpoint.value("ejected", false)) return endpoint.value("state", "");
  return fmt::format("ejected, {}s left", endpoint.value("ejectedForSeconds", std::int64_t{0}));
}

std::string endpoint_table(const json& endpoints) {
  Table table({"  ENDPOINT", "STATE", "IN FLIGHT", "REQUESTS", "FAILED CONNECTS", "TASK"});
  for (const json& endpoint : endpoints) {
    table.add({"  " + endpoint.value("address", ""), state_of(endpoint), number(endpoint, "inFlight"),
               number(endpoint, "requests"), number(endpoint, "connectFailures"), endpoint.value("task", "")});
  }
  return table.is_empty() ? "  no endpoints\n" : table.text();
}

// "/shop/api (90), /shop/api-v2 (10)"
std::string targets_of(const json& route) {
  std::string to;
  const json targets = route.value("to", json::array());
  for (const json& target : targets) {
    to += (to.empty() ? "" : ", ") + target.value("app", "") +
          (target.contains("port") ? ":" + target.value("port", "") : "");
    if (targets.size() > 1) to += fmt::format(" ({})", target.value("weight", 0));
  }
  return to;
}

Result<Unit, Problem> list(ApiClient& client, const ClientOptions& options) {
  auto answer = client.expect_success("GET", "/v1/routes");
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json body = json::parse(answer->body, nullptr, false);
  Table routes({"HOST", "PATH", "TO", "FROM"});
  for (const json& route : body.value("routes", json::array())) {
    std::string host = route.value("host", "");
    routes.add({host.empty() ? "*" : host, route.value("path", ""), targets_of(route), route.value("where", "")});
  }
  Table tcp({"TCP LISTENER", "NAME", "TO", "FROM"});
  for (const json& route : body.value("tcp", json::array()))
    tcp.add({route.value("listener", ""), route.value("name", "*"), targets_of(route), route.value("where", "")});
  std::string text;
  if (!routes.is_empty()) text += routes.text() + "\n";
  if (!tcp.is_empty()) text += tcp.text() + "\n";
  json expose = body.value("expose", json::object());
  if (!expose.value("host", "").empty()) text += "exposed by host: " + expose.value("host", "") + "\n";
  if (expose.value("path", false)) text += "exposed by path: /<app id>/...\n";
  json apps = body.value("apps", json::object());
  for (const auto& [app, endpoints] : apps.items()) text += "\n" + app + "\n" + endpoint_table(endpoints);
  if (apps.empty()) text += "\nno endpoints are known\n";
  print(text);
  return Unit{};
}

Result<Unit, Problem> explain(ApiClient& client, const ClientOptions& options, const std::string& url) {
  auto answer = client.expect_success("GET", "/v1/explain?url=" + http::percent_encode(url));
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json body = json::parse(answer->body, nullptr, false);
  std::string text = body.contains("host")
                         ? fmt::format("{}: host {}, path {}\n", url, body.value("host", ""), body.value("path", ""))
                         : url + "\n";
  text += fmt::format("{}: {}\n", body.value("decision", ""), body.value("why", ""));
  int weights = 0;
  json apps = body.value("apps", json::array());
  for (const json& app : apps) weights += app.value("weight", 0);
  for (const json& app : apps) {
    text += "\n" + app.value("app", "") + (app.contains("port") ? ":" + app.value("port", "") : "");
    if (apps.size() > 1 && weights > 0)
      text += fmt::format(", {:.0f} % of requests", 100.0 * app.value("weight", 0) / weights);
    text += "\n" + endpoint_table(app.value("endpoints", json::array()));
  }
  if (body.value("closes", false)) text += "\nso connections are closed\n";
  if (body.contains("status")) text += fmt::format("\nso the answer is {}\n", body.value("status", 0));
  print(text);
  return Unit{};
}

}  // namespace

void add_route(CLI::App& root, Invocation& invocation) {
  CLI::App* route = root.add_subcommand("route", "Look at the proxy's table, explain where a URL goes");
  route->require_subcommand(1);
  add_client_command(*route, invocation, "list", "Routes and every endpoint with its counts", Talks::to_proxy, list);
  auto url = std::make_shared<std::string>();
  CLI::App* command = add_client_command(
      *route, invocation, "explain", "Which rule takes URL, why, and who would get it", Talks::to_proxy,
      [=](ApiClient& client, const ClientOptions& options) { return explain(client, options, *url); });
  command->add_option("url", *url, "http://host/path, tcp://LISTENER, tls://NAME")->required()->type_name("URL");
}

}  // namespace lotse::cli

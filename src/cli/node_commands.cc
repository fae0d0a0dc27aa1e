// `lotse node ...`: list, show.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/node_table.h"

namespace lotse::cli {
namespace {

using nlohmann::json;

Result<Unit, Problem> list(ApiClient& client, const ClientOptions& options) {
  auto answer = client.expect_success("GET", "/v1/agents");
  if (!answer) return fail(answer.error());
  if (options.json) return print_line(answer->body), Unit{};
  json nodes = json::parse(answer->body, nullptr, false).value("agents", json::array());
  print(nodes.empty() ? "no nodes; start one with: lotse agent --scheduler URL\n" : node_table(nodes));
  return Unit{};
}

Result<Unit, Problem> show(ApiClient& client, const ClientOptions& options, const std::string& id) {
  auto answer = client.expect_success("GET", "/v1/agents/" + http::percent_encode(id));
  if (!answer) return fail(answer.error());
  print_line(options.json ? answer->body : json::parse(answer->body, nullptr, false).dump(2));
  return Unit{};
}

}  // namespace

std::string node_table(const json& nodes) {
  Table table({"NODE", "STATE", "HOST", "RUNTIME", "CPUS", "MEM MIB", "PORTS", "TASKS", "HEARD"});
  for (const json& node : nodes) {
    auto used_of = [&](const char* key) {
      return fmt::format("{:g}/{:g}", node.value("used", json::object()).value(key, 0.0),
                         node.value("resources", json::object()).value(key, 0.0));
    };
    json ports = node.value("ports", json::object());
    std::string runtime = node.value("runtime", "");
    if (!node.value("runtimeProblem", "").empty()) runtime += " (down)";
    json tasks = node.value("tasks", json());
    table.add({node.value("id", ""), node.value("state", ""), node.value("host", ""), runtime, used_of("cpus"),
               used_of("mem"),
               fmt::format("{} of {}-{}", node.value("portsUsed", 0), ports.value("first", 0), ports.value("last", 0)),
               tasks.is_number() ? tasks.dump() : std::to_string(tasks.size()),
               fmt::format("{:.0f}s", node.value("lastHeardSeconds", 0.0))});
  }
  return table.text();
}

void add_node(CLI::App& root, Invocation& invocation) {
  CLI::App* node = root.add_subcommand("node", "Look at the machines that run tasks");
  node->require_subcommand(1);
  add_client_command(*node, invocation, "list", "Every node with what is used of it", Talks::to_scheduler, list);
  auto id = std::make_shared<std::string>();
  CLI::App* command =
      add_client_command(*node, invocation, "show", "One node: resources, attributes, tasks", Talks::to_scheduler,
                         [=](ApiClient& client, const ClientOptions& options) { return show(client, options, *id); });
  command->add_option("id", *id, "Node id")->required()->type_name("ID");
}

}  // namespace lotse::cli

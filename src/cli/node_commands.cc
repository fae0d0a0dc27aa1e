// `lotse node ...`: list, show, drain, undrain.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/client_command.h"
#include "cli/node_table.h"
#include "cli/progress_line.h"
#include "cli/queue_reason.h"

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

struct DrainOptions {
  bool wait = false;
  std::string timeout = "10m";
};

Result<json, Problem> look_at(ApiClient& client, const std::string& id) {
  auto answer = client.expect_success("GET", "/v1/agents/" + http::percent_encode(id));
  if (!answer) return fail(answer.error());
  return json::parse(answer->body, nullptr, false);
}

// Until the last task has left. Those that run nowhere else first get a place elsewhere, so this may have to wait.
Result<Unit, Problem> wait_until_empty(ApiClient& client, const std::string& id, Duration timeout) {
  SystemClock clock;
  const Instant end = clock.now() + timeout;
  ProgressLine line;
  for (;;) {
    auto node = look_at(client, id);
    if (!node) return fail(node.error());
    std::size_t left = node->value("tasks", json::array()).size();
    if (left == 0) return line.show(id + " is empty"), Unit{};
    if (!node->value("draining", false))
      return fail(Problem{"node " + id, "is not drained any more: somebody undid it"});
    std::string waiting = what_keeps_waiting(client, "");
    std::string text =
        fmt::format("{}: {} task{} left{}{}", id, left, left == 1 ? "" : "s", waiting.empty() ? "" : "; ", waiting);
    if (clock.now() > end)
      return fail(Problem{"node " + id, "not empty after " + format_duration(timeout) + "; " + text});
    line.show(text);
    client.wait(std::chrono::milliseconds(200));
  }
}

Result<Unit, Problem> drain(ApiClient& client, const ClientOptions& options, const std::string& id,
                            const DrainOptions& how) {
  auto answer = client.expect_success("POST", "/v1/agents/" + http::percent_encode(id) + "/drain");
  if (!answer) return fail(answer.error());
  std::size_t tasks = json::parse(answer->body, nullptr, false).value("tasks", json::array()).size();
  if (!options.json) {
    print_line(fmt::format("{} takes no new tasks; {} task{} move{} elsewhere", id, tasks, tasks == 1 ? "" : "s",
                           tasks == 1 ? "s" : ""));
  }
  if (how.wait) {
    if (auto empty = wait_until_empty(client, id, *parse_duration(how.timeout)); !empty) return empty;
    answer = client.expect_success("GET", "/v1/agents/" + http::percent_encode(id));
    if (!answer) return fail(answer.error());
  }
  if (options.json) print_line(answer->body);
  return Unit{};
}

Result<Unit, Problem> undrain(ApiClient& client, const ClientOptions& options, const std::string& id) {
  auto answer = client.expect_success("POST", "/v1/agents/" + http::percent_encode(id) + "/undrain");
  if (!answer) return fail(answer.error());
  print_line(options.json ? answer->body : id + " takes tasks again; those that left do not come back by themselves");
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
    std::string state = node.value("state", "");
    if (node.value("draining", false)) state += ", draining";
    table.add({node.value("id", ""), state, node.value("host", ""), runtime, used_of("cpus"), used_of("mem"),
               fmt::format("{} of {}-{}", node.value("portsUsed", 0), ports.value("first", 0), ports.value("last", 0)),
               tasks.is_number() ? tasks.dump() : std::to_string(tasks.size()),
               fmt::format("{:.0f}s", node.value("lastHeardSeconds", 0.0))});
  }
  return table.text();
}

void add_node(CLI::App& root, Invocation& invocation) {
  CLI::App* node = root.add_subcommand("node", "Look at the machines that run tasks, take them out of use");
  node->require_subcommand(1);
  add_client_command(*node, invocation, "list", "Every node with what is used of it", Talks::to_scheduler, list);
  auto id = std::make_shared<std::string>();
  CLI::App* command =
      add_client_command(*node, invocation, "show", "One node: resources, attributes, tasks", Talks::to_scheduler,
                         [=](ApiClient& client, const ClientOptions& options) { return show(client, options, *id); });
  command->add_option("id", *id, "Node id")->required()->type_name("ID");

  auto how = std::make_shared<DrainOptions>();
  command = add_client_command(
      *node, invocation, "drain", "No new tasks here; those that run move elsewhere without losing a request",
      Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) { return drain(client, options, *id, *how); });
  command->add_option("id", *id, "Node id")->required()->type_name("ID");
  command->add_flag("--wait", how->wait, "Wait until the node is empty");
  command->add_option("--timeout", how->timeout, "How long --wait waits")
      ->capture_default_str()
      ->type_name("TIME")
      ->check(check_duration);

  command = add_client_command(
      *node, invocation, "undrain", "The node takes tasks again", Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) { return undrain(client, options, *id); });
  command->add_option("id", *id, "Node id")->required()->type_name("ID");
}

}  // namespace lotse::cli

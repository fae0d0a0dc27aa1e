#include "cli/app_deployment.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "cli/deployment_progress.h"

namespace lotse::cli {

using nlohmann::json;

void add_wait(CLI::App* command, const std::shared_ptr<WaitOptions>& options) {
  command->add_flag("--wait", options->wait, "Wait until the deployment is done, showing its progress");
  command->add_option("--timeout", options->timeout, "How long --wait waits")
      ->capture_default_str()
      ->type_name("TIME")
      ->check(check_duration);
}

Result<Unit, Problem> follow_answer(ApiClient& client, const ClientOptions& options, const WaitOptions& wait,
                                    const ApiAnswer& answer, const std::vector<std::string>& apps) {
  json result = json::parse(answer.body, nullptr, false);
  Followed followed{.deployment = {}, .version = {}, .apps = apps, .timeout = *parse_duration(wait.timeout)};
  if (result.is_object()) {
    followed.version = result.value("version", "");
    followed.deployment = result.value("deploymentId", "");
    if (followed.deployment.empty() && result.contains("deployments") && !result["deployments"].empty())
      followed.deployment = result["deployments"][0].value("id", "");
  }
  if (!options.json) {
    print_line(followed.deployment.empty() ? "nothing to change" : "deployment " + followed.deployment + " started");
  }
  if (!wait.wait) {
    if (options.json) print_line(answer.body);
    return Unit{};
  }
  const Outcome outcome = wait_for_deployment(client, followed);
  if (options.json) print_line(to_json(followed, outcome).dump());
  return tell(followed, outcome);
}

namespace {

struct PromoteOptions {
  std::string from, to;
  bool force = false, stop = false;
  std::optional<int> instances;
};

Result<json, Problem> definition_of(ApiClient& client, const std::string& id) {
  auto answer = client.call("GET", app_path(id) + "?embed=app.counts");
  if (!answer) return fail(answer.error());
  if (answer->status == 404) return json();
  if (!answer->is_success()) return fail(Problem{id, error_text(*answer)});
  json body = json::parse(answer->body, nullptr, false);
  if (!body.is_object() || !body.contains("app")) return fail(Problem{id, "the scheduler's answer is no app"});
  return body["app"];
}

// Service ports belong to one app each: the new definition gets those that the old one has, in their order.
void take_over_service_ports(json& definition, const json& old) {
  for (const auto& [list, key] : {std::pair{"/container/portMappings", "servicePort"}, {"/portDefinitions", "port"}}) {
    json::json_pointer place(list);
    if (!definition.contains(place) || !definition[place].is_array()) continue;
    const bool has_old = old.contains(place) && old[place].is_array();
    std::size_t index = 0;
    for (json& port : definition[place]) {
      const bool is_known = has_old && index < old[place].size();
      port[key] = is_known ? old[place][index].value(key, 0) : 0;
      ++index;
    }
  }
}

Result<Unit, Problem> promote(ApiClient& client, const ClientOptions& options, const PromoteOptions& how,
                              const WaitOptions& wait) {
  const std::string from = normal_app_id(how.from), to = normal_app_id(how.to);
  if (from == to) return fail(Problem{from, "cannot be promoted to itself"});
  auto source = definition_of(client, from);
  if (!source) return fail(source.error());
  if (source->is_null()) return fail(Problem{"", "App '" + from + "' does not exist"});
  auto target = definition_of(client, to);
  if (!target) return fail(target.error());
  json definition = *source;
  for (const char* key : {"version", "versionInfo", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy",
                          "deployments", "ports", "tasks", "lastTaskFailure"}) {
    definition.erase(key);
  }
  definition["id"] = to;
  if (how.instances) {
    definition["instances"] = *how.instances;
  } else if (!target->is_null()) {
    definition["instances"] = target->value("instances", 1);
  }
  take_over_service_ports(definition, *target);
  auto answer = client.expect_success(
      "PUT", app_path(to, how.force ? "?partialUpdate=false&force=true" : "?partialUpdate=false"), definition.dump());
  if (!answer) return fail(answer.error());
  auto done = follow_answer(client, options, wait, *answer, {to});
  if (!done || !how.stop) return done;
  // Only now: what was promoted serves from its new place, and every proxy knows.
  auto stopped = client.expect_success("PATCH", app_path(from), json{{"instances", 0}}.dump());
  if (!stopped) return fail(stopped.error());
  return follow_answer(client, options, wait, *stopped, {from});
}

}  // namespace

void add_promote(CLI::App& app, Invocation& invocation) {
  auto how = std::make_shared<PromoteOptions>();
  auto wait = std::make_shared<WaitOptions>();
  CLI::App* command = add_client_command(
      app, invocation, "promote", "Give app TO the definition of app FROM: what was tried as a canary becomes the app",
      Talks::to_scheduler,
      [=](ApiClient& client, const ClientOptions& options) { return promote(client, options, *how, *wait); });
  command->add_option("from", how->from, "App id whose definition is taken")->required()->type_name("FROM");
  command->add_option("to", how->to, "App id that gets it; keeps its number of instances and its service ports")
      ->required()
      ->type_name("TO");
  command->add_option("--instances", how->instances, "How many of TO, instead of as many as before")
      ->check(CLI::Range(0, 1'000'000))
      ->type_name("N");
  command->add_flag("--force", how->force, "Cancel a running deployment of TO");
  add_wait(command, wait);
  command->add_flag("--stop", how->stop, "Then scale FROM to 0; needs --wait")->needs("--wait");
}

}  // namespace lotse::cli

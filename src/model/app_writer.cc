// App to JSON, as Marathon 1.x answers it.
#include <cmath>
#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "model/app_reader.h"
#include "model/json_text.h"

namespace lotse::model {
namespace {

using nlohmann::json;

// 3.0 is answered as 3.
json number(double value) {
  if (std::abs(value) < 1e15 && value == std::trunc(value)) return static_cast<std::int64_t>(value);
  return value;
}
json number(Seconds value) { return number(value.count()); }

template <typename T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json();
}

json ports_json(const std::vector<PortMapping>& mappings) {
  json list = json::array();
  for (const PortMapping& mapping : mappings) {
    json each = {{"containerPort", mapping.container_port},
                 {"servicePort", mapping.service_port},
                 {"protocol", mapping.protocol},
                 {"labels", mapping.labels}};
    if (mapping.host_port) each["hostPort"] = *mapping.host_port;
    if (!mapping.name.empty()) each["name"] = mapping.name;
    if (!mapping.network_names.empty()) each["networkNames"] = mapping.network_names;
    list.push_back(std::move(each));
  }
  return list;
}

json ports_json(const std::vector<PortDefinition>& definitions) {
  json list = json::array();
  for (const PortDefinition& definition : definitions) {
    json each = {{"port", definition.port}, {"protocol", definition.protocol}, {"labels", definition.labels}};
    if (!definition.name.empty()) each["name"] = definition.name;
    list.push_back(std::move(each));
  }
  return list;
}

json docker_json(const Container& container) {
  json parameters = json::array();
  for (const Parameter& each : container.parameters) parameters.push_back({{"key", each.key}, {"value", each.value}});
  return {{"image", container.image},
          {"forcePullImage", container.force_pull_image},
          {"privileged", container.privileged},
          {"parameters", std::move(parameters)}};
}

json container_json(const Container& container) {
  json volumes = json::array();
  for (const Volume& volume : container.volumes) {
    json each = {{"containerPath", volume.container_path}, {"mode", volume.read_only ? "RO" : "RW"}};
    if (!volume.host_path.empty()) each["hostPath"] = volume.host_path;
    volumes.push_back(std::move(each));
  }
  json result = {{"type", container.is_docker ? "DOCKER" : "MESOS"}, {"volumes", std::move(volumes)}};
  bool says_image =
      !container.image.empty() || container.force_pull_image || container.privileged || !container.parameters.empty();
  if (says_image) result["docker"] = docker_json(container);
  if (container.port_mappings) result["portMappings"] = ports_json(*container.port_mappings);
  return result;
}

json networks_json(const std::vector<Network>& networks) {
  json list = json::array();
  for (const Network& network : networks) {
    json each = {{"mode", name_of(kNetworkModes, network.mode)}};
    if (!network.name.empty()) each["name"] = network.name;
    if (!network.labels.empty()) each["labels"] = network.labels;
    list.push_back(std::move(each));
  }
  return list;
}

json readiness_json(const ReadinessCheck& check) {
  return {{"name", check.name},
          {"protocol", check.protocol},
          {"path", check.path},
          {"portName", check.port_name},
          {"intervalSeconds", number(check.interval)},
          {"timeoutSeconds", number(check.timeout)},
          {"httpStatusCodesForReady", check.ready_statuses},
          {"preserveLastResponse", check.preserve_last_response}};
}

json fetch_json(const Fetch& fetch) {
  json result = {
      {"uri", fetch.uri}, {"extract", fetch.extract}, {"executable", fetch.executable}, {"cache", fetch.cache}};
  if (!fetch.dest_path.empty()) result["destPath"] = fetch.dest_path;
  return result;
}

json constraints_json(const std::vector<Constraint>& constraints) {
  json list = json::array();
  for (const Constraint& constraint : constraints) {
    json each = json::array({constraint.field, name_of(kConstraintOperators, constraint.op)});
    if (constraint.value) each.push_back(*constraint.value);
    list.push_back(std::move(each));
  }
  return list;
}

json unreachable_json(const UnreachableStrategy& strategy) {
  if (strategy.disabled) return "disabled";
  return {{"inactiveAfterSeconds", number(strategy.inactive_after)},
          {"expungeAfterSeconds", number(strategy.expunge_after)}};
}

template <typename T, typename Write>
json list_json(const std::vector<T>& items, Write write) {
  json list = json::array();
  for (const T& item : items) list.push_back(write(item));
  return list;
}

void write_command(const App& app, json& result) {
  result["cmd"] = or_null(app.cmd);
  result["args"] = app.args;
  result["env"] = app.env;
  result["labels"] = app.labels;
  result["user"] = or_null(app.user);
  if (app.tty) result["tty"] = true;
  result["executor"] = app.executor;
  result["fetch"] = list_json(app.fetch, fetch_json);
  result["dependencies"] = app.dependencies;
}

void write_scheduling(const App& app, json& result) {
  result["instances"] = app.instances;
  result["cpus"] = number(app.cpus);
  result["mem"] = number(app.mem_mib);
  result["disk"] = number(app.disk_mib);
  result["gpus"] = number(app.gpus);
  result["role"] = app.role;
  result["acceptedResourceRoles"] = app.accepted_resource_roles;
  result["constraints"] = constraints_json(app.constraints);
  result["backoffSeconds"] = number(app.backoff);
  result["backoffFactor"] = number(app.backoff_factor);
  result["maxLaunchDelaySeconds"] = number(app.max_launch_delay);
  result["taskKillGracePeriodSeconds"] = app.kill_grace_period ? number(*app.kill_grace_period) : json();
  result["killSelection"] = app.kill_oldest_first ? "OLDEST_FIRST" : "YOUNGEST_FIRST";
  result["upgradeStrategy"] = {{"minimumHealthCapacity", number(app.upgrade_strategy.minimum_health_capacity)},
                               {"maximumOverCapacity", number(app.upgrade_strategy.maximum_over_capacity)}};
  if (const auto& deadline = app.upgrade_strategy.progress_deadline) {
    result["upgradeStrategy"]["progressDeadlineSeconds"] = number(*deadline);
  }
  if (const auto& rolls_back = app.upgrade_strategy.auto_rollback) {
    result["upgradeStrategy"]["autoRollback"] = *rolls_back;
  }
  if (app.drain_time) result["drainSeconds"] = number(*app.drain_time);
  result["unreachableStrategy"] = unreachable_json(app.unreachable_strategy);
}

void write_networking(const App& app, json& result) {
  result["networks"] = networks_json(app.networks);
  result["requirePorts"] = app.require_ports;
  result["portDefinitions"] = ports_json(app.port_definitions);
  if (app.container) result["container"] = container_json(*app.container);
}

// Objects member by member, lists one after the other: `rest` has only what the members left out.
void merge(json& base, const json& rest) {
  if (base.is_object() && rest.is_object()) {
    for (const auto& [name, value] : rest.items()) {
      auto known = base.find(name);
      if (known == base.end() || known->is_null()) {
        base[name] = value;
      } else {
        merge(*known, value);
      }
    }
  } else if (base.is_array() && rest.is_array()) {
    base.insert(base.end(), rest.begin(), rest.end());
  } else {
    base = rest;
  }
}

// The service ports, as 1.x clients read them; nothing where they would contradict what they stand beside.
json ports_echo(const App& app) {
  json ports = json::array();
  if (uses_host_network(app) != app.port_definitions.empty()) {
    for (const AppPort& port : ports_of(app)) ports.push_back(port.service_port);
  }
  return ports;
}

}  // namespace

json to_json(const HealthCheck& check) {
  json result = {{"protocol", name_of(kHealthProtocols, check.protocol)},
                 {"gracePeriodSeconds", number(check.grace_period)},
                 {"intervalSeconds", number(check.interval)},
                 {"timeoutSeconds", number(check.timeout)},
                 {"delaySeconds", number(check.delay)},
                 {"maxConsecutiveFailures", check.max_consecutive_failures},
                 {"ignoreHttp1xx", check.ignore_http_1xx},
                 {"ipProtocol", check.ip_protocol}};
  if (check.path) result["path"] = *check.path;
  if (check.port_index) result["portIndex"] = *check.port_index;
  if (check.port) result["port"] = *check.port;
  if (check.protocol == HealthProtocol::command || !check.command.empty()) {
    result["command"] = {{"value", check.command}};
  }
  return result;
}

// The definition alone: what the store and the agent protocol carry.
static json definition_json(const App& app) {
  json result = {{"id", app.id}};
  write_command(app, result);
  write_scheduling(app, result);
  write_networking(app, result);
  result["healthChecks"] = list_json(app.health_checks, [](const HealthCheck& check) { return to_json(check); });
  result["readinessChecks"] = list_json(app.readiness_checks, readiness_json);
  if (!app.version.empty()) result["version"] = app.version;
  json info = json::object();
  if (!app.last_scaling_at.empty()) info["lastScalingAt"] = app.last_scaling_at;
  if (!app.last_config_change_at.empty()) info["lastConfigChangeAt"] = app.last_config_change_at;
  if (!info.empty()) result["versionInfo"] = std::move(info);
  if (app.rest.empty()) return result;
  if (auto rest = parse_json_text(app.rest)) merge(result, *rest);
  return result;
}

json to_json(const App& app) {
  json result = definition_json(app);
  result["ports"] = ports_echo(app);
  result["uris"] = list_json(app.fetch, [](const Fetch& fetch) { return json(fetch.uri); });
  return result;
}

std::string serialize_app(const App& app) { return to_text(definition_json(app)); }

}  // namespace lotse::model

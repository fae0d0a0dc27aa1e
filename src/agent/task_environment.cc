#include "agent/task_environment.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lotse::agent {
namespace {

using Environment = std::map<std::string, std::string>;

constexpr std::size_t kVariableBytesMax = 512;  // Marathon's maxEnvironmentVarLength, for labels
constexpr std::string_view kLabelPrefix = "MARATHON_APP_LABEL_";

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
bool is_alphanumeric(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string upper_cased(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), upper);
  return text;
}

// Marathon: name.replaceAll("[^a-zA-Z0-9_]+", "_").toUpperCase, so a run of other characters is one "_".
std::string as_variable_name(std::string_view text) {
  std::string name;
  bool in_run = false;
  for (char c : text) {
    bool keep = is_alphanumeric(c) || c == '_';
    if (keep) name += upper(c);
    if (!keep && !in_run) name += '_';
    in_run = !keep;
  }
  return name;
}

std::string as_double(double value) {  // Scala's Double.toString: 128.0
  std::array<char, 64> buffer{};
  auto [end, code] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  if (code != std::errc{}) return fmt::format("{}", value);
  std::string text(buffer.data(), end);
  return text.find('.') == std::string::npos ? text + ".0" : text;
}

void add_ports(Environment& env, const model::LaunchTask& launch) {
  std::vector<model::AppPort> ports = model::ports_of(launch.app);
  bool is_host = model::uses_host_network(launch.app);
  std::string list;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const model::AppPort& port = ports[i];
    int host_port = i < launch.host_ports.size() ? launch.host_ports[i] : 0;
    int effective = host_port != 0 ? host_port : port.container_port;  // not published: the container's own
    std::string value = std::to_string(effective);
    env[fmt::format("PORT{}", i)] = value;
    if (i == 0) env["PORT"] = value;
    if (int requested = is_host ? port.service_port : port.container_port; requested != 0) {
      env[fmt::format("PORT_{}", requested)] = value;
    }
    if (!port.name.empty()) {
      env["PORT_" + upper_cased(port.name)] = value;
      env["PORT_" + as_variable_name(port.name)] = value;  // "http-api": no shell can read PORT_HTTP-API
    }
    list += (list.empty() ? "" : ",") + value;
  }
  if (!ports.empty()) env["PORTS"] = list;
}

void add_labels(Environment& env, const model::Labels& labels) {
  std::string names;
  for (const auto& [key, value] : labels) {
    if (key.size() + kLabelPrefix.size() > kVariableBytesMax || value.size() > kVariableBytesMax) continue;
    std::string name = as_variable_name(key);
    env[std::string(kLabelPrefix) + name] = value;
    names += (names.empty() ? "" : " ") + name;
  }
  env["MARATHON_APP_LABELS"] = names;
}

}  // namespace

Environment task_environment(const model::LaunchTask& launch, const std::string& host, const std::string& sandbox) {
  const model::App& app = launch.app;
  Environment env;
  env["HOST"] = host;
  add_ports(env, launch);
  env["MARATHON_APP_ID"] = app.id;
  env["MARATHON_APP_VERSION"] = app.version;
  if (app.container && !app.container->image.empty()) env["MARATHON_APP_DOCKER_IMAGE"] = app.container->image;
  env["MARATHON_APP_RESOURCE_CPUS"] = as_double(app.cpus);
  env["MARATHON_APP_RESOURCE_MEM"] = as_double(app.mem_mib);
  env["MARATHON_APP_RESOURCE_DISK"] = as_double(app.disk_mib);
  env["MARATHON_APP_RESOURCE_GPUS"] = as_double(app.gpus);
  add_labels(env, app.labels);
  env["MESOS_TASK_ID"] = launch.task;
  env["MESOS_SANDBOX"] = sandbox;
  for (const auto& [name, value] : launch.env) env[name] = value;
  for (const auto& [name, value] : app.env) env[name] = value;
  env["LOTSE_TASK_ID"] = launch.task;
  return env;
}

}  // namespace lotse::agent

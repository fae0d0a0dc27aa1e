#include "model/app.h"

#include <algorithm>
#include <charconv>

namespace lotse::model {
namespace {

constexpr std::string_view kPortLabel = "lotse.port";
constexpr Seconds kProgressDeadline{600};
constexpr double kGraceSecondsMax = 1e9;  // fits nanoseconds in 64 bits; nobody waits thirty years

void set_protocol(std::string_view protocol, AppPort& port) {
  port.is_udp = protocol.find("udp") != std::string_view::npos;
  port.is_tcp = !port.is_udp || protocol.find("tcp") != std::string_view::npos;
}

AppPort port_of(const PortDefinition& definition, bool require_ports) {
  AppPort port;
  port.host_port = require_ports ? definition.port : 0;
  port.service_port = definition.port;
  port.name = definition.name;
  set_protocol(definition.protocol, port);
  return port;
}

AppPort port_of(const PortMapping& mapping) {
  AppPort port;
  port.container_port = mapping.container_port;
  port.host_port = mapping.host_port;
  port.service_port = mapping.service_port;
  port.name = mapping.name;
  set_protocol(mapping.protocol, port);
  return port;
}

// The TCP port that a label's text means, by name or by index.
std::optional<int> port_named(const std::vector<AppPort>& ports, std::string_view text) {
  for (std::size_t index = 0; index < ports.size(); ++index) {
    if (ports[index].is_tcp && !text.empty() && ports[index].name == text) return static_cast<int>(index);
  }
  std::size_t index = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (index >= ports.size() || !ports[index].is_tcp) return std::nullopt;
  return static_cast<int>(index);
}

App without_what_may_change(App app) {
  app.instances = 0;
  app.version.clear();
  app.last_scaling_at.clear();
  app.last_config_change_at.clear();
  return app;
}

}  // namespace

std::vector<AppPort> ports_of(const App& app) {
  std::vector<AppPort> ports;
  if (uses_host_network(app)) {
    for (const PortDefinition& each : app.port_definitions) ports.push_back(port_of(each, app.require_ports));
  } else if (app.container && app.container->port_mappings) {
    for (const PortMapping& each : *app.container->port_mappings) ports.push_back(port_of(each));
  }
  return ports;
}

bool uses_host_network(const App& app) {
  return app.networks.empty() || std::any_of(app.networks.begin(), app.networks.end(),
                                             [](const Network& network) { return network.mode == NetworkMode::host; });
}

std::chrono::nanoseconds kill_grace_of(const App& app) {
  using std::chrono::nanoseconds;
  if (!app.kill_grace_period) return std::chrono::seconds(3);
  double seconds = std::clamp(app.kill_grace_period->count(), 0.0, kGraceSecondsMax);
  return std::chrono::duration_cast<nanoseconds>(Seconds(seconds));
}

std::optional<std::chrono::nanoseconds> progress_deadline_of(const App& app) {
  const Seconds deadline = app.upgrade_strategy.progress_deadline.value_or(kProgressDeadline);
  if (!(deadline.count() > 0)) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(deadline, Seconds(kGraceSecondsMax)));
}

bool rolls_back(const App& app) { return app.upgrade_strategy.auto_rollback.value_or(!app.health_checks.empty()); }

std::optional<int> default_port_of(const App& app) {
  std::vector<AppPort> ports = ports_of(app);
  if (auto label = app.labels.find(std::string(kPortLabel)); label != app.labels.end()) {
    if (auto index = port_named(ports, label->second)) return index;
  }
  auto first = std::find_if(ports.begin(), ports.end(), [](const AppPort& port) { return port.is_tcp; });
  if (first == ports.end()) return std::nullopt;
  return static_cast<int>(first - ports.begin());
}

bool needs_restart(const App& before, const App& after) {
  return without_what_may_change(before) != without_what_may_change(after);
}

}  // namespace lotse::model

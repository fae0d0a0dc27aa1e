#include "agent/probe_targets.h"

namespace lotse::agent {
namespace {

bool is_port(int number) { return number > 0 && number < 65536; }
ProbeAddress address(const std::string& ip, int port) { return {ip, static_cast<std::uint16_t>(port)}; }

int host_port_of(const model::LaunchTask& launch, std::size_t index) {
  return index < launch.host_ports.size() ? launch.host_ports[index] : 0;
}

// On the host network, and for processes. An app may listen on $HOST only.
ProbeTarget target_on_host(int port, const std::string& host) {
  if (!is_port(port)) return {};
  std::vector<ProbeAddress> addresses{address("127.0.0.1", port)};
  if (!host.empty() && host != "127.0.0.1") addresses.push_back(address(host, port));
  return ProbeTarget(std::move(addresses), false);
}

}  // namespace

ProbeTarget target_of_port(const model::LaunchTask& launch, std::size_t index, const std::string& container_ip,
                           const std::string& host) {
  std::vector<model::AppPort> ports = model::ports_of(launch.app);
  if (index >= ports.size()) return {};
  int host_port = host_port_of(launch, index);
  if (model::uses_host_network(launch.app)) return target_on_host(host_port, host);
  int container_port = ports[index].container_port != 0 ? ports[index].container_port : host_port;
  std::vector<ProbeAddress> addresses;
  if (!container_ip.empty() && is_port(container_port)) addresses.push_back(address(container_ip, container_port));
  if (is_port(host_port)) addresses.push_back(address("127.0.0.1", host_port));
  return ProbeTarget(std::move(addresses), true);
}

ProbeTarget target_of_check(const model::LaunchTask& launch, const model::HealthCheck& check,
                            const std::string& container_ip, const std::string& host) {
  if (!check.port) {
    return target_of_port(launch, static_cast<std::size_t>(std::max(0, check.port_index.value_or(0))), container_ip,
                          host);
  }
  if (model::uses_host_network(launch.app)) return target_on_host(*check.port, host);
  for (std::size_t index = 0; index < launch.host_ports.size(); ++index) {
    if (launch.host_ports[index] == *check.port) return target_of_port(launch, index, container_ip, host);
  }
  if (container_ip.empty() || !is_port(*check.port)) return {};
  return ProbeTarget({address(container_ip, *check.port)}, true);
}

std::vector<ProbeTarget> targets_of_published_ports(const model::LaunchTask& launch, const std::string& container_ip,
                                                    const std::string& host) {
  std::vector<ProbeTarget> targets;
  std::vector<model::AppPort> ports = model::ports_of(launch.app);
  for (std::size_t index = 0; index < ports.size(); ++index) {
    if (!ports[index].is_tcp || host_port_of(launch, index) == 0) continue;
    ProbeTarget target = target_of_port(launch, index, container_ip, host);
    if (!target.is_empty()) targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace lotse::agent

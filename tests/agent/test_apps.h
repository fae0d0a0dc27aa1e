// App definitions as the scheduler would send them, small.
#pragma once

#include <unistd.h>

#include <string>
#include <vector>

#include "base/random.h"
#include "model/agent_protocol.h"
#include "model/app_id.h"

namespace lotse::agent {

inline std::string unique_task_id(const std::string& name) {
  static Random random = Random::from_system();
  return name + ".instance-" + make_uuid(random) + "._app.1";
}

inline model::LaunchTask process_task(const std::string& command, std::vector<int> host_ports = {}) {
  model::LaunchTask launch;
  launch.task = unique_task_id("proc");
  launch.app.id = "/proc";
  launch.app.version = "2026-01-01T00:00:00.000Z";
  launch.app.cmd = command;
  launch.app.cpus = 0.1;
  launch.app.mem_mib = 32;
  for (std::size_t i = 0; i < host_ports.size(); ++i) {
    launch.app.port_definitions.push_back(
        {.port = 10000 + static_cast<int>(i), .protocol = "tcp", .name = {}, .labels = {}});
  }
  launch.host_ports = std::move(host_ports);
  return launch;
}

// `words`: how the program of the test image behaves (images/task.c). Bridge network; one TCP port per host port.
inline model::LaunchTask container_task(const std::string& image, std::vector<std::string> words,
                                        std::vector<std::pair<int, int>> container_and_host_ports = {}) {
  model::LaunchTask launch;
  launch.task = unique_task_id("shop_api");
  launch.app.id = "/shop/api";
  launch.app.version = "2026-01-01T00:00:00.000Z";
  launch.app.args = std::move(words);
  launch.app.cpus = 0.1;
  launch.app.mem_mib = 32;
  launch.app.networks = {model::Network{.mode = model::NetworkMode::bridge, .name = {}, .labels = {}}};
  launch.app.container.emplace();
  launch.app.container->image = image;
  launch.app.container->port_mappings.emplace();
  for (auto [container_port, host_port] : container_and_host_ports) {
    model::PortMapping mapping;
    mapping.container_port = container_port;
    mapping.host_port = 0;
    launch.app.container->port_mappings->push_back(mapping);
    launch.host_ports.push_back(host_port);
  }
  return launch;
}

}  // namespace lotse::agent

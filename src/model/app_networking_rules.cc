#include <algorithm>
#include <charconv>
#include <set>

#include "model/app_rule_set.h"

namespace lotse::model {
namespace {

constexpr int kPortMax = 65535;
constexpr std::size_t kNameBytesMax = 63;  // a DNS label, since names of ports end in SRV records

bool is_lower_or_digit(char byte) { return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9'); }

bool is_port_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && is_lower_or_digit(name.front()) &&
         is_lower_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(), [](char byte) { return is_lower_or_digit(byte) || byte == '-'; });
}

void check_name(const std::string& path, const std::string& name, Broken& broken) {
  if (name.empty() || is_port_name(name)) return;
  broken.add(path, "must contain only lower case letters, digits and inner hyphens, and at most 63 of them");
}

std::size_t count(const App& app, NetworkMode mode) {
  return static_cast<std::size_t>(std::count_if(app.networks.begin(), app.networks.end(),
                                                [&](const Network& network) { return network.mode == mode; }));
}

void check_networks(const App& app, Broken& broken) {
  std::set<std::string> names;
  bool has_duplicate = false;
  for (std::size_t index = 0; index < app.networks.size(); ++index) {
    const Network& network = app.networks[index];
    if (network.mode == NetworkMode::host && (!network.name.empty() || !network.labels.empty())) {
      broken.add("/networks", "Host networks may not have names or labels");
    }
    if (network.mode == NetworkMode::bridge && !network.name.empty()) {
      broken.add("/networks", "Bridge networks may not have names");
    }
    if (network.mode == NetworkMode::container) {
      has_duplicate = has_duplicate || !names.insert(network.name).second;
      if (network.name.empty()) {
        broken.add("/networks", "Network name must be specified when container network is selected.");
      }
      if (!app.container || app.container->image.empty()) {
        broken.add(item("/networks", index),
                   "needs a container with an image: a plain process is on its host's network");
      }
    }
  }
  if (has_duplicate) broken.add("/networks", "Duplicate networks are not allowed");
  std::size_t host = count(app, NetworkMode::host), bridge = count(app, NetworkMode::bridge);
  std::size_t container = count(app, NetworkMode::container);
  if (host + bridge > 1 || (host + bridge == 1 && container > 0)) {
    broken.add("/networks",
               "May specify a single host network, single bridge network, or else 1-to-n container networks");
  }
  if (app.container && app.container->is_docker && container > 1) {
    broken.add("/", "may only specify a single container network when using the Docker container engine");
  }
}

void check_mappings(const std::vector<PortMapping>& mappings, Broken& broken) {
  const std::string list = "/container/portMappings";
  std::set<std::string> names;
  for (std::size_t index = 0; index < mappings.size(); ++index) {
    const PortMapping& mapping = mappings[index];
    broken.unless_within(item(list, index, "containerPort"), mapping.container_port, 0, kPortMax);
    broken.unless_within(item(list, index, "hostPort"), mapping.host_port.value_or(0), 0, kPortMax);
    broken.unless_within(item(list, index, "servicePort"), mapping.service_port, 0, kPortMax);
    check_name(item(list, index, "name"), mapping.name, broken);
    if (!mapping.name.empty() && !names.insert(mapping.name).second) broken.add(list, "Port names must be unique.");
  }
}

void check_definitions(const std::vector<PortDefinition>& definitions, Broken& broken) {
  const std::string list = "/portDefinitions";
  std::set<std::string> names;
  std::set<int> ports;
  for (std::size_t index = 0; index < definitions.size(); ++index) {
    const PortDefinition& each = definitions[index];
    broken.unless_within(item(list, index, "port"), each.port, 0, kPortMax);
    check_name(item(list, index, "name"), each.name, broken);
    if (!each.name.empty() && !names.insert(each.name).second) broken.add(list, "Port names must be unique.");
    if (each.port != 0 && !ports.insert(each.port).second) broken.add(list, "Ports must be unique.");
  }
}

// A label that means nothing would silently route to another port than its author wanted.
void check_default_port(const App& app, Broken& broken) {
  auto label = app.labels.find("lotse.port");
  if (label == app.labels.end()) return;
  const std::string& text = label->second;
  std::vector<AppPort> ports = ports_of(app);
  bool is_known = std::any_of(ports.begin(), ports.end(),
                              [&](const AppPort& port) { return port.is_tcp && !text.empty() && port.name == text; });
  std::size_t index = ports.size();
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), index);
  bool is_index = code == std::errc() && end == text.data() + text.size() && index < ports.size();
  if (is_known || (is_index && ports[index].is_tcp)) return;
  broken.add("/labels/lotse.port", "must be the name or the index of one of the app's TCP ports");
}

}  // namespace

void check_networking(const App& app, Broken& broken) {
  check_networks(app, broken);
  check_definitions(app.port_definitions, broken);
  bool says_mappings = app.container && app.container->port_mappings && !app.container->port_mappings->empty();
  if (says_mappings) check_mappings(*app.container->port_mappings, broken);
  if (uses_host_network(app)) {
    if (says_mappings) broken.add("/", "portMappings are not allowed with host-networking");
  } else if (!app.port_definitions.empty()) {
    broken.add("/", "portDefinitions are only allowed with host-networking");
  }
  check_default_port(app, broken);
}

}  // namespace lotse::model

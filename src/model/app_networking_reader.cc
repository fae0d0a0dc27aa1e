// Container, networks and ports: the corner of the definition where Marathon's forms changed most. Three generations
// meet here: `ports`; container.docker.network with docker.portMappings or ipAddress; networks with
// container.portMappings.
#include <nlohmann/json.hpp>

#include "model/app_reader.h"

namespace lotse::model {
namespace {

using nlohmann::json;
using Field = DefinitionField;

enum class DockerNetwork : std::uint8_t { bridge, host, none, user };
constexpr std::pair<std::string_view, DockerNetwork> kDockerNetworks[] = {{"BRIDGE", DockerNetwork::bridge},
                                                                          {"HOST", DockerNetwork::host},
                                                                          {"NONE", DockerNetwork::none},
                                                                          {"USER", DockerNetwork::user}};
constexpr const char* kMesosBridge = "mesos-bridge";  // the default of Marathon's mesos_bridge_name

// What a definition says in forms that an App no longer has.
struct OldForms {
  std::optional<DockerNetwork> network;                // container.docker.network
  std::vector<PortMapping> docker_mappings;            // container.docker.portMappings
  bool has_ip_address = false, has_discovery = false;  // ipAddress
  std::optional<std::string> ip_network_name;
  Labels ip_labels;
  std::vector<PortMapping> discovery_mappings;
  std::optional<std::vector<int>> ports;

  bool choose_network() const { return network.has_value() || has_ip_address; }
};

// tcp | udp | udp,tcp, also spelled tcp,udp.
void read_protocol(const Field& field, std::string& protocol) {
  constexpr std::pair<std::string_view, int> kProtocols[] = {{"tcp", 0}, {"udp", 1}, {"udp,tcp", 2}, {"tcp,udp", 2}};
  int which = protocol == "udp" ? 1 : protocol == "udp,tcp" ? 2 : 0;
  field.to_one_of(kProtocols, which);
  protocol = kProtocols[which].first;
}

PortMapping read_mapping(const Field& field) {
  PortMapping mapping;
  if (!field.expect_object()) return mapping;
  field["containerPort"].to(mapping.container_port);
  field["hostPort"].to(mapping.host_port);
  field["servicePort"].to(mapping.service_port);
  read_protocol(field["protocol"], mapping.protocol);
  field["name"].to(mapping.name);
  field["labels"].to(mapping.labels);
  field["networkNames"].to(mapping.network_names);
  return mapping;
}

void read_volume(const Field& field, Container& container, json& rest) {
  if (!field.expect_object()) return;
  if (field["persistent"].is_given() || field["external"].is_given() || field["secret"].is_given()) {
    rest["container"]["volumes"].push_back(field.value());
    return;
  }
  Volume volume;
  field["containerPath"].required().to(volume.container_path);
  field["hostPath"].to(volume.host_path);
  constexpr std::pair<std::string_view, bool> kModes[] = {{"RW", false}, {"RO", true}};
  field["mode"].to_one_of(kModes, volume.read_only);
  container.volumes.push_back(std::move(volume));
}

void read_docker(const Field& docker, Container& container, OldForms& old, json& rest) {
  if (!docker.expect_object()) return;
  Field image = docker["image"];
  image.required().to(container.image);
  if (image.is_string() && container.image.empty()) image.broken_rule("must not be empty");
  docker["forcePullImage"].to(container.force_pull_image);
  docker["privileged"].to(container.privileged);
  docker["parameters"].each([&](const Field& item) {
    if (!item.expect_object()) return;
    Parameter& parameter = container.parameters.emplace_back();
    item["key"].required().to(parameter.key);
    item["value"].required().to(parameter.value);
  });
  if (Field network = docker["network"]; network.is_given()) {
    network.to_one_of(kDockerNetworks, old.network.emplace(DockerNetwork::bridge));
    if (!container.is_docker) network.broken_rule("must be empty");
  }
  Field mappings = docker["portMappings"];
  mappings.each([&](const Field& item) { old.docker_mappings.push_back(read_mapping(item)); });
  if (!container.is_docker && !old.docker_mappings.empty()) mappings.broken_rule("must be empty");
  for (const char* name : {"pullConfig", "credential"}) {
    if (says_something(docker[name])) rest["container"]["docker"][name] = docker[name].value();
  }
}

void read_container(const Field& field, App& app, OldForms& old, json& rest) {
  if (!field.expect_object()) return;
  Container& container = app.container.emplace();
  constexpr std::pair<std::string_view, bool> kTypes[] = {{"DOCKER", true}, {"MESOS", false}};
  field["type"].to_one_of(kTypes, container.is_docker);
  read_docker(field["docker"], container, old, rest);
  field["volumes"].each([&](const Field& item) { read_volume(item, container, rest); });
  if (Field mappings = field["portMappings"]; mappings.is_given()) {
    container.port_mappings.emplace();
    mappings.each([&](const Field& item) { container.port_mappings->push_back(read_mapping(item)); });
  }
  for (const char* name : {"appc", "linuxInfo"}) {
    if (says_something(field[name])) rest["container"][name] = field[name].value();
  }
}

void read_ip_address(const Field& field, OldForms& old) {
  if (!field.expect_object()) return;
  old.has_ip_address = true;
  field["networkName"].to(old.ip_network_name);
  field["labels"].to(old.ip_labels);
  Field discovery = field["discovery"];
  old.has_discovery = discovery.is_given();
  if (!discovery.expect_object()) return;
  discovery["ports"].each([&](const Field& item) {
    if (!item.expect_object()) return;
    PortMapping& mapping = old.discovery_mappings.emplace_back();  // no host port: the old form could not map one
    item["number"].required().to(mapping.container_port);
    item["name"].required().to(mapping.name);
    read_protocol(item["protocol"], mapping.protocol);
    item["labels"].to(mapping.labels);
  });
}

std::vector<Network> read_networks(const Field& field) {
  std::vector<Network> networks;
  field.each([&](const Field& item) {
    if (!item.expect_object()) return;
    Network network{.mode = NetworkMode::container};
    item["mode"].to_one_of(kNetworkModes, network.mode);
    item["name"].to(network.name);
    item["labels"].to(network.labels);
    networks.push_back(std::move(network));
  });
  return networks;
}

std::vector<Network> networks_from_old_forms(const Field& definition, const OldForms& old) {
  Network network{.mode = NetworkMode::container, .labels = old.ip_labels};
  if (old.network == DockerNetwork::none) {
    definition.clash("unsupported docker network type NONE");
  } else if (old.network == DockerNetwork::host) {
    network = Network{};
  } else if (old.network == DockerNetwork::bridge || (!old.network && old.ip_network_name == kMesosBridge)) {
    network.mode = NetworkMode::bridge;
  } else {
    network.name = old.ip_network_name.value_or("");
  }
  return {network};
}

// docker.portMappings and ipAddress.discovery.ports become container.portMappings.
void migrate_mappings(const Field& definition, bool mappings_give_way, OldForms& old, App& app) {
  if (old.has_ip_address && !app.container) {  // an address of its own implies a container
    app.container.emplace().is_docker = false;
  }
  if (!app.container) return;
  auto& mappings = app.container->port_mappings;
  bool says_mappings = mappings && !mappings->empty();
  if (!old.docker_mappings.empty()) {
    if (says_mappings) return definition.clash("cannot specify both portMappings and docker.portMappings");
    mappings = std::move(old.docker_mappings);
  }
  if (old.discovery_mappings.empty()) return;
  if (app.container->is_docker) {
    definition["ipAddress"].broken_rule("ipAddress/discovery is not allowed for Docker containers");
  } else if (mappings && !mappings->empty() && !mappings_give_way) {
    definition.clash("container.portMappings and ipAddress.discovery.ports must not both be set");
  } else {
    mappings = std::move(old.discovery_mappings);
  }
}

void check_old_forms(const Field& definition, const OldForms& old) {
  bool says_networks = definition["networks"].is_given() && !definition["networks"].value().empty();
  bool says_definitions = definition["portDefinitions"].is_given() && !definition["portDefinitions"].value().empty();
  bool says_ports = old.ports && !old.ports->empty();
  if (says_networks && old.network) {
    definition.broken_rule("must not specify both container.docker.network and networks");
  }
  if (says_networks && old.has_ip_address) definition.broken_rule("must not specify both networks and ipAddress");
  if (old.has_ip_address && (says_ports || says_definitions)) {
    definition.broken_rule("cannot specify both an IP address and port");
  }
  if (!says_ports || definition["portDefinitions"].is_given()) return;
  std::vector<int> ports = *old.ports;
  std::sort(ports.begin(), ports.end());
  auto first = std::upper_bound(ports.begin(), ports.end(), 0);
  if (std::adjacent_find(first, ports.end()) != ports.end()) definition.broken_rule("ports must be unique");
}

std::vector<PortDefinition> definitions_of(const std::vector<int>& ports) {
  std::vector<PortDefinition> definitions;
  for (int port : ports) definitions.push_back(PortDefinition{.port = port});
  return definitions;
}

void read_port_definitions(const Field& definition, const OldForms& old, App& app) {
  Field field = definition["portDefinitions"];
  if (!field.is_given()) {
    app.port_definitions =
        old.ports ? definitions_of(*old.ports) : std::vector<PortDefinition>{PortDefinition{.name = "default"}};
    return;
  }
  field.each([&](const Field& item) {
    if (!item.expect_object()) return;
    PortDefinition& each = app.port_definitions.emplace_back();
    item["port"].to(each.port);
    read_protocol(item["protocol"], each.protocol);
    item["name"].to(each.name);
    item["labels"].to(each.labels);
  });
  // Our answers echo `ports` beside portDefinitions, and clients send back what they got.
  if (!old.ports || old.ports->empty() || app.port_definitions.empty()) return;
  bool is_echo = std::equal(old.ports->begin(), old.ports->end(), app.port_definitions.begin(),
                            app.port_definitions.end(), [](int port, const auto& each) { return port == each.port; });
  if (!is_echo) definition.broken_rule("cannot specify both ports and port definitions");
}

void settle_host_network(bool mappings_give_way, App& app) {
  if (!app.container || !app.container->port_mappings) return;
  if (mappings_give_way || app.container->port_mappings->empty()) app.container->port_mappings.reset();
}

// `wanted`: as many mappings as the old `ports` had entries.
void settle_other_network(bool definitions_give_way, std::size_t wanted, App& app) {
  app.require_ports = false;  // only host networking knows it
  if (!app.container) app.container.emplace().is_docker = false;
  auto& mappings = app.container->port_mappings;
  if (!mappings) mappings = std::vector<PortMapping>{PortMapping{.name = "default"}};
  while (mappings->size() < wanted) mappings->emplace_back();
  bool is_bridge = std::any_of(app.networks.begin(), app.networks.end(),
                               [](const Network& network) { return network.mode == NetworkMode::bridge; });
  for (PortMapping& mapping : *mappings) {
    if (is_bridge && !mapping.host_port) mapping.host_port = 0;
  }
  if (definitions_give_way) app.port_definitions.clear();
}

}  // namespace

void read_networking(const DefinitionField& definition, const AppReadOptions& options, App& app, json& rest) {
  OldForms old;
  read_container(definition["container"], app, old, rest);
  read_ip_address(definition["ipAddress"], old);
  definition["ports"].to(old.ports);
  definition["requirePorts"].to(app.require_ports);
  check_old_forms(definition, old);

  bool uses_old_mappings = !old.docker_mappings.empty();
  if (auto networks = read_networks(definition["networks"]); !networks.empty()) {
    app.networks = std::move(networks);
  } else if (old.choose_network()) {
    app.networks = networks_from_old_forms(definition, old);
  }
  migrate_mappings(definition, options.inherits_port_mappings, old, app);
  read_port_definitions(definition, old, app);
  if (uses_host_network(app)) return settle_host_network(uses_old_mappings || options.inherits_port_mappings, app);

  bool says_definitions = definition["portDefinitions"].is_given();
  bool definitions_give_way = !says_definitions || old.choose_network() || options.inherits_port_definitions;
  std::size_t wanted = definitions_give_way && (says_definitions ? old.choose_network() : old.ports.has_value())
                           ? app.port_definitions.size()
                           : 0;
  settle_other_network(definitions_give_way, wanted, app);
}

}  // namespace lotse::model

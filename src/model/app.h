// An application as Marathon defines it (MARATHON v2 app definition, the 1.11 line), migrated to the new network form,
// with every default filled in. Values only: no rules (app_rules.h) and no JSON (app_json.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"

namespace lotse::model {

using AppId = std::string;    // absolute: "/shop/api"; app_id.h has the grammar
using Version = std::string;  // a timestamp "2015-08-26T20:23:39.463Z", unique and increasing per app
using Labels = std::map<std::string, std::string>;
using Seconds = std::chrono::duration<double>;  // as Marathon's JSON numbers are; 0.25 s is legal for backoff

struct PortMapping {             // container.portMappings[]
  int container_port = 0;        // 0: the same as the host port
  std::optional<int> host_port;  // 0: random; absent on a container network: not published
  int service_port = 0;          // 0: assigned
  std::string protocol = "tcp";  // tcp | udp | udp,tcp
  std::string name;              // empty: none
  Labels labels;
  std::vector<std::string> network_names;
  bool operator==(const PortMapping&) const = default;
};

struct PortDefinition {  // portDefinitions[]; host networking
  int port = 0;          // the service port; with requirePorts also the host port
  std::string protocol = "tcp";
  std::string name;
  Labels labels;
  bool operator==(const PortDefinition&) const = default;
};

enum class NetworkMode : std::uint8_t { host, bridge, container };
struct Network {
  NetworkMode mode = NetworkMode::host;
  std::string name;  // container mode only
  Labels labels;
  bool operator==(const Network&) const = default;
};

struct Volume {  // a host volume; other kinds are kept in App::rest and refused by the rules
  std::string container_path, host_path;
  bool read_only = false;
  bool operator==(const Volume&) const = default;
};

struct Parameter {
  std::string key, value;
  bool operator==(const Parameter&) const = default;
};

struct Container {
  bool is_docker = true;  // type DOCKER, else MESOS
  std::string image;      // docker.image; required for DOCKER
  bool force_pull_image = false;
  bool privileged = false;
  std::vector<Parameter> parameters;
  std::vector<Volume> volumes;
  std::optional<std::vector<PortMapping>> port_mappings;
  bool operator==(const Container&) const = default;
};

enum class HealthProtocol : std::uint8_t { http, https, tcp, command, mesos_http, mesos_https, mesos_tcp };
struct HealthCheck {
  HealthProtocol protocol = HealthProtocol::http;
  std::optional<std::string> path;  // absent: "/"
  std::optional<int> port_index;    // into the app's ports; 0 when neither port nor portIndex is given
  std::optional<int> port;
  Seconds grace_period{300}, interval{60}, timeout{20}, delay{15};
  int max_consecutive_failures = 3;  // 0: never kill
  bool ignore_http_1xx = false;
  std::string ip_protocol = "IPv4";
  std::string command;  // protocol COMMAND
  bool operator==(const HealthCheck&) const = default;
};

struct ReadinessCheck {
  std::string name = "readinessCheck", protocol = "HTTP", path = "/", port_name = "http-api";
  Seconds interval{30}, timeout{10};
  std::vector<int> ready_statuses{200};
  bool preserve_last_response = false;
  bool operator==(const ReadinessCheck&) const = default;
};

enum class ConstraintOperator : std::uint8_t { unique, cluster, group_by, like, unlike, max_per, is };
struct Constraint {
  std::string field;  // "hostname" or an agent attribute; "@hostname" is stored as written
  ConstraintOperator op = ConstraintOperator::unique;
  std::optional<std::string> value;
  bool operator==(const Constraint&) const = default;
};

struct Fetch {
  std::string uri;
  bool extract = true, executable = false, cache = false;
  std::string dest_path;
  bool operator==(const Fetch&) const = default;
};

struct UpgradeStrategy {
  double minimum_health_capacity = 1, maximum_over_capacity = 1;  // both 0..1
  // Lotse's own, shown only where given, since clients of Marathon do not know them.
  std::optional<Seconds> progress_deadline;  // a deployment without progress for so long fails; absent: 600 s; 0: never
  std::optional<bool> auto_rollback;         // then return to the last good version; absent: apps with health checks do
  bool operator==(const UpgradeStrategy&) const = default;
};

struct UnreachableStrategy {
  bool disabled = false;  // JSON "disabled"
  Seconds inactive_after{0}, expunge_after{0};
  bool operator==(const UnreachableStrategy&) const = default;
};

struct App {
  AppId id;
  std::optional<std::string> cmd;
  std::vector<std::string> args;
  int instances = 1;
  double cpus = 1, mem_mib = 128, disk_mib = 0, gpus = 0;
  std::map<std::string, std::string> env;
  Labels labels;
  std::optional<std::string> user;
  bool tty = false;  // a terminal in its container
  std::string executor, role = "*";
  std::vector<std::string> accepted_resource_roles{"*"};
  std::vector<Constraint> constraints;
  std::vector<AppId> dependencies;
  std::vector<Fetch> fetch;
  Seconds backoff{1}, max_launch_delay{300};
  double backoff_factor = 1.15;
  std::optional<Seconds> kill_grace_period;  // absent: 3 s in practice
  UpgradeStrategy upgrade_strategy;
  std::optional<Seconds> drain_time;  // drainSeconds, Lotse's own: how long requests may take when a task leaves
  bool kill_oldest_first = false;     // killSelection OLDEST_FIRST
  UnreachableStrategy unreachable_strategy;
  std::vector<HealthCheck> health_checks;
  std::vector<ReadinessCheck> readiness_checks;
  bool require_ports = false;
  std::vector<PortDefinition> port_definitions;  // host networking only
  std::vector<Network> networks{Network{}};
  std::optional<Container> container;
  std::string
      rest;  // canonical JSON object of known fields that have no member here (secrets, check, ...); "" when none

  // Set by the server.
  Version version;
  std::string last_scaling_at, last_config_change_at;
  bool operator==(const App&) const = default;
};

// One port of an app in the order that PORT0.. and host_ports follow, whatever network form it came from.
struct AppPort {
  int container_port = 0;        // 0: the same as the host port
  std::optional<int> host_port;  // 0: random; a number: fixed (requirePorts, or hostPort in a mapping); absent: none
  int service_port = 0;
  bool is_tcp = true, is_udp = false;
  std::string name;
};
std::vector<AppPort> ports_of(const App& app);

bool uses_host_network(const App& app);
std::optional<std::chrono::nanoseconds> progress_deadline_of(const App& app);  // nullopt: for ever
bool rolls_back(const App& app);                                               // by itself, when a deployment fails
std::chrono::nanoseconds kill_grace_of(const App& app);                        // 3 s when not given

// The port that "/app" without ":port" means: label lotse.port (name or index), else the first TCP port; nullopt: none.
std::optional<int> default_port_of(const App& app);

// Do the two differ in anything but instances, version and versionInfo? Such a difference restarts (MARATHON 5).
bool needs_restart(const App& before, const App& after);

}  // namespace lotse::model

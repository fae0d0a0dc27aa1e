#include "agent/docker_body.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "agent/docker_parameters.h"
#include "agent/json_fields.h"
#include "agent/task_environment.h"

namespace lotse::agent {
namespace {

using nlohmann::json;

constexpr double kMebibyte = 1024.0 * 1024.0;
constexpr double kMemoryMibMin = 6;  // Docker refuses less
constexpr double kCpusMin = 0.01;    // of NanoCpus; Docker refuses less
constexpr std::size_t kLaunchLabelBytesMax = 64 * 1024;

std::string launch_label(const model::LaunchTask& launch) {
  model::AgentCommand command;
  command.launch = launch;
  command.launch->app.env.clear();  // the container has its environment; labels are listed to more people than that
  command.launch->env.clear();
  std::string text = model::serialize(command);
  return text.size() <= kLaunchLabelBytesMax ? text : std::string();
}

json labels_of(const model::LaunchTask& launch, const ContainerContext& context) {
  json labels = json::object();
  for (const auto& [name, value] : launch.app.labels) labels[name] = value;
  labels[kLabelCluster] = context.cluster;
  labels[kLabelAgent] = context.agent_id;
  labels[kLabelDataId] = context.data_id;
  labels[kLabelTask] = launch.task;
  labels[kLabelApp] = launch.app.id;
  labels[kLabelVersion] = launch.app.version;
  if (std::string text = launch_label(launch); !text.empty()) labels[kLabelLaunch] = text;
  return labels;
}

json log_config() { return {{"Type", "json-file"}, {"Config", {{"max-size", "10m"}, {"max-file", "2"}}}}; }

void add_ports(json& body, const model::LaunchTask& launch) {
  json exposed = json::object(), bindings = json::object();
  std::vector<model::AppPort> ports = model::ports_of(launch.app);
  for (std::size_t i = 0; i < ports.size(); ++i) {
    int host_port = i < launch.host_ports.size() ? launch.host_ports[i] : 0;
    int container_port = ports[i].container_port != 0 ? ports[i].container_port : host_port;
    if (container_port == 0) continue;
    for (const char* protocol : {"tcp", "udp"}) {
      if (!(protocol[0] == 't' ? ports[i].is_tcp : ports[i].is_udp)) continue;
      std::string key = fmt::format("{}/{}", container_port, protocol);
      exposed[key] = json::object();
      if (host_port == 0) continue;
      bindings[key].push_back({{"HostIp", "0.0.0.0"}, {"HostPort", std::to_string(host_port)}});
    }
  }
  body["ExposedPorts"] = std::move(exposed);
  body["HostConfig"]["PortBindings"] = std::move(bindings);
}

void add_limits(json& host_config, const model::App& app, double cores) {
  // Shares decide who waits when the machine is full; the quota keeps a task to its size when it is not (issue 2).
  host_config["CpuShares"] = std::max<std::int64_t>(2, std::llround(app.cpus * 1024));
  if (app.cpus > 0)
    host_config["NanoCpus"] = std::llround(std::clamp(app.cpus, kCpusMin, std::max(cores, kCpusMin)) * 1e9);
  if (app.mem_mib > 0) host_config["Memory"] = std::llround(std::max(app.mem_mib, kMemoryMibMin) * kMebibyte);
}

std::string network_mode(const model::App& app) {
  if (app.networks.empty()) return "host";
  switch (app.networks.front().mode) {
    case model::NetworkMode::host:
      return "host";
    case model::NetworkMode::bridge:
      return "bridge";
    case model::NetworkMode::container:
      break;
  }
  return app.networks.front().name;
}

void add_volumes(json& host_config, const model::App& app, const std::string& sandbox_path) {
  json binds = json::array();
  if (!sandbox_path.empty()) binds.push_back(sandbox_path + ":" + kSandboxInContainer + ":rw");
  for (const model::Volume& volume : app.container->volumes) {
    // A relative host path is one inside the sandbox, as it was in Mesos.
    std::string host_path =
        volume.host_path.starts_with('/') ? volume.host_path : sandbox_path + "/" + volume.host_path;
    binds.push_back(host_path + ":" + volume.container_path + (volume.read_only ? ":ro" : ":rw"));
  }
  host_config["Binds"] = std::move(binds);
}

void add_command(json& body, const model::App& app) {
  if (app.cmd) {  // Mesos: --entrypoint /bin/sh, so that an image with an ENTRYPOINT runs the command all the same
    body["Entrypoint"] = json::array({"/bin/sh"});
    body["Cmd"] = json::array({"-c", *app.cmd});
  } else if (!app.args.empty()) {
    body["Cmd"] = app.args;
  }
}

}  // namespace

std::string container_name(const model::TaskId& task) { return "lotse-" + task; }

Result<std::string, Problem> container_body(const model::LaunchTask& launch, const ContainerContext& context) {
  const model::App& app = launch.app;
  if (!app.container || app.container->image.empty()) return fail(Problem{"container", "the app names no image"});
  json env = json::array();
  for (const auto& [name, value] : task_environment(launch, context.host, kSandboxInContainer)) {
    env.push_back(name + "=" + value);
  }
  auto grace = std::chrono::ceil<std::chrono::seconds>(model::kill_grace_of(app));
  json body{{"Image", app.container->image},
            {"Env", std::move(env)},
            {"Labels", labels_of(launch, context)},
            {"StopTimeout", grace.count()},
            {"HostConfig",
             {{"NetworkMode", network_mode(app)},
              {"Privileged", app.container->privileged},
              {"LogConfig", log_config()},
              {"RestartPolicy", {{"Name", "no"}}}}}};  // restarting is the scheduler's business
  json& host_config = body["HostConfig"];
  if (app.user) body["User"] = *app.user;
  if (app.tty) body["Tty"] = true;
  add_command(body, app);
  add_limits(host_config, app, context.cores);
  add_volumes(host_config, app, context.sandbox_path);
  if (!model::uses_host_network(app)) add_ports(body, launch);
  for (const model::Parameter& parameter : app.container->parameters) {
    if (auto problem = apply_docker_parameter(body, parameter)) return fail(std::move(*problem));
  }
  return dump(body);
}

std::string with_tag(const std::string& image) {
  if (image.find('@') != std::string::npos) return image;
  std::size_t slash = image.rfind('/');
  std::size_t name = slash == std::string::npos ? 0 : slash + 1;  // a colon before it belongs to the registry's port
  return image.find(':', name) == std::string::npos ? image + ":latest" : image;
}

model::LaunchTask launch_from_labels(const model::Labels& labels) {
  auto value = [&](const char* name) {
    auto found = labels.find(name);
    return found == labels.end() ? std::string() : found->second;
  };
  if (std::string text = value(kLabelLaunch); !text.empty()) {
    auto command = model::parse_agent_command(text);
    if (command && command->launch && command->launch->task == value(kLabelTask)) return std::move(*command->launch);
  }
  model::LaunchTask launch;
  launch.task = value(kLabelTask);
  launch.app.id = value(kLabelApp);
  launch.app.version = value(kLabelVersion);
  launch.app.container.emplace();
  launch.app.networks = {model::Network{.mode = model::NetworkMode::bridge, .name = {}, .labels = {}}};
  launch.app.container->port_mappings.emplace();
  return launch;
}

}  // namespace lotse::agent

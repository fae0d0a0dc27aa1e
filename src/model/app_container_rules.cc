// Rules of containers, and of everything Marathon knows that Lotse has nothing to honour it with.
#include <nlohmann/json.hpp>

#include "model/app_rule_set.h"
#include "model/json_text.h"

namespace lotse::model {
namespace {

using nlohmann::json;

void check_volume(const json& volume, const std::string& path, Broken& broken) {
  auto says = [&](const char* kind) { return volume.is_object() && volume.contains(kind); };
  if (says("external")) {
    broken.add(path,
               "external volumes are not supported: use a host volume (hostPath) on storage that every node sees");
  } else if (says("secret")) {
    broken.add(path, "secret volumes are not supported: there is no secret store");
  } else {
    broken.add(path, "persistent volumes are not supported: use a host volume (hostPath) and a constraint on the host");
  }
}

void check_container_rest(const App& app, const json& container, Broken& broken) {
  if (auto volumes = container.find("volumes"); volumes != container.end() && volumes->is_array()) {
    std::size_t index = app.container ? app.container->volumes.size() : 0;
    for (const json& volume : *volumes) check_volume(volume, item("/container/volumes", index++), broken);
  }
  if (container.contains("appc")) broken.add("/container/appc", "AppC images are not supported: use docker.image");
  if (container.contains("linuxInfo")) broken.add("/container/linuxInfo", "linuxInfo is not supported");
  auto docker = container.find("docker");
  if (docker == container.end()) return;
  for (const char* name : {"pullConfig", "credential"}) {
    if (!docker->contains(name)) continue;
    broken.add(std::string("/container/docker/") + name,
               "there is no secret store: the credentials of a registry come from the agent's own Docker config");
  }
}

// Sentences for the fields that App::rest keeps.
std::string_view why_not(std::string_view field) {
  if (field == "secrets") return "secrets are not supported: there is no secret store";
  if (field == "residency") return "residency is not supported: it needs persistent volumes";
  if (field == "check") return "check is not supported: use healthChecks";
  if (field == "executorResources") return "executorResources is not supported: tasks run without an executor";
  if (field == "resourceLimits") return "resourceLimits is not supported: cpus and mem are the limits";
  return "is not supported";
}

}  // namespace

void check_container(const App& app, Broken& broken) {
  if (app.tty && (!app.container || app.container->image.empty())) {
    broken.add("/tty", "needs a container with an image: a plain process has no terminal");
  }
  if (!app.container) return;
  const Container& container = *app.container;
  if (container.is_docker && container.image.empty()) broken.add("/container/docker", "not defined");
  if (!container.is_docker && !container.parameters.empty()) {
    broken.add("/container/docker/parameters", "must be empty");
  }
  for (std::size_t index = 0; index < container.parameters.size(); ++index) {
    if (!container.parameters[index].key.empty()) continue;
    broken.add(item("/container/docker/parameters", index, "key"), "must not be empty");
  }
  for (std::size_t index = 0; index < container.volumes.size(); ++index) {
    const Volume& volume = container.volumes[index];
    const std::string list = "/container/volumes";
    if (volume.container_path.empty()) broken.add(item(list, index, "containerPath"), "must not be empty");
    if (volume.host_path.empty()) broken.add(item(list, index, "hostPath"), "not defined");
  }
}

void check_unsupported(const App& app, Broken& broken) {
  if (app.rest.empty()) return;
  auto rest = parse_json_text(app.rest);
  if (!rest || !rest->is_object()) return broken.add("/", "holds fields that cannot be read");
  for (const auto& [field, value] : rest->items()) {
    if (field == "container") {
      check_container_rest(app, value, broken);
    } else if (field == "env") {
      for (const auto& [name, reference] : value.items()) {
        broken.add("/env/" + name, "refers to a secret, and there is no secret store");
      }
    } else {
      broken.add("/" + field, why_not(field));
    }
  }
}

}  // namespace lotse::model

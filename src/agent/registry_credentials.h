// What a Docker config (config.json, or the old .dockercfg) knows of a registry, and the header that says so to Docker.
// Pure; any bytes are survivable.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lotse::agent {

struct RegistryCredentials {
  std::string username, password, identity_token;
  bool operator==(const RegistryCredentials&) const = default;
};
struct ConfiguredLogin {
  std::optional<RegistryCredentials> credentials;
  std::string helper;  // docker-credential-<helper> knows them; beats `credentials`, as in the docker program
};

// "registry.example.com:5000/team/shop:1" -> "registry.example.com:5000"; "redis" -> "docker.io".
std::string registry_of(std::string_view image);
std::string server_name(const std::string& registry);  // as configs and helpers call it: Docker's own has an old URL

Result<ConfiguredLogin, Problem> find_login(std::string_view config, const std::string& registry);
// What a helper prints: {"Username": ..., "Secret": ...}.
std::optional<RegistryCredentials> parse_helper_answer(std::string_view json);

std::string registry_auth_field(const RegistryCredentials& credentials,
                                const std::string& registry);  // X-Registry-Auth

}  // namespace lotse::agent

#include "agent/registry_credentials.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

using nlohmann::json;

constexpr std::string_view kDockerHub = "docker.io";
constexpr std::string_view kDockerHubServer = "https://index.docker.io/v1/";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes;
  unsigned bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=') break;
    std::size_t value = kAlphabet.find(c == '-' ? '+' : c == '_' ? '/' : c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xffffff;
    if ((count += 6) < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

std::string to_base64url(std::string_view bytes) {
  std::string text;
  unsigned bits = 0;
  int count = 0;
  auto put = [&](unsigned value) {
    char c = kAlphabet[value & 63];
    text += c == '+' ? '-' : c == '/' ? '_' : c;
  };
  for (char c : bytes) {
    bits = (bits << 8 | static_cast<unsigned char>(c)) & 0xffffff;
    for (count += 8; count >= 6;) put(bits >> (count -= 6));
  }
  if (count > 0) put(bits << (6 - count));
  text.resize((text.size() + 3) / 4 * 4, '=');
  return text;
}

// "https://registry.example.com/v1/" -> "registry.example.com": old programs wrote URLs.
std::string_view host_of(std::string_view key) {
  if (std::size_t scheme = key.find("://"); scheme != std::string_view::npos) key.remove_prefix(scheme + 3);
  return key.substr(0, key.find('/'));
}

bool names(std::string_view key, const std::string& registry) {
  std::string_view host = host_of(key);
  return host == registry || (registry == kDockerHub && (host == "index.docker.io" || host == "registry-1.docker.io"));
}

std::optional<RegistryCredentials> credentials_in(const json& entry) {
  if (!entry.is_object()) return std::nullopt;
  RegistryCredentials credentials{.username = text_of(entry, "username"),
                                  .password = text_of(entry, "password"),
                                  .identity_token = text_of(entry, "identitytoken")};
  if (auto pair = from_base64(text_of(entry, "auth")); pair && pair->find(':') != std::string::npos) {
    credentials.username = pair->substr(0, pair->find(':'));
    credentials.password = pair->substr(pair->find(':') + 1);
    // Some writers pad with NULs.
    while (credentials.password.ends_with('\0')) credentials.password.pop_back();
  }
  if (credentials == RegistryCredentials{}) return std::nullopt;
  return credentials;
}

}  // namespace

std::string registry_of(std::string_view image) {
  std::string_view first = image.substr(0, image.find('/'));
  bool is_host = first.size() < image.size() && (first.find('.') != std::string_view::npos ||
                                                 first.find(':') != std::string_view::npos || first == "localhost");
  return std::string(is_host ? first : kDockerHub);
}

std::string server_name(const std::string& registry) {
  return registry == kDockerHub ? std::string(kDockerHubServer) : registry;
}

Result<ConfiguredLogin, Problem> find_login(std::string_view text, const std::string& registry) {
  json config = json::parse(text, nullptr, false);
  if (!config.is_object()) return fail(Problem{"", "is not a JSON object"});
  ConfiguredLogin login;
  if (auto helpers = config.find("credHelpers"); helpers != config.end() && helpers->is_object()) {
    for (const auto& [key, helper] : helpers->items()) {
      if (names(key, registry) && helper.is_string()) login.helper = helper.get<std::string>();
    }
  }
  if (login.helper.empty()) login.helper = text_of(config, "credsStore");
  auto auths = config.find("auths");
  const json& entries = auths != config.end() ? *auths : config;  // .dockercfg has them at the top
  if (!entries.is_object()) return login;
  for (const auto& [key, entry] : entries.items()) {
    if (!names(key, registry)) continue;
    if (auto credentials = credentials_in(entry)) login.credentials = std::move(credentials);
  }
  return login;
}

std::optional<RegistryCredentials> parse_helper_answer(std::string_view text) {
  json answer = json::parse(text, nullptr, false);
  if (!answer.is_object()) return std::nullopt;
  std::string username = text_of(answer, "Username"), secret = text_of(answer, "Secret");
  if (secret.empty()) return std::nullopt;
  if (username == "<token>") return RegistryCredentials{.username = {}, .password = {}, .identity_token = secret};
  return RegistryCredentials{.username = username, .password = secret, .identity_token = {}};
}

std::string registry_auth_field(const RegistryCredentials& credentials, const std::string& registry) {
  json field{{"serveraddress", server_name(registry)}};
  if (!credentials.username.empty()) field["username"] = credentials.username;
  if (!credentials.password.empty()) field["password"] = credentials.password;
  if (!credentials.identity_token.empty()) field["identitytoken"] = credentials.identity_token;
  return to_base64url(dump(field));
}

}  // namespace lotse::agent

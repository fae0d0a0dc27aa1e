#include "agent/registry_logins.h"

#include <fmt/core.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "agent/command_run.h"
#include "agent/durable_file.h"
#include "agent/registry_credentials.h"
#include "base/log.h"
#include "net/listen.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kHelperTimeout = 30s;
constexpr std::size_t kConfigBytesMax = 1024 * 1024;
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

bool is_helper_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::string all_of(int fd) {
  std::string text(kAnswerBytesMax, '\0');
  ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

net::ProcessOptions helper_call(const std::string& helper, const std::string& server, int output) {
  net::ProcessOptions options;
  options.file = "/bin/sh";
  options.arguments = {"-c", R"(printf %s "$2" | "docker-credential-$1" get)", "sh", helper, server};
  for (char** variable = environ; *variable != nullptr; ++variable) options.environment.emplace_back(*variable);
  options.directory = "/";
  options.stdout_fd = output;
  options.new_session = true;
  return options;
}

RegistryLogin as(const RegistryCredentials& credentials, const std::string& registry, const std::string& source) {
  std::string who = credentials.username.empty() ? "with a token" : fmt::format("as \"{}\"", credentials.username);
  return {.field = registry_auth_field(credentials, registry), .words = fmt::format("asked {}, by {}", who, source)};
}

}  // namespace

Async<RegistryLogin> RegistryLogins::login(std::string image, std::string sandbox_path) {
  std::string registry = registry_of(image);
  for (const char* name : {"/.docker/config.json", "/.dockercfg"}) {
    auto own = login_by(sandbox_path + name, registry, false);
    RegistryLogin found = co_await own;
    if (!found.field.empty()) co_return found;
  }
  auto machine = login_by(config_path_, registry, true);
  RegistryLogin found = co_await machine;
  co_return found;
}

Async<RegistryLogin> RegistryLogins::login_by(std::string config_path, std::string registry, bool is_trusted) {
  RegistryLogin none{.field = {},
                     .words = fmt::format("asked without credentials: `docker login {}` on this node would write them "
                                          "to {}",
                                          registry, config_path)};
  if (config_path.empty()) co_return RegistryLogin{};
  auto config = read_whole(config_path, kConfigBytesMax);
  if (config && !config->exists) co_return none;
  auto configured =
      config ? find_login(config->content, registry) : Result<ConfiguredLogin, Problem>(fail(config.error()));
  if (!configured) {
    none.words =
        fmt::format("asked without credentials, since {} cannot be used: {}", config_path, configured.error().what);
    log::warn("agent", "{}: {}", config_path, configured.error().text());
    co_return none;
  }
  if (is_trusted && is_helper_name(configured->helper)) {
    net::UniqueFd output(::memfd_create("credentials", MFD_CLOEXEC));
    CommandRun run(loop_, kHelperTimeout);
    auto spawned = run.spawn(loop_, helper_call(configured->helper, server_name(registry), output.get()));
    std::optional<int> code;
    if (spawned) code = co_await run;
    auto answer = code == 0 ? parse_helper_answer(all_of(output.get())) : std::nullopt;
    if (answer) co_return as(*answer, registry, "docker-credential-" + configured->helper);
    none.words = fmt::format("asked without credentials: docker-credential-{}, which {} names, gave none",
                             configured->helper, config_path);
  }
  if (configured->credentials) co_return as(*configured->credentials, registry, config_path);
  co_return none;
}

bool sounds_denied(std::string_view words) {
  constexpr std::array<std::string_view, 5> kSigns{"unauthorized", "denied", "no basic auth", "authentication",
                                                   "forbidden"};
  return std::any_of(kSigns.begin(), kSigns.end(),
                     [&](std::string_view sign) { return words.find(sign) != std::string_view::npos; });
}

}  // namespace lotse::agent

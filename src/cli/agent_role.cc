// `lotse agent`.
#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <tuple>

#include "agent/docker_parameters.h"
#include "base/log.h"
#include "cli/agent_options.h"
#include "cli/commands.h"
#include "cli/role.h"
#include "cli/service_manager.h"
#include "net/loop.h"

namespace lotse::cli {

std::string default_docker_config() {
  if (const char* folder = std::getenv("DOCKER_CONFIG"); folder != nullptr && *folder != '\0') {
    return std::string(folder) + "/config.json";
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') {
    const passwd* entry = ::getpwuid(::geteuid());
    home = entry != nullptr ? entry->pw_dir : "";
  }
  return std::string(home) + "/.docker/config.json";
}

namespace {

Result<Unit, Problem> resolve_fetch(AgentArguments& arguments) {
  agent::FetchBounds& bounds = arguments.options.fetch;
  for (auto [option, text, bytes] : {std::tuple{"--fetch-size", &arguments.fetch_size, &bounds.bytes_max},
                                     std::tuple{"--fetch-cache", &arguments.fetch_cache, &bounds.cache_bytes_max}}) {
    auto size = agent::parse_size(*text);
    if (!size) return fail(Problem{option, fmt::format("\"{}\" is no size; write for example 500m or 4g", *text)});
    *bytes = *size;
  }
  auto timeout = parse_duration(arguments.fetch_timeout);
  if (!timeout || *timeout <= Duration::zero()) {
    return fail(Problem{"--fetch-timeout",
                        fmt::format("\"{}\" is no duration; write for example 90s or 10m", arguments.fetch_timeout)});
  }
  bounds.time_max = std::chrono::duration_cast<std::chrono::milliseconds>(*timeout);
  return Unit{};
}

}  // namespace

Result<Unit, Problem> resolve(AgentArguments& arguments) {
  auto ports = parse_port_range(arguments.ports);
  if (!ports) return fail(ports.error());
  arguments.options.ports = *ports;
  auto runtime = agent::parse_runtime_choice(arguments.runtime);
  if (!runtime) return fail(runtime.error());
  arguments.options.runtime = *runtime;
  if (auto read = resolve_fetch(arguments); !read) return read;
  for (const std::string& text : arguments.attributes) {
    auto attribute = parse_attribute(text);
    if (!attribute) return fail(attribute.error());
    arguments.options.attributes.insert(*attribute);
  }
  return Unit{};
}

namespace {

int run_agent(AgentArguments& arguments) {
  if (auto resolved = resolve(arguments); !resolved) {
    report_failure("agent", resolved.error());
    return 2;
  }
  net::Loop loop;
  agent::AgentCallbacks callbacks;
  callbacks.on_refused = [](const Problem& problem) { log::error("agent", "{}", problem.text()); };
  agent::Agent agent(loop, arguments.options, callbacks);
  auto address = agent.start();
  if (!address) return report_failure("agent", address.error());
  log::info("agent", "{} listens on {}, data in {}", agent.id(), address->to_string(), arguments.options.data);
  ServiceManager service(loop);
  service.ready("serving");
  service.watch_over([] { return std::string(); });
  StopSignals signals(loop, [&](bool is_second) {
    if (is_second) return loop.stop();
    service.stopping();
    log::info("agent", "stopping; tasks go on running and are found again at the next start");
    agent.stop([](const std::string& line) { log::info("agent", "{}", line); }, [&] { loop.stop(); });
  });
  loop.run();
  return 0;
}

}  // namespace

void add_agent(CLI::App& root, Invocation& invocation) {
  auto arguments = std::make_shared<AgentArguments>();
  agent::AgentOptions& options = arguments->options;
  CLI::App* command =
      root.add_subcommand("agent", "Run this machine's agent: starts tasks, watches their health, reports");
  command->add_option("--scheduler", options.scheduler, "Where the scheduler's API is")
      ->envname("LOTSE_SCHEDULER")
      ->required()
      ->type_name("URL");
  command->add_option("--listen", options.listen, "Address of the agent's own API")
      ->capture_default_str()
      ->type_name("ADDR");
  command
      ->add_option("--address", options.host,
                   "Where tasks of this machine are reached; default: our address towards the scheduler")
      ->type_name("IP");
  command->add_option("--data", options.data, "Directory of identity and task records")
      ->capture_default_str()
      ->type_name("DIR");
  command->add_option("--id", options.id, "Name of this node; default: the host name, kept in --data")->type_name("ID");
  command->add_option("--ports", arguments->ports, "Host ports that tasks may get")
      ->capture_default_str()
      ->type_name("RANGE");
  command->add_option("--attribute", arguments->attributes, "name:value for constraints; may be repeated")
      ->type_name("K:V");
  command->add_option("--runtime", arguments->runtime, "docker, process (apps with `cmd` only) or auto")
      ->capture_default_str()
      ->type_name("RUNTIME");
  command->add_option("--docker", options.docker_socket, "The Docker Engine's socket")
      ->capture_default_str()
      ->type_name("PATH");
  options.docker_config = default_docker_config();
  command
      ->add_option("--docker-config", options.docker_config,
                   "Docker's config.json with the credentials of registries, as `docker login` writes it")
      ->capture_default_str()
      ->type_name("PATH");
  command->add_option("--fetch-size", arguments->fetch_size, "What one task may fetch into its sandbox")
      ->capture_default_str()
      ->type_name("SIZE");
  command->add_option("--fetch-timeout", arguments->fetch_timeout, "How long one task may fetch")
      ->capture_default_str()
      ->type_name("TIME");
  command->add_option("--fetch-cache", arguments->fetch_cache, "How much is kept of what is fetched with cache: true")
      ->capture_default_str()
      ->type_name("SIZE");
  command->callback([arguments, &invocation] { invocation.exit_code = run_agent(*arguments); });
}

}  // namespace lotse::cli

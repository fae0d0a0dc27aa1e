// `lotse`: one program, three roles, and the commands that talk to them.
#include <sys/resource.h>

#include "base/log.h"
#include "cli/commands.h"

namespace {

// Every connection is a descriptor: the soft limit (often 1,024) is raised to what we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace lotse;
  raise_descriptor_limit();
  cli::Invocation invocation;
  CLI::App root(
      "Lotse brings requests to containers: a reverse proxy whose routes follow the cluster, and the\n"
      "scheduler and agent that run it.",
      "lotse");
  root.set_version_flag("--version", "lotse " LOTSE_VERSION);
  root.require_subcommand(1);
  root.get_formatter()->column_width(36);
  root.add_flag_callback(
      "--verbose", [] { log::set_level(log::Level::debug); }, "Log details for debugging");
  cli::add_dev(root, invocation);
  cli::add_proxy(root, invocation);
  cli::add_scheduler(root, invocation);
  cli::add_agent(root, invocation);
  cli::add_app(root, invocation);
  cli::add_task(root, invocation);
  cli::add_deployment(root, invocation);
  cli::add_node(root, invocation);
  cli::add_route(root, invocation);
  cli::add_status(root, invocation);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? 0 : 2;
  }
  return invocation.exit_code;
}

// The subcommands of `lotse`: each function adds its options to the command line and, when it is the one called, sets
// `exit_code` to 0 done, 1 failed or 2 wrong usage. Main thread.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace lotse::cli {

struct Invocation {
  int exit_code = 0;
};

// Roles.
void add_dev(CLI::App& root, Invocation& invocation);
void add_proxy(CLI::App& root, Invocation& invocation);
void add_scheduler(CLI::App& root, Invocation& invocation);
void add_scheduler_backup(CLI::App& scheduler, Invocation& invocation, const std::string& default_data);
void add_agent(CLI::App& root, Invocation& invocation);

// Clients of a running system.
void add_app(CLI::App& root, Invocation& invocation);
void add_task(CLI::App& root, Invocation& invocation);
void add_deployment(CLI::App& root, Invocation& invocation);
void add_node(CLI::App& root, Invocation& invocation);
void add_route(CLI::App& root, Invocation& invocation);
void add_status(CLI::App& root, Invocation& invocation);

}  // namespace lotse::cli

// The command line of DNS, for `lotse scheduler` and `lotse dev`.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "scheduler/server/scheduler.h"

namespace lotse::cli {

struct DnsArguments {
  std::string listen, domain = "mesos", ttl = "5s";
};

// Off unless --dns is given: with DNS every stop of a task waits for the TTL, which is for those who resolve names.
void add_dns_options(CLI::App& command, DnsArguments& arguments);
Result<Unit, Problem> resolve(const DnsArguments& arguments, scheduler::SchedulerOptions& options);

}  // namespace lotse::cli

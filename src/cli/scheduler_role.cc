// `lotse scheduler`.
#include "base/log.h"
#include "cli/commands.h"
#include "cli/dns_arguments.h"
#include "cli/role.h"
#include "cli/service_manager.h"
#include "net/loop.h"
#include "scheduler/server/scheduler.h"

namespace lotse::cli {
namespace {

int run_scheduler(scheduler::SchedulerOptions options, const DnsArguments& dns) {
  if (auto resolved = resolve(dns, options); !resolved) {
    report_failure("scheduler", resolved.error());
    return 2;
  }
  net::Loop loop;
  scheduler::Scheduler scheduler(loop, options);
  auto address = scheduler.start();
  if (!address) return report_failure("scheduler", address.error());
  log::info("scheduler", "listening on {}, data in {}", address->to_string(), options.data);
  ServiceManager service(loop);
  service.ready("serving");
  service.watch_over([] { return std::string(); });
  StopSignals signals(loop, [&](bool) {
    service.stopping();
    loop.stop();
  });
  loop.run();
  log::info("scheduler", "stopping; tasks go on running");
  scheduler.stop();
  return 0;
}

}  // namespace

void add_scheduler(CLI::App& root, Invocation& invocation) {
  auto options = std::make_shared<scheduler::SchedulerOptions>();
  options->version = LOTSE_VERSION;
  CLI::App* command =
      root.add_subcommand("scheduler", "Run the scheduler: Marathon's API, placement, deployments, route updates");
  command->add_option("--listen", options->listen, "Address of the API; whoever reaches it can start containers")
      ->capture_default_str()
      ->type_name("ADDR");
  command->add_option("--data", options->data, "Directory of the store")->capture_default_str()->type_name("DIR");
  command
      ->add_option("--advertise", options->advertise,
                   "host:port that clients are told; default: the address listened on")
      ->type_name("ADDR");
  auto dns = std::make_shared<DnsArguments>();
  add_dns_options(*command, *dns);
  command->require_subcommand(0, 1);
  add_scheduler_backup(*command, invocation, options->data);
  command->callback([options, dns, command, &invocation] {
    if (command->get_subcommands().empty()) invocation.exit_code = run_scheduler(*options, *dns);
  });
}

}  // namespace lotse::cli

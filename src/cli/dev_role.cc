// `lotse dev`: scheduler, agent and proxy in one process, on one main loop (the proxy's workers have threads of their
// own).
#include <fmt/core.h>

#include <filesystem>

#include "base/log.h"
#include "cli/agent_options.h"
#include "cli/commands.h"
#include "cli/dns_arguments.h"
#include "cli/proxy_instance.h"
#include "cli/role.h"
#include "scheduler/server/scheduler.h"

namespace lotse::cli {
namespace {

struct DevArguments {
  std::string proxy = "127.0.0.1:8000", api = "127.0.0.1:8080", admin = "127.0.0.1:9901", data = "./.lotse", config;
  AgentArguments agent;
  DnsArguments dns;
  scheduler::SchedulerOptions scheduler;  // what `dns` becomes
};

// Every app by path and as {app}.localhost, which browsers and curl resolve to loopback without any DNS.
std::string built_in_config(const DevArguments& arguments, const std::string& api) {
  return fmt::format(
      "version: 1\n"
      "admin: {{address: \"{}\"}}\n"
      "listeners: [{{name: web, address: \"{}\"}}]\n"
      "expose: {{host: \"{{app}}.localhost\", path: true}}\n"
      "discovery: {{sources: [{{scheduler: \"http://{}\"}}]}}\n",
      arguments.admin, arguments.proxy, api);
}

class Dev {
 public:
  explicit Dev(DevArguments arguments)
      : arguments_(std::move(arguments)),
        scheduler_(loop_, scheduler_options()),
        proxy_(std::make_unique<ProxyInstance>(loop_,
                                               ProxyInstanceOptions{.data = arguments_.data + "/proxy", .id = "dev"},
                                               [this] { on_proxy_drained(); })) {}

  int run() {
    auto api = scheduler_.start();
    if (!api) return report_failure("dev", api.error());
    agent::AgentOptions options = arguments_.agent.options;
    options.scheduler = "http://" + api->to_string();
    options.listen = "127.0.0.1:0";
    options.host = "127.0.0.1";
    options.data = arguments_.data + "/agent";
    options.id = "dev";
    options.kill_tasks_on_stop = true;
    options.docker_config = default_docker_config();
    agent_ = std::make_unique<agent::Agent>(loop_, options);
    if (auto started = agent_->start(); !started) return report_failure("dev", started.error());
    auto proxied = arguments_.config.empty() ? proxy_->start_from_text(built_in_config(arguments_, api->to_string()))
                                             : proxy_->start_from_file(arguments_.config);
    if (!proxied) return report_failure("dev", proxied.error());
    log::info("dev", "API on http://{}, admin on http://{}", api->to_string(), proxy_->admin_address().to_string());
    for (const net::Address& address : proxy_->listen_addresses())
      log::info("dev", "proxy listening on http://{}", address.to_string());
    StopSignals signals(loop_, [this](bool is_second) { stop(is_second); });
    loop_.run();
    return 0;
  }

 private:
  scheduler::SchedulerOptions scheduler_options() const {
    scheduler::SchedulerOptions options = arguments_.scheduler;
    options.listen = arguments_.api;
    options.data = arguments_.data + "/scheduler";
    options.version = LOTSE_VERSION;
    return options;
  }

  // The proxy goes first, then the scheduler, which must not replace the tasks that end last.
  void stop(bool is_second) {
    if (is_second) return loop_.stop();
    log::info("dev", "stopping every task; once more to leave at once");
    proxy_->drain_at_once();
  }

  void on_proxy_drained() {
    loop_.defer([this] {  // not from inside its own callback
      proxy_.reset();
      scheduler_.stop();
      agent_->stop([](const std::string& line) { log::info("dev", "{}", line); }, [this] { loop_.stop(); });
    });
  }

  DevArguments arguments_;
  net::Loop loop_;
  scheduler::Scheduler scheduler_;
  std::unique_ptr<ProxyInstance> proxy_;
  std::unique_ptr<agent::Agent> agent_;
};

int run_dev(DevArguments& arguments) {
  if (auto resolved = resolve(arguments.agent); !resolved) {
    report_failure("dev", resolved.error());
    return 2;
  }
  if (auto resolved = resolve(arguments.dns, arguments.scheduler); !resolved) {
    report_failure("dev", resolved.error());
    return 2;
  }
  return Dev(arguments).run();
}

}  // namespace

void add_dev(CLI::App& root, Invocation& invocation) {
  auto arguments = std::make_shared<DevArguments>();
  CLI::App* command =
      root.add_subcommand("dev", "Run scheduler, agent and proxy in one process; its tasks end with it");
  command->add_option("--proxy", arguments->proxy, "Address of the proxy")->capture_default_str()->type_name("ADDR");
  command->add_option("--api", arguments->api, "Address of the scheduler's API")
      ->capture_default_str()
      ->type_name("ADDR");
  command->add_option("--admin", arguments->admin, "Address of the proxy's admin API")
      ->capture_default_str()
      ->type_name("ADDR");
  command->add_option("--data", arguments->data, "Directory of all state")->capture_default_str()->type_name("DIR");
  command
      ->add_option("--config", arguments->config,
                   "A proxy configuration instead of the built-in one (then --proxy and --admin mean nothing)")
      ->type_name("FILE");
  command->add_option("--runtime", arguments->agent.runtime, "docker, process (apps with `cmd` only) or auto")
      ->capture_default_str()
      ->type_name("RUNTIME");
  add_dns_options(*command, arguments->dns);
  command->callback([arguments, &invocation] { invocation.exit_code = run_dev(*arguments); });
}

}  // namespace lotse::cli

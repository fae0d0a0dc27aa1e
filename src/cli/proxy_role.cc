// `lotse proxy`.
#include <fmt/core.h>

#include "base/log.h"
#include "cli/client_command.h"
#include "cli/commands.h"
#include "cli/proxy_instance.h"
#include "cli/role.h"
#include "proxy/config_check.h"

namespace lotse::cli {
namespace {

int run_proxy(const std::string& config, const ProxyInstanceOptions& options) {
  net::Loop loop;
  ProxyInstance proxy(loop, options, [&] { loop.stop(); });
  if (auto started = proxy.start_from_file(config); !started) return report_failure("proxy", started.error());
  for (const net::Address& address : proxy.listen_addresses())
    log::info("proxy", "listening on {}", address.to_string());
  log::info("proxy", "{}: admin on {}, data in {}", proxy.id(), proxy.admin_address().to_string(), options.data);
  StopSignals signals(loop, [&](bool) { proxy.drain(); });
  loop.run();
  return 0;
}

}  // namespace

void add_proxy(CLI::App& root, Invocation& invocation) {
  auto options = std::make_shared<ProxyInstanceOptions>();
  options->data = "/var/lib/lotse/proxy";
  auto config = std::make_shared<std::string>();
  auto check = std::make_shared<bool>(false);
  CLI::App* command =
      root.add_subcommand("proxy", "Run the proxy; SIGHUP or an edit reloads its file, SIGTERM drains and ends");
  command->add_option("--config", *config, "The configuration, YAML")->required()->type_name("FILE");
  command->add_flag("--check", *check, "Only tell what is wrong with the file, and run its tests");
  command->add_option("--data", options->data, "Directory of identity and last table")
      ->capture_default_str()
      ->type_name("DIR");
  command->add_option("--id", options->id, "Name of this proxy; default: the host name, kept in --data")
      ->type_name("ID");
  command->callback([=, &invocation] {
    if (!*check) {
      invocation.exit_code = run_proxy(*config, *options);
      return;
    }
    proxy::CheckResult result = proxy::check_config(*config);
    print(result.text);
    invocation.exit_code = result.exit_code;
  });
}

}  // namespace lotse::cli

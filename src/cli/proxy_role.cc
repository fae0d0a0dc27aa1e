// `lotse proxy`.
#include <fmt/core.h>

#include <csignal>
#include <filesystem>

#include "base/log.h"
#include "cli/client_command.h"
#include "cli/commands.h"
#include "cli/proxy_instance.h"
#include "cli/role.h"
#include "cli/service_manager.h"
#include "proxy/config_check.h"
#include "proxy/takeover.h"

namespace lotse::cli {
namespace {

struct ProxyArguments {
  std::string config;
  ProxyInstanceOptions options;
  bool checks = false, takes_over = false;
};

// One process of the role, alone or in a takeover: wires signals, the service manager and both sides of a takeover to
// the instance.
class ProxyProcess {
 public:
  explicit ProxyProcess(ProxyArguments arguments)
      : arguments_(std::move(arguments)),
        takeover_(loop_, arguments_.options.data + "/takeover.sock", LOTSE_VERSION),
        proxy_(loop_, arguments_.options, [this] { loop_.stop(); }) {}

  int run();

 private:
  Result<ProxyInheritance, Problem> inherit();
  void go_on_with_takeover();
  void tell_service_manager();
  void on_stop();
  void log_start() const;

  const ProxyArguments arguments_;
  net::Loop loop_;
  ServiceManager service_{loop_};
  proxy::Takeover takeover_;
  ProxyInstance proxy_;
  bool is_takeover_ = false, is_serving_ = false;
  int exit_code_ = 0;
};

int ProxyProcess::run() {
  auto inheritance = inherit();
  if (!inheritance) return report_failure("proxy", inheritance.error());
  if (auto started = proxy_.start_from_file(arguments_.config, std::move(*inheritance)); !started)
    return report_failure("proxy", started.error());
  StopSignals signals(loop_, [this](bool) { on_stop(); });
  auto upgrade = net::SignalWatch::open(loop_, SIGUSR2, [this] { proxy_.start_successor(); });
  ProxyInstance::ServiceCallbacks callbacks;
  callbacks.on_loading = [this](bool begins) { begins ? service_.reloading() : service_.ready("serving"); };
  callbacks.on_draining = [this] { service_.stopping(); };
  callbacks.on_main_process = [this](pid_t main) { service_.main_process(main); };
  proxy_.set_service_callbacks(std::move(callbacks));
  log_start();
  if (is_takeover_) {
    go_on_with_takeover();
  } else {
    is_serving_ = true;
    tell_service_manager();
  }
  loop_.run();
  return exit_code_;
}

// Of the process that runs, when we are to take over and there is one; else of systemd.
Result<ProxyInheritance, Problem> ProxyProcess::inherit() {
  constexpr Duration kAnswerMax = std::chrono::seconds(30);  // its tables go to the disk first
  ProxyInheritance inheritance;
  std::error_code code;
  if (arguments_.takes_over && std::filesystem::exists(arguments_.options.data + "/takeover.sock", code) &&
      DataDirectory::is_in_use(arguments_.options.data)) {
    auto goods = takeover_.receive(kAnswerMax);
    if (!goods) return fail(goods.error());
    is_takeover_ = true;
    inheritance.lock = std::move(goods->lock);
    inheritance.admin = std::move(goods->admin);
    inheritance.ticket_keys = std::move(goods->ticket_keys);
    inheritance.until_ticket_rotation = goods->until_ticket_rotation;
    inheritance.takeovers = goods->takeovers;
    for (auto& [address, sockets] : goods->listeners) {
      for (net::UniqueFd& socket : sockets) inheritance.sockets.add({address}, std::move(socket));
    }
    return inheritance;
  }
  for (ServiceManager::PassedSocket& passed : service_.take_sockets()) {
    if (passed.name == "admin") {
      inheritance.admin = std::move(passed.fd);
    } else {
      inheritance.sockets.add({passed.name}, std::move(passed.fd));
    }
  }
  return inheritance;
}

void ProxyProcess::go_on_with_takeover() {
  proxy_.set_takeover(takeover_);
  proxy::Takeover::Callbacks callbacks;
  callbacks.not_ready_reason = [this] { return proxy_.not_ready_reason(); };
  callbacks.ready = [this] { return proxy_.ready_message(); };
  callbacks.on_yours = [this] {
    is_serving_ = true;
    proxy_.begin_accepting();
  };
  callbacks.on_main = [this] { tell_service_manager(); };
  callbacks.on_refused = [this](const std::string& why) {
    log::error("proxy", "not taken over: {}", why);
    exit_code_ = 1;
    is_serving_ ? proxy_.give_back() : loop_.stop();
  };
  takeover_.go_on(std::move(callbacks));
}

void ProxyProcess::tell_service_manager() {
  service_.ready("serving");
  service_.watch_over([this] { return proxy_.why_unhealthy(); });
}

void ProxyProcess::on_stop() {
  if (is_serving_) return proxy_.drain();
  exit_code_ = 1;
  loop_.stop();
}

void ProxyProcess::log_start() const {
  for (const net::Address& address : proxy_.listen_addresses())
    log::info("proxy", "listening on {}", address.to_string());
  log::info("proxy", "{}: admin on {}, data in {}", proxy_.id(), proxy_.admin_address().to_string(),
            arguments_.options.data);
}

}  // namespace

void add_proxy(CLI::App& root, Invocation& invocation) {
  auto arguments = std::make_shared<ProxyArguments>();
  ProxyInstanceOptions& options = arguments->options;
  options.data = "/var/lib/lotse/proxy";
  CLI::App* command = root.add_subcommand(
      "proxy", "Run the proxy; SIGHUP or an edit reloads its file, SIGUSR2 upgrades, SIGTERM drains and ends");
  command->add_option("--config", arguments->config, "The configuration, YAML")->required()->type_name("FILE");
  command->add_flag("--check", arguments->checks, "Only tell what is wrong with the file, and run its tests");
  command->add_option("--data", options.data, "Directory of identity and last table")
      ->capture_default_str()
      ->type_name("DIR");
  command->add_option("--id", options.id, "Name of this proxy; default: the host name, kept in --data")
      ->type_name("ID");
  command->add_flag("--takeover", arguments->takes_over,
                    "Take over from the process that runs on --data, without refusing a connection");
  command->callback([arguments, &invocation] {
    if (!arguments->checks) {
      invocation.exit_code = ProxyProcess(*arguments).run();
      return;
    }
    proxy::CheckResult result = proxy::check_config(arguments->config);
    print(result.text);
    invocation.exit_code = result.exit_code;
  });
}

}  // namespace lotse::cli

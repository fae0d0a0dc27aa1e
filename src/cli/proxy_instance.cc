#include "cli/proxy_instance.h"

#include "base/log.h"
#include "base/random.h"
#include "cli/process_metrics.h"
#include "proxy/config_json.h"
#include "proxy/config_parser.h"
#include "proxy/config_report.h"

namespace lotse::cli {
namespace {

proxy::Confirmation to_confirmation(discovery::Confirmed confirmed) {
  switch (confirmed) {
    case discovery::Confirmed::yes:
      return proxy::Confirmation::confirmed;
    case discovery::Confirmed::no:
      return proxy::Confirmation::denied;
    case discovery::Confirmed::silent:
      return proxy::Confirmation::silent;
  }
  return proxy::Confirmation::silent;
}

std::vector<discovery::SourceSpec> sources_of(const proxy::Config& config) {
  std::vector<discovery::SourceSpec> specs;
  for (const proxy::SourceConfig& source : config.discovery.sources) {
    discovery::SourceSpec spec;
    spec.scheduler = source.scheduler;
    spec.fixed = source.fixed;
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace

ProxyInstance::ProxyInstance(net::Loop& loop, ProxyInstanceOptions options, std::function<void()> on_drained)
    : loop_(loop),
      options_(std::move(options)),
      on_drained_(std::move(on_drained)),
      client_(loop),
      confirmer_(client_),
      proxy_(loop, *this),
      admin_(loop, admin_callbacks()),
      successor_(loop, [this](pid_t pid, const std::string& how) { on_successor_ended(pid, how); }) {}

ProxyInstance::~ProxyInstance() = default;

Result<Unit, Problem> ProxyInstance::open_data(net::UniqueFd inherited_lock) {
  const bool is_takeover = static_cast<bool>(inherited_lock);
  auto data = is_takeover
                  ? Result<DataDirectory, Problem>(DataDirectory::adopt(options_.data, std::move(inherited_lock)))
                  : DataDirectory::open(options_.data);
  if (!data) return fail(data.error());
  auto id = data->identity(is_takeover ? "" : options_.id);
  if (id && is_takeover && !options_.id.empty() && *id != options_.id) {
    return fail(Problem{"--id", "the running process is called " + *id + "; only a restart can change that"});
  }
  if (!id) return fail(id.error());
  data_ = std::move(*data);
  id_ = std::move(*id);
  make_discovery();
  return Unit{};
}

void ProxyInstance::make_discovery() {
  Random random = Random::from_system();
  discovery::Discovery::Options options;
  options.proxy_id = id_;
  options.boot = make_uuid(random);
  options.data_dir = data_->path();
  discovery::Discovery::Callbacks callbacks;
  callbacks.on_change = [this](discovery::CatalogChange change, std::function<void()> on_applied) {
    proxy::EndpointChange endpoints;
    endpoints.set = std::move(change.set);
    endpoints.removed = std::move(change.removed);
    proxy_.apply_endpoints(std::move(endpoints), std::move(on_applied));
  };
  callbacks.on_fresh_until = [this](Instant instant) { proxy_.set_fresh_until(instant); };
  const discovery::ProxyState& proxy_state = *this;
  discovery_ = std::make_unique<discovery::Discovery>(client_, proxy_state, std::move(options), std::move(callbacks));
  proxy_.set_on_drained([this](const model::TaskId&) { discovery_->report_now(); });
  proxy_.set_on_pending_changed([this] { discovery_->report_now(); });
}

Result<Unit, Problem> ProxyInstance::start_from_file(const std::string& path, ProxyInheritance inheritance) {
  const bool is_takeover = static_cast<bool>(inheritance.lock);
  if (auto opened = open_data(std::move(inheritance.lock)); !opened) return opened;
  if (is_takeover) {
    discovery_->set_saving(false);  // the tables on disk are the old process's until it yields
    admin_.hold();
    proxy_.set_takeovers(inheritance.takeovers + 1);
    proxy_.restore_ticket_keys(inheritance.ticket_keys, inheritance.until_ticket_rotation);
  }
  inherited_admin_ = std::move(inheritance.admin);
  proxy_.inherit(std::move(inheritance.sockets), is_takeover);
  loader_ = std::make_unique<proxy::ConfigLoader>(
      loop_, path, [this](std::shared_ptr<const proxy::Config> config) { return apply(std::move(config)); });
  loader_->set_on_hangup([this] { proxy_.reopen_access_log(); });
  if (auto loaded = loader_->load_first(); !loaded) return loaded;
  inherited_admin_.close();
  for (const std::string& address : proxy_.drop_unused_sockets()) {
    log::warn("proxy", "a socket on {} was passed to us that no listener wants: not used", address);
  }
  proxy::HandoverOwner& owner = *this;
  handover_ = std::make_unique<proxy::Handover>(loop_, data_->path() + "/takeover.sock", LOTSE_VERSION, owner);
  if (!is_takeover) begin_accepting();
  return Unit{};
}

Result<Unit, Problem> ProxyInstance::start_from_text(std::string_view yaml) {
  if (auto opened = open_data(); !opened) return opened;
  proxy::ParsedConfig parsed = proxy::parse_config(yaml, "built-in configuration");
  if (!parsed.config) return fail(Problem{"", parsed.problems.front().text()});
  return apply(std::move(parsed.config));
}

// All or nothing: what can fail (binding addresses) comes first, for admin and listeners alike.
Result<Unit, Problem> ProxyInstance::apply(std::shared_ptr<const proxy::Config> config) {
  if (is_handed_over_) return fail(Problem{"", "another process has taken over"});
  auto prepared = admin_.prepare(config->admin.address, std::move(inherited_admin_));
  if (!prepared) return prepared;
  if (auto applied = proxy_.apply_config(config); !applied) {
    admin_.abandon();
    return applied;
  }
  admin_.commit();
  config_ = std::move(config);
  discovery_->configure(sources_of(*config_), config_->discovery.max_removal_percent);
  return Unit{};
}

proxy::AdminServer::Callbacks ProxyInstance::admin_callbacks() {
  proxy::AdminServer::Callbacks callbacks;
  callbacks.write_metrics = [this](std::string& text) {
    proxy_.write_metrics(text);
    discovery_->write_metrics(text);
    if (loader_) loader_->write_metrics(text);
    write_process_metrics(text);
  };
  callbacks.routes_json = [this] { return proxy_.routes_json(); };
  callbacks.explain = [this](std::string_view url) { return proxy_.explain(url); };
  callbacks.config_json = [this] { return proxy::to_json_text(*config_); };
  callbacks.not_ready_reason = [this] { return not_ready_reason(); };
  callbacks.unhealthy_reason = [this] { return proxy_.why_unhealthy(); };
  callbacks.stats_json = [this] { return proxy_.stats_json(); };
  callbacks.drain = [this] { drain(); };
  callbacks.accept = [this] {
    std::size_t held = discovery_->held();
    discovery_->accept_losses();
    return held;
  };
  return callbacks;
}

std::string ProxyInstance::not_ready_reason() const {
  if (is_draining_) return "draining";
  if (std::string reason = proxy_.why_unready(); !reason.empty()) return reason;
  return discovery_->not_ready_reason();
}

void ProxyInstance::drain() {
  if (is_draining_) return drain_at_once();
  is_draining_ = true;
  on_leaving();
  const Duration deadline = config_ ? config_->timeouts.drain : Duration{};
  log::info("proxy", "draining: accepting what is queued, then finishing what is under way (at most {})",
            format_duration(deadline));
  proxy_.drain(deadline, [this] { on_drained_(); });
}

void ProxyInstance::drain_at_once() {
  is_draining_ = true;
  on_leaving();
  proxy_.drain(Duration{}, [this] { on_drained_(); });
}

void ProxyInstance::confirm(const model::Endpoint& endpoint, std::function<void(proxy::Confirmation)> on_answer) {
  confirmer_.confirm(endpoint, [on_answer = std::move(on_answer)](discovery::Confirmed confirmed) {
    on_answer(to_confirmation(confirmed));
  });
}

std::string ProxyInstance::address() const {
  auto addresses = proxy_.listen_addresses();
  return addresses.empty() ? "" : addresses.front().to_string();
}

}  // namespace lotse::cli

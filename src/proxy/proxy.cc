#include "proxy/proxy.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/random.h"
#include "proxy/proxy_impl.h"

namespace lotse::proxy {

namespace {

constexpr int kWorkersMax = 256;

std::size_t worker_count_of(const Config& config) {
  if (config.workers > 0) return static_cast<std::size_t>(std::min(config.workers, kWorkersMax));
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return static_cast<std::size_t>(std::clamp(CPU_COUNT(&cpus), 1, kWorkersMax));
}

std::int64_t fd_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 1 << 20;
  return static_cast<std::int64_t>(limit.rlim_cur);
}

}  // namespace

Proxy::Impl::Impl(net::Loop& loop, TaskConfirmer& task_confirmer)
    : main_loop(loop),
      confirmer(task_confirmer),
      return_timer(loop.timers(), [this] { let_ejected_back(); }),
      tls(loop, [this](const std::string& address, auto context) { change_tls(address, std::move(context)); }),
      upstream_tls(loop, [this](UpstreamTlsByApp changed) { change_upstream_tls(std::move(changed)); }),
      stall_watch(loop, workers),
      drain_timer(loop.timers(), [this] { end_drain(); }) {}

Proxy::Impl::~Impl() {
  alive.reset();
  for (ListenerInfo& one : listeners) one.sockets.clear();
  stop_workers();
}

void Proxy::Impl::stop_workers() {
  stall_watch.stop();
  if (checker) checker->stop();
  tls.stop();
  upstream_tls.stop();
  for (const auto& worker : workers) worker->stop_and_join();
}

// Configuration ---------------------------------------------------------------------------------------------------

Result<Unit, Problem> Proxy::Impl::apply_config(std::shared_ptr<const Config> new_config) {
  const bool is_first = workers.empty();
  if (is_first) start_workers(*new_config);
  if (!is_first && config && new_config->workers != config->workers && worker_count_of(*new_config) != workers.size()) {
    log::warn("proxy", "workers: {} takes a restart; until then the {} that run stay", worker_count_of(*new_config),
              workers.size());
  }
  // What can fail comes first, so that a failure changes nothing.
  std::vector<FreshListener> bound;
  auto loaded = tls.load(*new_config);
  auto outcome = loaded ? bind_new(*new_config, bound) : fail(loaded.error());
  auto towards_apps = upstream_tls.load(*new_config);
  if (outcome && !towards_apps) outcome = fail(towards_apps.error());
  if (outcome && new_config->access_log) {
    outcome = shared->access_log.open(new_config->access_log->path);
    shared->access_log.set_queued_bytes_max(new_config->access_log->queued_bytes_max);
  }
  if (!outcome) {
    if (is_first) {  // as if it had never been called
      stop_workers();
      workers.clear();
      detector.reset();
      checker.reset();
      registry.reset();
      shared.reset();
    }
    return outcome;
  }

  const Worker::Shares shares = set_bounds(*new_config);
  config = new_config;
  is_config_applied = false;
  if (!is_draining) stall_watch.start(new_config->timeouts.worker_stall);
  auto generation = ++config_generation;
  post_to_all([new_config, shares](Worker& worker) { worker.apply_config(new_config, shares); }, nullptr);
  registry->set_tls(upstream_tls.adopt(std::move(*towards_apps)));
  broadcast(registry->apply(*new_config), [this, generation] {
    registry->forget_old_table();
    if (generation == config_generation) is_config_applied = true;
  });
  apply_verdicts(detector->on_config(main_loop.clock().now()));
  checker->on_config(static_cast<std::size_t>(new_config->limits.health_checks_max));

  std::vector<ListenerInfo> old = std::exchange(listeners, {});
  for (const ListenerConfig& wanted : new_config->listeners) {
    const ListenerRole role = role_of(wanted, (*loaded)[wanted.address].context);
    auto fresh =
        std::find_if(bound.begin(), bound.end(), [&](const auto& one) { return one.info.address == wanted.address; });
    if (fresh == bound.end()) {
      auto kept = std::find_if(old.begin(), old.end(), [&](const auto& one) { return one.address == wanted.address; });
      listeners.push_back(std::move(*kept));
      old.erase(kept);
      post_to_all([address = wanted.address, role](Worker& worker) { worker.change_listener(address, role); }, nullptr);
      continue;
    }
    listeners.push_back(std::move(fresh->info));
    for (std::size_t i = 0; i < workers.size(); ++i) {
      for (net::UniqueFd& socket : fresh->per_worker[i]) give_socket(i, role, wanted.address, std::move(socket));
    }
    if (holds) held_back.emplace_back([this, role, at = listeners.size() - 1] { bind_missing(listeners[at], role); });
  }
  tls.adopt(*new_config, std::move(*loaded));
  for (ListenerInfo& one : old) {  // the file of a unix socket goes before the socket does
    one.sockets.clear();
    post_to_all([address = one.address](Worker& worker) { worker.remove_listener(address); }, nullptr);
  }
  for (auto& [change, on_applied] : std::exchange(early_changes, {}))
    apply_endpoints(std::move(change), std::move(on_applied));
  return Unit{};
}

// What a reload may change of a listener.
ListenerRole Proxy::Impl::role_of(const ListenerConfig& listener,
                                  std::shared_ptr<const net::TlsServerContext> context) {
  ListenerRole role{.name = listener.name,
                    .tls = std::move(context),
                    .is_tcp = listener.is_tcp(),
                    .passes_tls_through = listener.tls_passthrough.has_value(),
                    .stats = &listener_book.stats_for(listener.name, workers.size()),
                    .speaks_h2 = listener.http2};
  if (listener.proxy_protocol)
    role.proxy_protocol = std::make_shared<const ProxyProtocolConfig>(*listener.proxy_protocol);
  return role;
}

void Proxy::Impl::change_tls(const std::string& address, std::shared_ptr<const net::TlsServerContext> context) {
  for (const ListenerConfig& one : config->listeners) {
    if (one.address != address) continue;
    const ListenerRole role = role_of(one, std::move(context));
    return post_to_all([address, role](Worker& worker) { worker.change_listener(address, role); }, nullptr);
  }
}

void Proxy::Impl::change_upstream_tls(UpstreamTlsByApp changed) {
  registry->set_tls(std::move(changed));
  broadcast(registry->take_tls_changes(), nullptr);
}

Result<Unit, Problem> Proxy::Impl::bind_new(const Config& new_config, std::vector<FreshListener>& bound) {
  for (const ListenerConfig& wanted : new_config.listeners) {
    bool is_known =
        std::any_of(listeners.begin(), listeners.end(), [&](const auto& one) { return one.address == wanted.address; });
    if (is_known) continue;
    net::Address address = wanted.parsed_address;
    if (address.is_empty()) {
      auto parsed = net::Address::parse(wanted.address);
      if (!parsed) return fail(Problem{"listener " + wanted.name, parsed.error().text()});
      address = *parsed;
    }
    auto inherited_ones = inherited.take({wanted.name, wanted.address, address.to_string()});
    const bool is_inherited = !inherited_ones.empty();
    auto sockets =
        is_inherited ? share_out(std::move(inherited_ones), workers.size()) : bind_listener(address, workers.size());
    if (!sockets)
      return fail(
          Problem{"listener " + wanted.name, "cannot listen on " + wanted.address + ": " + describe(sockets.error())});
    net::Address local = net::local_address(sockets->originals.front().get());
    bound.push_back({{wanted.address, local, is_inherited ? net::SocketFile() : net::SocketFile(local),
                      std::move(sockets->originals), is_inherited},
                     std::move(sockets->per_worker)});
  }
  return Unit{};
}

void Proxy::Impl::start_workers(const Config& first_config) {
  const std::size_t count = worker_count_of(first_config);
  shared = std::make_unique<WorkerShared>(count);
  shared->fresh_until = fresh_until_before_start;
  shared->on_drained = [this](std::shared_ptr<EndpointRecord> record) {
    post_to_main([this, record = std::move(record)] { on_worker_drained(*record); });
  };
  shared->ask = [this](std::size_t worker, std::shared_ptr<EndpointRecord> record) {
    post_to_main([this, worker, record = std::move(record)] { ask(worker, record); });
  };
  shared->on_worker_empty = [this] {
    post_to_main([this] {
      if (is_draining && ++workers_empty == workers.size() && !is_on_trial) end_drain();
    });
  };
  shared->on_failures = [this](std::vector<FailureReport> reports) {
    post_to_main([this, reports = std::move(reports)] { on_failures(reports); });
  };
  registry = std::make_unique<EndpointRegistry>(count);
  make_detector();
  make_checker();
  Random random = Random::from_system();
  for (std::size_t i = 0; i < count; ++i) workers.push_back(std::make_unique<Worker>(i, *shared, random.next()));
  for (const auto& worker : workers) worker->start();
}

// Together they leave some descriptors for the admin pages, discovery, log and configuration: a proxy at its bounds
// must still be able to say so. Clients may not take those that their requests need towards endpoints.
Worker::Shares Proxy::Impl::set_bounds(const Config& new_config) {
  const auto worker_count = static_cast<std::int64_t>(workers.size());
  const std::int64_t descriptors = fd_limit();
  const std::int64_t kept = std::min<std::int64_t>(128 + 8 * worker_count, descriptors / 4);
  const LimitsConfig& limits = new_config.limits;
  std::int64_t upstreams = limits.upstream_connections_max > 0 ? limits.upstream_connections_max : descriptors / 3;
  upstreams = std::max(std::min(upstreams, (descriptors - kept) / 2), worker_count);
  const std::int64_t pipes = std::min<std::int64_t>(limits.splice_pipes_max, descriptors / 64);
  const std::int64_t pipes_each = pipes > 0 ? std::max<std::int64_t>(pipes / worker_count, 1) : 0;
  shared->downstream_max = std::min<std::int64_t>(
      {limits.downstream_connections_max, descriptors * 8 / 10, descriptors - kept - upstreams - 2 * pipes});
  memory_bytes_max = limits.memory_bytes_max > 0 ? limits.memory_bytes_max : memory_bytes_max_by_machine();
  return {.upstream_connections_max = static_cast<std::size_t>(upstreams / worker_count),
          .memory_bytes_max = memory_bytes_max / workers.size(),
          .splice_pipes_max = static_cast<std::size_t>(pipes_each)};
}

std::string Proxy::Impl::why_unready() const {
  if (!is_config_applied) return "the configuration is not applied on all workers yet";
  return stall_watch.stalled_for(Duration::zero());
}

// Readiness asks for other proxies to be used, and is lost at the first sign. Losing health ends the process at most
// places, with all that the other workers have under way: only for a worker that will hardly come back.
std::string Proxy::Impl::why_unhealthy() const {
  constexpr int kHopelessAfter = 10;
  return stall_watch.stalled_for(kHopelessAfter * stall_watch.threshold());
}

// Endpoints -------------------------------------------------------------------------------------------------------

void Proxy::Impl::apply_endpoints(EndpointChange change, std::function<void()> on_applied) {
  if (workers.empty()) {
    early_changes.emplace_back(std::move(change), std::move(on_applied));
    return;
  }
  RoutingUpdate update = registry->apply(change);
  checker->on_change(update);
  std::vector<std::shared_ptr<EndpointRecord>> removed;
  for (const auto& one : update.records) {
    if (one.is_removed) removed.push_back(one.record);
  }
  Instant began = main_loop.clock().now();
  broadcast(std::move(update), [this, began, removed = std::move(removed), on_applied = std::move(on_applied)] {
    Duration took = main_loop.clock().now() - began;
    ++changes_applied;
    apply_sum += took;
    apply_max = std::max(apply_max, took);
    apply_latency.record(took);
    // From here on no worker picks them: what is in flight can only become less.
    for (const auto& record : removed) registry->drop_if_quiet(*record);
    if (registry->has_endpoints()) registry->end_of_first_table();
    if (on_applied) on_applied();
  });
}

void Proxy::Impl::broadcast(RoutingUpdate update, std::function<void()> on_applied) {
  auto changes = std::make_shared<const RoutingUpdate>(std::move(update));
  replica.apply(*changes);
  post_to_all([changes](Worker& worker) { worker.apply(*changes); }, std::move(on_applied));
}

void Proxy::Impl::post_to_all(const std::function<void(Worker&)>& work, std::function<void()> on_done) {
  struct Pending {
    std::size_t workers;
    std::function<void()> on_done;
  };
  auto pending = on_done ? std::make_shared<Pending>(Pending{workers.size(), std::move(on_done)}) : nullptr;
  for (const auto& worker : workers) {
    worker->post([this, work, pending](Worker& here) {
      work(here);
      if (!pending) return;
      post_to_main([pending] {
        if (--pending->workers == 0) pending->on_done();
      });
    });
  }
}

void Proxy::Impl::on_worker_drained(const EndpointRecord& record) {
  const model::TaskId task = record.endpoint.task;
  registry->drop_if_quiet(record);
  if (on_drained && registry->in_flight(task) == 0 && registry->is_leaving(task)) on_drained(task);
}

void Proxy::Impl::ask(std::size_t worker, const std::shared_ptr<EndpointRecord>& record) {
  const EndpointRegistry::Known* known = registry->find(*record);
  auto answer = [this, weak = token, worker, record](Confirmation confirmation) {
    if (weak.expired()) return;
    workers[worker]->post([record, confirmation](Worker& here) { here.on_confirmation(record, confirmation); });
  };
  if (known == nullptr) return answer(Confirmation::denied);  // removed meanwhile
  confirmer.confirm(known->endpoint, answer);
}

// Stopping --------------------------------------------------------------------------------------------------------

void Proxy::Impl::drain(Duration deadline, std::function<void()> on_done) {
  if (on_done) on_drain_done = std::move(on_done);
  if (std::exchange(is_draining, true) || workers.empty()) {
    post_to_main([this] { end_drain(); });  // never from inside the call
    return;
  }
  drain_timer.start(deadline);
  for (ListenerInfo& one : listeners) {
    one.file.remove();
    one.sockets.clear();
  }
  post_to_all([](Worker& worker) { worker.begin_drain(); }, nullptr);
}

void Proxy::Impl::end_drain() {
  drain_timer.stop();
  stop_workers();
  if (auto done = std::exchange(on_drain_done, nullptr)) done();
}

// The face ----------------------------------------------------------------------------------------------------------

Proxy::Proxy(net::Loop& main_loop, TaskConfirmer& confirmer) : impl_(std::make_unique<Impl>(main_loop, confirmer)) {}
Proxy::~Proxy() = default;

Result<Unit, Problem> Proxy::apply_config(std::shared_ptr<const Config> config) {
  return impl_->apply_config(std::move(config));
}

void Proxy::apply_endpoints(EndpointChange change, std::function<void()> on_applied) {
  impl_->apply_endpoints(std::move(change), std::move(on_applied));
}

std::uint64_t Proxy::in_flight(const model::TaskId& task) const {
  return impl_->registry ? impl_->registry->in_flight(task) : 0;
}

void Proxy::set_on_drained(std::function<void(const model::TaskId&)> on_drained) {
  impl_->on_drained = std::move(on_drained);
}

std::vector<model::TaskId> Proxy::pending_tasks() const {
  return impl_->checker ? impl_->checker->pending_tasks() : std::vector<model::TaskId>();
}
void Proxy::set_on_pending_changed(std::function<void()> on_changed) {
  impl_->on_pending_changed = std::move(on_changed);
}

void Proxy::set_fresh_until(Instant instant) {
  std::int64_t nanoseconds = instant.time_since_epoch().count();
  impl_->fresh_until_before_start = nanoseconds;
  if (impl_->shared) impl_->shared->fresh_until.store(nanoseconds, std::memory_order_relaxed);
}

void Proxy::drain(Duration deadline, std::function<void()> on_done) { impl_->drain(deadline, std::move(on_done)); }

std::vector<net::Address> Proxy::listen_addresses() const {
  std::vector<net::Address> addresses;
  for (const auto& listener : impl_->listeners) addresses.push_back(listener.bound);
  return addresses;
}

bool Proxy::is_ready() const { return impl_->is_config_applied; }
std::string Proxy::why_unready() const { return impl_->why_unready(); }
std::string Proxy::why_unhealthy() const { return impl_->why_unhealthy(); }
std::string Proxy::stats_json() const { return impl_->stats_json(); }

void Proxy::reopen_access_log() {
  if (!impl_->config || !impl_->config->access_log) return;
  auto opened = impl_->shared->access_log.open(impl_->config->access_log->path);
  if (!opened) log::error("proxy", "the access log stays where it is: {}", opened.error().text());
}

void Proxy::run_on_worker_for_test(std::size_t worker, std::function<void()> work) {
  impl_->workers[worker]->post([work = std::move(work)](Worker&) { work(); });
}

void Proxy::write_metrics(std::string& prometheus_text) const { impl_->write_metrics(prometheus_text); }
std::string Proxy::explain(std::string_view url) const { return impl_->explain(url); }
std::string Proxy::routes_json() const { return impl_->routes_json(); }
double Proxy::requests_per_second() const { return impl_->requests_per_second(); }

}  // namespace lotse::proxy

// The inside of Proxy: the registry, the main thread's replica of the routing state, the workers and what is under way
// between them. Main thread only; workers reach it through post() and a token that dies with it.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/socket_file.h"
#include "net/timers.h"
#include "proxy/endpoint_registry.h"
#include "proxy/health_checker.h"
#include "proxy/listener_sockets.h"
#include "proxy/outlier_detector.h"
#include "proxy/proxy.h"
#include "proxy/stall_watch.h"
#include "proxy/tls_listeners.h"
#include "proxy/upstream_tls_book.h"
#include "proxy/worker.h"

namespace lotse::proxy {

struct Proxy::Impl {
  Impl(net::Loop& loop, TaskConfirmer& task_confirmer);
  ~Impl();

  struct ListenerInfo {
    std::string address;  // as configured
    net::Address bound;
    net::SocketFile file;                // of a unix socket
    std::vector<net::UniqueFd> sockets;  // ListenerSockets::originals
    bool is_inherited = false;
  };
  struct FreshListener {
    ListenerInfo info;
    std::vector<std::vector<net::UniqueFd>> per_worker;
  };

  Result<Unit, Problem> apply_config(std::shared_ptr<const Config> new_config);
  Result<Unit, Problem> bind_new(const Config& new_config, std::vector<FreshListener>& bound);
  void give_socket(std::size_t worker, const ListenerRole& role, const std::string& address, net::UniqueFd socket);
  void start_workers(const Config& first_config);
  ListenerRole role_of(const ListenerConfig& listener, std::shared_ptr<const net::TlsServerContext> context);
  void change_tls(const std::string& address, std::shared_ptr<const net::TlsServerContext> context);
  void change_upstream_tls(UpstreamTlsByApp changed);
  Worker::Shares set_bounds(const Config& new_config);
  void apply_endpoints(EndpointChange change, std::function<void()> on_applied);
  // Applies here and on all workers; `on_applied` comes when the last one has it.
  void broadcast(RoutingUpdate update, std::function<void()> on_applied);
  void post_to_all(const std::function<void(Worker&)>& work, std::function<void()> on_done);
  void on_worker_drained(const EndpointRecord& record);
  void ask(std::size_t worker, const std::shared_ptr<EndpointRecord>& record);
  // Passive health (proxy_ejections.cc).
  void make_detector();
  void on_failures(const std::vector<FailureReport>& reports);
  void let_ejected_back();
  void apply_verdicts(RoutingUpdate update);
  // Active health (proxy_health.cc).
  void make_checker();
  void on_health_verdict();
  void drain(Duration deadline, std::function<void()> on_done);
  void end_drain();
  // Takeovers (proxy_takeover.cc).
  void begin_accepting();
  void bind_missing(ListenerInfo& listener, const ListenerRole& role);
  void hand_over(const std::vector<std::string>& kept, Duration deadline, std::function<void()> on_done);
  void take_back();
  void end_trial();
  void stop_workers();

  // Runs `work` on the main thread, unless we are gone by then.
  void post_to_main(std::function<void()> work) {
    main_loop.post([weak = token, work = std::move(work)] {
      if (!weak.expired()) work();
    });
  }

  std::string explain(std::string_view url) const;
  std::string explain_tcp(std::string_view url) const;
  std::string routes_json() const;
  void write_metrics(std::string& out) const;
  std::string stats_json() const;
  std::string why_unready() const;
  std::string why_unhealthy() const;
  double requests_per_second();

  net::Loop& main_loop;
  TaskConfirmer& confirmer;
  std::shared_ptr<char> alive = std::make_shared<char>();
  const std::weak_ptr<char> token{alive};  // what workers copy: `alive` itself is the main thread's
  std::shared_ptr<const Config> config;
  std::vector<ListenerInfo> listeners;  // in config order
  ListenerBook listener_book;
  InheritedSockets inherited;  // for the first configuration
  bool holds = false;          // workers get their listeners when begin_accepting() comes
  std::vector<std::function<void()>> held_back;
  std::unique_ptr<WorkerShared> shared;
  std::unique_ptr<EndpointRegistry> registry;
  std::unique_ptr<OutlierDetector> detector;
  std::unique_ptr<HealthChecker> checker;
  bool verdicts_are_due = false;
  net::Timer return_timer;  // when the next ejected endpoint may come back
  RoutingState replica;
  std::vector<std::unique_ptr<Worker>> workers;
  TlsListeners tls;
  UpstreamTlsBook upstream_tls;
  StallWatch stall_watch;
  std::vector<std::pair<EndpointChange, std::function<void()>>> early_changes;  // before there are workers
  std::int64_t fresh_until_before_start = 0;
  bool is_config_applied = false;
  std::uint64_t config_generation = 0;
  std::size_t memory_bytes_max = 0;
  std::function<void(const model::TaskId&)> on_drained;
  std::function<void()> on_pending_changed;

  std::function<void()> on_drain_done;
  std::size_t workers_empty = 0;
  bool is_draining = false;
  bool is_on_trial = false;  // handed over, and ready to take back: stays also with nothing left to do
  net::Timer drain_timer;

  std::uint64_t takeovers = 0, takeover_failures = 0;

  std::uint64_t changes_applied = 0;
  Duration apply_sum{}, apply_max{};
  LatencyHistogram apply_latency;
  std::deque<std::pair<Instant, std::uint64_t>> request_samples;
};

}  // namespace lotse::proxy

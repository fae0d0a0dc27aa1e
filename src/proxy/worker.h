// One loop thread of the proxy and everything that lives on it: listening sockets, connections of both sides,
// exchanges, a replica of the routing state, counters. Owned by the Proxy, which talks to it by post() only; what other
// threads may read is said so. Decides nothing about requests (Exchange does).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "proxy/access_log.h"
#include "proxy/config.h"
#include "proxy/downstream_connection.h"
#include "proxy/exchange.h"
#include "proxy/failure_reporter.h"
#include "proxy/freshness.h"
#include "proxy/h2_upstream.h"
#include "proxy/h2_writer.h"
#include "proxy/listener_stats.h"
#include "proxy/load_balancer.h"
#include "proxy/memory_share.h"
#include "proxy/outbox.h"
#include "proxy/preconnect.h"
#include "proxy/proxy_preface.h"
#include "proxy/retry_budget.h"
#include "proxy/routing_state.h"
#include "proxy/tcp_relay.h"
#include "proxy/tls_handshake.h"
#include "proxy/upstream_connection.h"
#include "proxy/upstream_pool.h"
#include "proxy/worker_counters.h"

namespace lotse::proxy {

// What all workers and the main thread share. The functions are called on workers' threads and post to the main one.
struct WorkerShared {
  std::size_t worker_count = 1;
  std::atomic<std::int64_t> fresh_until{0};  // boot clock; before it, the table is known to be current
  std::atomic<std::int64_t> downstream_max{50'000};
  // Bounds accepting; written per connection, never per request, on a cache line of its own.
  alignas(64) std::atomic<std::int64_t> downstream_open{0};
  alignas(64) AppStats unrouted;  // requests that found no app
  AccessLog access_log;
  std::function<void(std::shared_ptr<EndpointRecord>)> on_drained;  // a draining or removed one has nothing in flight
  std::function<void(std::size_t worker, std::shared_ptr<EndpointRecord>)> ask;  // confirm the task
  std::function<void(std::vector<FailureReport>)> on_failures;
  std::function<void()> on_worker_empty;  // draining, and its last connection has closed

  explicit WorkerShared(std::size_t workers) : worker_count(workers), unrouted("", workers) {}
};

struct ListenerRole {  // what a reload may change of a listener that keeps its socket
  std::string name;
  std::shared_ptr<const net::TlsServerContext> tls;  // null: plain
  bool is_tcp = false, passes_tls_through = false;
  std::shared_ptr<const ProxyProtocolConfig> proxy_protocol;  // null: not spoken
  ListenerStats* stats = nullptr;                             // lives as long as the process
  bool speaks_h2 = true;
};

struct WorkerListener : ListenerRole {
  std::string address;  // as configured: its identity over reloads
  net::Address local;   // bound
  std::unique_ptr<net::Listener> socket;
  void take(ListenerRole role) { static_cast<ListenerRole&>(*this) = std::move(role); }
  // Where the client connected to. Asking each connection would cost a system call.
  net::Address local_of(const net::Stream& stream) const { return proxy_protocol ? stream.local() : local; }
  bool is_retired = false;  // its connections finish what they have begun
};

class Worker {
 public:
  Worker(std::size_t index, WorkerShared& shared, std::uint64_t seed);
  ~Worker();  // after stop() and join()

  // Main thread.
  void start();
  void post(std::function<void(Worker&)> work);
  void stop_and_join();

  // Any thread.
  const WorkerCounters& counters() const { return counters_; }
  std::size_t index() const { return index_; }
  net::LoopLoad& load() { return loop_.load(); }
  std::size_t buffered_bytes() const { return memory_.held() + loop_.queued_bytes(); }

  // Posted by the Proxy, on the worker's thread.
  struct Shares {  // of the process's bounds
    std::size_t upstream_connections_max = 0, memory_bytes_max = 0, splice_pipes_max = 0;
  };
  void apply_config(std::shared_ptr<const Config> config, const Shares& shares);
  void apply(const RoutingUpdate& update);
  void add_listener(ListenerRole role, std::string address, net::UniqueFd socket);
  void change_listener(std::string_view address, ListenerRole role);  // for what it accepts from now on
  void remove_listener(std::string_view address);
  void begin_drain();
  // Another process accepts from the listeners at these addresses: they stay open but are not looked at. All else
  // drains. take_back(): it has gone, we accept again.
  void hand_over(const std::vector<std::string>& kept_addresses);
  void take_back();
  void on_confirmation(const std::shared_ptr<EndpointRecord>& record, Confirmation confirmation);

  // For what lives here.
  net::Loop& loop() { return loop_; }
  const Config& config() const { return *config_; }
  const http::Limits& http_limits() const { return *http_limits_.back(); }
  WorkerCounters& counters() { return counters_; }
  Outbox& outbox() { return outbox_; }
  UpstreamPools& pools() { return pools_; }
  RoutingState& routing() { return routing_; }
  LoadBalancer& balancer() { return balancer_; }
  Freshness& freshness() { return freshness_; }
  FailureReporter& failures() { return failures_; }
  MemoryShare& memory() { return memory_; }
  std::uint64_t serving_pass() const { return serving_pass_; }  // of those that wait
  bool take_retry_budget(int percent) { return retry_budget_.take(percent, counters_.requests.get(), loop_.now()); }
  AppStats& unrouted_stats() { return shared_.unrouted; }
  void count_unrouted(int status) {
    shared_.unrouted.per_worker[index_].requests_by_class[static_cast<std::size_t>(status / 100)].add();
  }
  AccessLogBuffer* access_log() { return access_log_.get(); }
  bool is_draining() const { return is_draining_; }
  std::uint32_t share_of(int whole) const;  // of a bound of the process: at least 1

  std::unique_ptr<Exchange> new_exchange();
  void release(std::unique_ptr<Exchange> exchange);
  UpstreamConnection& open_upstream(EndpointRecord& record);
  H2Upstream& open_h2_upstream(EndpointRecord& record);
  void on_endpoint_free(EndpointRecord& record);  // its in_flight has gone down
  void on_capacity() { has_capacity_ = true; }    // something an exchange may wait for may have come free
  IntrusiveList<Exchange, InWaiting>& waiting() { return waiting_; }
  IntrusiveList<DownstreamUser, InFinished>& finished() { return finished_; }
  IntrusiveList<H2Writer, InUnsent>& unsent() { return unsent_; }
  void keep(Upstream& connection);  // until it is buried
  void bury(Upstream& connection);  // closed: destroyed when the callbacks are done
  IntrusiveList<TcpRelay, InAsking>& asking() { return asking_; }
  void bury(Downstream& connection);
  // A connection that is known to be the client's: its first bytes are TLS, if the listener speaks that.
  void greet(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream);
  // A connection of a client that is ready for what its listener speaks: plain, or with its handshake done.
  void admit(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream);
  // The same, of one that speaks HTTP/2; `first_bytes`: what told so.
  void admit_h2(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream,
                std::string_view first_bytes = {}, std::string_view next_bytes = {});

 private:
  friend class Turn;
  void settle();
  void write_out();
  H2Pool::Bounds h2_bounds() const;
  void finish_exchanges();
  void serve_waiting();
  void free_memory();
  void drop_quiet_records();
  void keep(Downstream& connection);
  void accept(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream);
  void check_accepting();
  std::vector<std::shared_ptr<WorkerListener>> take_out(const std::function<bool(const WorkerListener&)>& is_gone);
  void retire(std::shared_ptr<WorkerListener> listener);
  void close_retired();
  void report_if_empty();
  void shut_down();

  net::Loop loop_;
  WorkerShared& shared_;
  const std::size_t index_;
  WorkerCounters counters_;
  MemoryShare memory_;
  std::shared_ptr<const Config> config_;
  std::vector<std::unique_ptr<const http::Limits>> http_limits_;  // parsers refer to those they began with
  RoutingState routing_;
  std::unordered_map<EndpointRecord*, std::shared_ptr<EndpointRecord>> records_;  // those in the table
  std::vector<std::shared_ptr<EndpointRecord>> removed_records_;                  // with connections left
  LoadBalancer balancer_;
  Freshness freshness_;
  FailureReporter failures_;
  RetryBudget retry_budget_;
  Outbox outbox_;
  UpstreamPools pools_;
  Preconnector preconnector_;
  std::unique_ptr<AccessLogBuffer> access_log_;

  std::vector<std::shared_ptr<WorkerListener>> listeners_;
  std::vector<std::shared_ptr<WorkerListener>> retired_listeners_;  // take what is queued, then close
  IntrusiveList<Downstream, InDownstreams> downstreams_;
  IntrusiveList<Upstream, InUpstreams> upstreams_;
  std::vector<std::unique_ptr<Exchange>> free_exchanges_;
  IntrusiveList<Exchange, InWaiting> waiting_;
  IntrusiveList<DownstreamUser, InFinished> finished_;
  IntrusiveList<H2Writer, InUnsent> unsent_;
  std::vector<std::unique_ptr<Upstream>> dead_upstreams_;
  IntrusiveList<TcpRelay, InAsking> asking_;
  std::vector<std::unique_ptr<Downstream>> dead_downstreams_;
  Deadline accept_again_, close_retired_;
  std::size_t downstream_count_ = 0;
  std::uint64_t serving_pass_ = 0;
  int turn_depth_ = 0;
  bool has_capacity_ = false;  // something an exchange may wait for has come free in this turn
  bool accepting_paused_ = false;
  bool is_draining_ = false, has_reported_empty_ = false;
  bool is_handed_over_ = false;  // what is left in listeners_ is another process's
  std::thread thread_;
};

// Stands at the top of every callback from the loop: when the outermost one ends, finished exchanges make room for the
// next requests, what was composed is written, and closed connections are destroyed. A callback that brings bytes may
// leave small writes to the end of the poll (Outbox); any other sends first what earlier ones left.
class Turn {
 public:
  enum class Writes : std::uint8_t { at_once, may_wait };
  explicit Turn(Worker& worker, Writes writes = Writes::at_once) : worker_(worker), writes_(writes) {
    if (++worker_.turn_depth_ == 1 && writes_ == Writes::at_once) worker_.outbox_.flush();
  }
  ~Turn() {
    if (worker_.turn_depth_ == 1) {
      worker_.settle();
      writes_ == Writes::at_once ? worker_.write_out() : worker_.outbox_.release_views();
    }
    --worker_.turn_depth_;
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Worker& worker_;
  const Writes writes_;
};

}  // namespace lotse::proxy

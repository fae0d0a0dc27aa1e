#include "proxy/worker.h"

#include <pthread.h>

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/log.h"
#include "net/splice_pipe.h"
#include "proxy/h2_downstream.h"

namespace lotse::proxy {

namespace {

constexpr Duration kAcceptRetry = std::chrono::milliseconds(100);
// From the kernel's last SYN-ACK to the client's ACK: a round trip, of which few are longer.
constexpr Duration kHandshakesEnd = std::chrono::milliseconds(250);
constexpr std::size_t kFreeExchangesMax = 1024;  // more are given back after a peak

bool is_one_of(const std::vector<Cidr>& networks, const net::Address& address) {
  return std::any_of(networks.begin(), networks.end(), [&](const Cidr& one) { return one.contains(address); });
}

}  // namespace

Worker::Worker(std::size_t index, WorkerShared& shared, std::uint64_t seed)
    : shared_(shared),
      index_(index),
      config_(std::make_shared<const Config>()),
      balancer_(index, Random(seed)),
      freshness_(loop_.clock(), shared.fresh_until, index,
                 [this](EndpointRecord& record) { shared_.ask(index_, record.shared_from_this()); }),
      failures_(loop_, index, [this](std::vector<FailureReport> reports) { shared_.on_failures(std::move(reports)); }),
      retry_budget_(kRetriesPerSecondMin / std::max<std::size_t>(shared.worker_count, 1)),
      pools_(*this),
      preconnector_(*this),
      accept_again_(loop_,
                    [this] {
                      Turn turn(*this);
                      check_accepting();
                    }),
      close_retired_(loop_, [this] {
        Turn turn(*this);
        close_retired();
      }) {
  http_limits_.push_back(std::make_unique<const http::Limits>(config_->limits.http));
  loop_.set_after_poll([this] {
    if (unsent_.empty()) return outbox_.flush();
    Turn turn(*this);
  });
}

Worker::~Worker() { loop_.set_after_poll({}); }

// Main thread -----------------------------------------------------------------------------------------------------

void Worker::start() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), ("lotse-worker-" + std::to_string(index_)).substr(0, 15).c_str());
    loop_.run();
  });
}

void Worker::post(std::function<void(Worker&)> work) {
  loop_.post([this, work = std::move(work)] {
    Turn turn(*this);
    work(*this);
  });
}

void Worker::stop_and_join() {
  if (!thread_.joinable()) return;
  loop_.post([this] { shut_down(); });
  thread_.join();
}

void Worker::shut_down() {
  {
    Turn turn(*this);
    // What another process accepts from must not be told to ignore clients.
    if (!is_handed_over_) {
      for (auto& listener : std::exchange(listeners_, {})) retire(std::move(listener));
    }
    listeners_.clear();
    close_retired();
    retired_listeners_.clear();
    while (Downstream* connection = downstreams_.front()) connection->close();
    while (Upstream* connection = upstreams_.front()) connection->abandon();
  }
  access_log_.reset();
  accept_again_.stop();
  close_retired_.stop();
  failures_.stop();
  preconnector_.stop();
  pools_.stop();
  free_exchanges_.clear();
  loop_.stop();
}

// Changes ---------------------------------------------------------------------------------------------------------

void Worker::apply_config(std::shared_ptr<const Config> config, const Shares& shares) {
  config_ = std::move(config);
  // Parsers go on with the limits they were made with.
  static_assert(std::has_unique_object_representations_v<http::Limits>);
  if (std::memcmp(http_limits_.back().get(), &config_->limits.http, sizeof(http::Limits)) != 0) {
    http_limits_.push_back(std::make_unique<const http::Limits>(config_->limits.http));
  }
  balancer_.set_connections_max(
      static_cast<std::size_t>(std::max(config_->limits.upstream_connections_per_endpoint_max, 1)));
  pools_.configure({.idle_timeout = config_->timeouts.upstream_idle,
                    .connections_max = shares.upstream_connections_max,
                    .per_endpoint_max =
                        static_cast<std::size_t>(std::max(config_->limits.upstream_connections_per_endpoint_max, 1))});
  for (const auto& [raw, record] : records_) record->states[index_].h2.configure(h2_bounds());
  memory_.set_max(shares.memory_bytes_max);
  loop_.splice_pipes().set_max(shares.splice_pipes_max);
  if (config_->access_log && !access_log_) access_log_ = std::make_unique<AccessLogBuffer>(loop_, shared_.access_log);
  if (!config_->access_log) access_log_.reset();
}

H2Pool::Bounds Worker::h2_bounds() const {
  return {.connections_max = static_cast<std::size_t>(config_->limits.upstream_h2_connections_per_endpoint_max),
          .streams_max = static_cast<std::size_t>(config_->limits.upstream_h2_streams_max)};
}

void Worker::apply(const RoutingUpdate& update) {
  for (const auto& change : update.records) {
    EndpointState& state = change.record->states[index_];
    state.state = change.state;
    state.is_removed = change.is_removed;
    state.preconnect = change.preconnect;
    // Connections that began without telling are nobody's and anybody's: no endpoint that wants to be told gets one.
    if (std::exchange(state.proxy_protocol, change.proxy_protocol) != change.proxy_protocol) state.pool.close_idle();
    state.h2.configure(h2_bounds());
    if (state.speaks_h2 != change.speaks_h2) {
      state.pool.close_idle();
      state.h2.close_idle();
    }
    state.speaks_h2 = change.speaks_h2;
    speak_tls(state, change.tls);
    if (change.is_removed) {
      freshness_.forget(*change.record);
      preconnector_.forget(*change.record);
      if (records_.erase(change.record.get()) > 0) removed_records_.push_back(change.record);
    } else {
      records_.emplace(change.record.get(), change.record);
      preconnector_.watch(*change.record);
    }
    if (change.is_removed || change.state == model::EndpointState::draining) {
      state.pool.close_idle();
      state.h2.close_idle();
    }
  }
  routing_.apply(update);
  has_capacity_ = true;  // what waited for a connection may find a new endpoint, or none
}

void Worker::on_confirmation(const std::shared_ptr<EndpointRecord>& record, Confirmation confirmation) {
  freshness_.on_answer(*record, confirmation);
  std::vector<Exchange*> answered;
  for (Exchange* waiting = waiting_.front(); waiting != nullptr; waiting = waiting_.next(*waiting)) {
    if (waiting->confirming() == record.get()) answered.push_back(waiting);
  }
  for (Exchange* exchange : answered) exchange->on_confirmation();
  std::vector<TcpRelay*> relays;
  for (TcpRelay* asking = asking_.front(); asking != nullptr; asking = asking_.next(*asking)) {
    if (asking->confirming() == record.get()) relays.push_back(asking);
  }
  for (TcpRelay* relay : relays) relay->on_confirmation();
}

// Listeners -------------------------------------------------------------------------------------------------------

void Worker::add_listener(ListenerRole role, std::string address, net::UniqueFd socket) {
  auto listener = std::make_shared<WorkerListener>();
  listener->take(std::move(role));
  listener->address = std::move(address);
  listener->local = net::local_address(socket.get());
  auto opened = net::Listener::open(loop_, std::move(socket),
                                    [this, weak = std::weak_ptr(listener)](std::unique_ptr<net::Stream> stream) {
                                      Turn turn(*this);
                                      if (auto alive = weak.lock()) accept(alive, std::move(stream));
                                    });
  if (!opened) return log::error("proxy", "cannot watch listener {}: {}", listener->address, describe(opened.error()));
  listener->socket = std::move(*opened);
  if (accepting_paused_) listener->socket->pause();
  listeners_.push_back(std::move(listener));
}

void Worker::change_listener(std::string_view address, ListenerRole role) {
  for (const auto& listener : listeners_) {
    if (listener->address != address) continue;
    listener->take(role);
  }
}

std::vector<std::shared_ptr<WorkerListener>> Worker::take_out(
    const std::function<bool(const WorkerListener&)>& is_gone) {
  auto first_gone =
      std::stable_partition(listeners_.begin(), listeners_.end(), [&](const auto& one) { return !is_gone(*one); });
  std::vector<std::shared_ptr<WorkerListener>> gone(first_gone, listeners_.end());
  listeners_.erase(first_gone, listeners_.end());
  return gone;
}

// There may be several sockets of one address: those of a process that had more workers.
void Worker::remove_listener(std::string_view address) {
  for (const auto& listener : take_out([&](const WorkerListener& one) { return one.address == address; })) {
    retire(listener);
    for (Downstream* one = downstreams_.front(); one != nullptr; one = downstreams_.next(*one)) {
      if (one->is_of(*listener)) one->drain();
    }
  }
}

// What waits in the kernel's queue would be reset by closing the socket: it is accepted first, and before that no new
// handshake may begin, or one could end between the last accept and the close.
void Worker::retire(std::shared_ptr<WorkerListener> listener) {
  listener->is_retired = true;
  Duration wait = kHandshakesEnd;
  if (!listener->socket->ignore_new_clients()) {
    if (listener->socket->accept_all_queued()) return listener->socket.reset();
    wait = kAcceptRetry;
  }
  if (accepting_paused_) listener->socket->resume();  // at the bound as well: they are few, and we leave
  retired_listeners_.push_back(std::move(listener));
  close_retired_.set(wait);
}

void Worker::close_retired() {
  bool is_done = true;
  for (const auto& listener : retired_listeners_) {
    if (!listener->socket) continue;
    if (listener->socket->accept_all_queued()) {
      listener->socket.reset();
    } else {
      is_done = false;  // out of descriptors: some of ours are being closed
    }
  }
  if (!is_done) return close_retired_.set(kAcceptRetry);
  retired_listeners_.clear();
}

void Worker::accept(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream) {
  counters_.downstream_accepted.add();
  listener->stats->per_worker[index_].accepted.add();
  if (!listener->proxy_protocol) {
    greet(listener, std::move(stream));
  } else if (is_one_of(listener->proxy_protocol->from, stream->peer())) {
    keep(*new ProxyPreface(*this, listener, std::move(stream)));
  } else {  // whoever could say anything could be anybody
    listener->stats->refuse(index_, Refusal::untrusted);
    stream->reset();
  }
  check_accepting();
}

void Worker::greet(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream) {
  if (listener->tls) {
    keep(*new TlsHandshake(*this, listener, std::move(stream)));
  } else {
    admit(listener, std::move(stream));
  }
}

void Worker::admit(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream) {
  if (listener->is_tcp) {
    auto* relay = new TcpRelay(*this, listener, std::move(stream));
    keep(*relay);
    return relay->start();
  }
  auto* connection = new DownstreamConnection(*this, listener, std::move(stream));
  keep(*connection);
  connection->start();
  if (is_draining_ || listener->is_retired) connection->drain();  // its handshake was older than that
}

void Worker::admit_h2(const std::shared_ptr<WorkerListener>& listener, std::unique_ptr<net::Stream> stream,
                      std::string_view first_bytes, std::string_view next_bytes) {
  auto* connection = new H2Downstream(*this, listener, std::move(stream));
  keep(*connection);
  connection->start(first_bytes, next_bytes);
  if (is_draining_ || listener->is_retired) connection->drain();
}

// Owned by downstreams_ until it is buried.
void Worker::keep(Downstream& connection) {
  downstreams_.push_back(connection);
  ++downstream_count_;
  counters_.downstream_open.add();
  shared_.downstream_open.fetch_add(1, std::memory_order_relaxed);
}

// At the bound of the process we stop accepting; the kernel queues. Another worker's connection may close meanwhile, so
// we look again by the clock.
void Worker::check_accepting() {
  if (is_handed_over_) return;
  bool is_full =
      shared_.downstream_open.load(std::memory_order_relaxed) >= shared_.downstream_max.load(std::memory_order_relaxed);
  if (is_full) accept_again_.set(kAcceptRetry);
  if (is_full == accepting_paused_) return;
  accepting_paused_ = is_full;
  if (is_full) counters_.accept_pauses.add();
  for (const auto& listener : listeners_) is_full ? listener->socket->pause() : listener->socket->resume();
}

void Worker::begin_drain() {
  is_draining_ = true;
  preconnector_.stop();
  for (auto& listener : std::exchange(listeners_, {})) retire(std::move(listener));
  for (Downstream* one = downstreams_.front(); one != nullptr; one = downstreams_.next(*one)) one->drain();
  if (access_log_) access_log_->flush();
}

void Worker::hand_over(const std::vector<std::string>& kept_addresses) {
  is_handed_over_ = true;
  is_draining_ = true;
  preconnector_.stop();
  const auto gone = take_out([&](const WorkerListener& one) {
    return std::find(kept_addresses.begin(), kept_addresses.end(), one.address) == kept_addresses.end();
  });
  for (const auto& listener : listeners_) listener->socket->pause();
  for (const auto& listener : gone) retire(listener);
  for (Downstream* one = downstreams_.front(); one != nullptr; one = downstreams_.next(*one)) one->drain();
  if (access_log_) access_log_->flush();
}

void Worker::take_back() {
  if (!std::exchange(is_handed_over_, false)) return;
  is_draining_ = has_reported_empty_ = accepting_paused_ = false;
  for (const auto& listener : listeners_) listener->socket->resume();
  check_accepting();
  for (const auto& [key, record] : records_) preconnector_.watch(*record);
}

void Worker::report_if_empty() {
  if (!is_draining_ || downstream_count_ > 0 || !retired_listeners_.empty() || std::exchange(has_reported_empty_, true))
    return;
  if (access_log_) access_log_->flush();
  shared_.on_worker_empty();
}

// What lives here -------------------------------------------------------------------------------------------------

std::uint32_t Worker::share_of(int whole) const {
  auto share = static_cast<std::size_t>(std::max(whole, 1)) / shared_.worker_count;
  return static_cast<std::uint32_t>(std::max<std::size_t>(share, 1));
}

std::unique_ptr<Exchange> Worker::new_exchange() {
  if (free_exchanges_.empty()) return std::make_unique<Exchange>(*this);
  auto exchange = std::move(free_exchanges_.back());
  free_exchanges_.pop_back();
  return exchange;
}

void Worker::release(std::unique_ptr<Exchange> exchange) {
  if (free_exchanges_.size() >= kFreeExchangesMax) return;
  exchange->reset();
  free_exchanges_.push_back(std::move(exchange));
}

UpstreamConnection& Worker::open_upstream(EndpointRecord& record) {
  auto* connection = new UpstreamConnection(*this, record);
  keep(*connection);
  return *connection;
}

H2Upstream& Worker::open_h2_upstream(EndpointRecord& record) {
  auto* connection = new H2Upstream(*this, record);
  keep(*connection);
  return *connection;
}

// Owned by upstreams_ until it is buried.
void Worker::keep(Upstream& connection) {
  upstreams_.push_back(connection);
  counters_.upstream_open.add();
}

void Worker::on_endpoint_free(EndpointRecord& record) {
  has_capacity_ = true;
  const EndpointState& state = record.states[index_];
  if (state.in_flight.get() > 0) return;
  if (state.is_removed || state.state == model::EndpointState::draining) shared_.on_drained(record.shared_from_this());
}

void Worker::bury(Upstream& connection) {
  connection.ListNode<InUpstreams>::unlink();
  counters_.upstream_open.subtract();
  has_capacity_ = true;
  dead_upstreams_.emplace_back(&connection);
}

void Worker::bury(Downstream& connection) {
  connection.ListNode<InDownstreams>::unlink();
  --downstream_count_;
  counters_.downstream_open.subtract();
  shared_.downstream_open.fetch_sub(1, std::memory_order_relaxed);
  dead_downstreams_.emplace_back(&connection);
}

void Worker::settle() {
  finish_exchanges();
  if (std::exchange(has_capacity_, false) && !waiting_.empty()) {
    serve_waiting();
    finish_exchanges();
  }
  if (memory_.is_full(loop_.queued_bytes())) {
    free_memory();
    finish_exchanges();
  }
  if (!dead_upstreams_.empty()) dead_upstreams_.clear();
  if (!dead_downstreams_.empty()) {
    dead_downstreams_.clear();
    if (accepting_paused_) check_accepting();
  }
  if (!removed_records_.empty()) drop_quiet_records();
  if (is_draining_) report_if_empty();
}

// Frames first, since writing them may end streams and begin answers; then all that was composed.
void Worker::write_out() {
  while (H2Writer* writer = unsent_.pop_front()) {
    writer->write_frames();
    settle();
  }
  outbox_.flush();
}

// What one exchange leaves behind may begin the next on the same connection, and that one may be over at once.
void Worker::finish_exchanges() {
  outbox_.release_views();
  while (DownstreamUser* user = finished_.pop_front()) {
    user->after_exchange();
    outbox_.release_views();
  }
}

// In order of arrival; one that still finds everything full keeps its place, or goes to the end of the queue when it
// lost its place to the bound of all connections. Each is asked once.
void Worker::serve_waiting() {
  ++serving_pass_;
  const Exchange* last = waiting_.back();
  for (Exchange* exchange = waiting_.front(); exchange != nullptr;) {
    Exchange* next = exchange == last ? nullptr : waiting_.next(*exchange);
    exchange->on_capacity();
    exchange = next;
  }
}

// Whoever holds the most of a few goes first, so that those who ask for little never notice. The list turns while it is
// looked at: the next sample is another one. What a turn can add is bounded by what it can read.
void Worker::free_memory() {
  constexpr int kSample = 64, kEvictionsMax = 32;
  for (int i = 0; i < kEvictionsMax && memory_.is_full(loop_.queued_bytes()); ++i) {
    Downstream* greediest = nullptr;
    std::size_t most = 0;
    for (std::size_t left = std::min<std::size_t>(kSample, downstream_count_); left > 0; --left) {
      Downstream* one = downstreams_.front();
      downstreams_.push_back(*one);
      if (std::size_t held = one->held_bytes(); held > most) greediest = one, most = held;
    }
    if (greediest != nullptr) greediest->free_memory();
  }
}

void Worker::drop_quiet_records() {
  std::erase_if(removed_records_, [this](const std::shared_ptr<EndpointRecord>& record) {
    const EndpointState& state = record->states[index_];
    return state.in_flight.get() == 0 && state.pool.open == 0 && state.h2.open() == 0;
  });
}

}  // namespace lotse::proxy

#include "proxy/tcp_relay.h"

#include <utility>

#include "proxy/endpoint_address.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {
constexpr Duration kConfirmationWait = std::chrono::seconds(1);  // then the agent counts as silent
constexpr Duration kSuspicion = std::chrono::seconds(1);         // how long an endpoint that refused us comes last
// An endpoint that ends a connection this early, without a byte, has hardly served anybody: behind a published port
// (docker-proxy) that is what a dead container looks like.
constexpr Duration kTooEarly = std::chrono::seconds(1);
// Fatal alerts (RFC 8446 section 6) in a record of their own.
constexpr std::string_view kDecodeError("\x15\x03\x03\x00\x02\x02\x32", 7);
constexpr std::string_view kUnrecognizedName("\x15\x03\x03\x00\x02\x02\x70", 7);
}  // namespace

TcpRelay::TcpRelay(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream)
    : worker_(worker), listener_(std::move(listener)), started_(worker.loop().now()), deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {
  client_.stream = std::move(stream);
  client_.stream->set_listener(&client_);
  listener_->stats->per_worker[worker_.index()].open.add();
}

TcpRelay::~TcpRelay() = default;

// Finding an endpoint ---------------------------------------------------------------------------------------------

// The client is not read before there is an endpoint: what it sends waits in the kernel. But for the name it asks for,
// where that decides.
void TcpRelay::start() {
  if (!listener_->passes_tls_through) return find_app();
  state_ = State::reading_name;
  hello_ = std::make_unique<Hello>(worker_);
  deadline_.set(worker_.config().timeouts.header);
  client_.stream->start_reading();
}

TcpRelay::Hello::Hello(Worker& worker) : reader(worker.config().limits.client_hello_bytes_max), held(worker.memory()) {}

void TcpRelay::take_hello(std::span<const char> bytes) {
  hello_->bytes.append(bytes.data(), bytes.size());
  hello_->held.set(heap_bytes(hello_->bytes));
  switch (hello_->reader.feed(bytes)) {
    case net::ClientHelloReader::State::wants_more:
      return;
    case net::ClientHelloReader::State::refused:
      return refuse_hello(Refusal::client_hello, hello_->reader.reason(), kDecodeError);
    case net::ClientHelloReader::State::done:
      client_.stream->stop_reading();
      server_name_ = hello_->reader.server_name();
      return find_app();
  }
}

// Who speaks TLS is told in its language.
void TcpRelay::refuse_hello(Refusal why, const char* reason, std::string_view alert) {
  if (hello_->reader.is_tls()) client_.stream->write(alert);
  give_up(why, reason);
}

void TcpRelay::find_app() {
  auto found = worker_.routing().find_tcp(listener_->name, server_name_, worker_.balancer().random().next());
  if (!found.is_found && hello_ != nullptr)
    return refuse_hello(Refusal::unknown_name, "no app has the name that the client asks for", kUnrecognizedName);
  if (!found.is_found) return give_up(Refusal::no_endpoint, "the listener has no app");
  Slot& slot = worker_.routing().slot_at(found.slot);
  if (!slot.set) return give_up(Refusal::no_endpoint, "the app is not known yet");
  slot_ = {found.slot, slot.generation};
  stats_ = &slot.set->stats;
  choose();
}

void TcpRelay::choose() {
  state_ = State::choosing;
  Slot* slot = worker_.routing().slot(slot_);
  if (slot == nullptr) return give_up(Refusal::no_endpoint, "the app was removed");
  PickOptions options{.avoid = std::span(failed_.data(), failure_count_),
                      .is_stale = worker_.freshness().has_any_out() && worker_.freshness().is_stale(),
                      .now = worker_.loop().now()};
  Pick pick = worker_.balancer().pick(*slot->set, slot->cursor, options);
  switch (pick.outcome) {
    case Pick::Outcome::picked:
      return take(*pick.member);
    case Pick::Outcome::full:  // tunnels last: waiting for one to end would be a long wait
      return give_up(Refusal::full, "every endpoint has all the connections it may have");
    case Pick::Outcome::none:
      if (failure_count_ > 0) return give_up(Refusal::failed, error_);
      return give_up(Refusal::no_endpoint, slot->set->members().empty() ? "the app has no endpoints"
                                                                        : "the app has no endpoint that may be used");
  }
}

void TcpRelay::take(const EndpointSet::Member& member) {
  record_ = member.record.get();
  record_has_agent_ = member.has_agent;
  endpoint_state().in_flight.add();
  endpoint_state().requests.add();
  ++attempts_;
  connect();
}

void TcpRelay::connect() {
  if (record_has_agent_) {
    switch (worker_.freshness().may_connect(*record_)) {
      case Freshness::Answer::yes:
        break;
      case Freshness::Answer::ask:
        state_ = State::confirming;
        worker_.asking().push_back(*this);
        return deadline_.set(kConfirmationWait);
      case Freshness::Answer::no:
        return on_connect_failed(Errc::not_found);  // its agent does not know the task
    }
  }
  if (!worker_.pools().make_room()) {
    let_endpoint_go();
    return give_up(Refusal::full, "all upstream connections are in use");
  }
  state_ = State::connecting;
  EndpointState& state = endpoint_state();
  state.connects.add();
  ++state.pool.open;
  worker_.pools().on_opened();
  worker_.counters().upstream_open.add();
  connecting_since_ = worker_.loop().now();
  deadline_.set(worker_.config().timeouts.connect);
  lookup_ = find_address(worker_, *record_, [this](Result<net::Address> found) {
    Turn turn(worker_);
    auto finished = std::move(lookup_);
    found ? open_stream(*found) : on_connect_failed(found.error().code);
  });
}

void TcpRelay::open_stream(const net::Address& address) {
  endpoint_.stream = connect_upstream(worker_.loop(), *record_, endpoint_state(), address, endpoint_);
}

// A snapshot may be here before the agent's word: then what the table does not have any more is not connected to.
void TcpRelay::on_confirmation() {
  ListNode<InAsking>::unlink();
  if (!endpoint_state().is_removed) return connect();
  let_endpoint_go();
  choose();
}

void TcpRelay::on_connect_failed(Errc code) {
  EndpointState& state = endpoint_state();
  error_ = record_->address_text + ": " + std::string(to_string(code));
  if (state_ == State::connecting) {
    note_unreachable(state);
    state.connect_failures.add();
    worker_.counters().connect_failures.add();
    stats_->per_worker[worker_.index()].connect_failures.add();
    worker_.freshness().on_connect_failed(*record_);
    state.suspect_until = worker_.loop().now() + kSuspicion;
    // That we are out of descriptors says nothing of the endpoint.
    const bool is_its_fault = code == Errc::refused || code == Errc::unreachable || code == Errc::resolve_failed ||
                              code == Errc::timed_out || code == Errc::connection_reset;
    if (is_its_fault) worker_.failures().fail(*record_, FailureKind::connect);
  }
  failed_[failure_count_++] = record_;
  let_endpoint_go();
  if (failure_count_ == kConnectTriesMax) return give_up(Refusal::failed, error_);
  worker_.counters().retries.add();
  stats_->per_worker[worker_.index()].retries.add();
  choose();
}

void TcpRelay::let_endpoint_go() {
  EndpointRecord& record = *std::exchange(record_, nullptr);
  if (worker_.access_log() != nullptr) {
    logged_task_ = record.endpoint.task;
    logged_endpoint_ = record.address_text;
  }
  EndpointState& state = record.states[worker_.index()];
  if (state_ == State::connecting || state_ == State::open) {
    lookup_.reset();
    endpoint_.stream.reset();
    --state.pool.open;
    worker_.pools().on_closed();
    worker_.counters().upstream_open.subtract();
  }
  if (state_ == State::open) tunnels().open.subtract();
  state_ = State::choosing;
  state.in_flight.subtract();
  worker_.on_endpoint_free(record);
}

// The client learns no more than that the connection ends; the log and the metrics say why.
void TcpRelay::give_up(Refusal why, std::string_view text) {
  listener_->stats->refuse(worker_.index(), why);
  if (text.data() != error_.data()) error_ = text;
  finish();
}

TunnelCounters& TcpRelay::tunnels() { return worker_.counters().tunnels[static_cast<std::size_t>(TunnelKind::tcp)]; }
EndpointState& TcpRelay::endpoint_state() { return record_->states[worker_.index()]; }

// Passing on ------------------------------------------------------------------------------------------------------

void TcpRelay::on_connected() {
  Turn turn(worker_);
  state_ = State::open;
  connect_took_ = worker_.loop().now() - connecting_since_;
  AppWorkerStats& stats = stats_->per_worker[worker_.index()];
  stats.connect.record(connect_took_);
  stats.tunnels.add();
  tunnels().total.add();
  tunnels().open.add();
  deadline_.set(worker_.config().timeouts.tunnel_idle);
  error_.clear();
  if (auto version = endpoint_state().proxy_protocol) {
    endpoint_.stream->write(net::proxy_header(*version, client_.stream->peer(), listener_->local_of(*client_.stream)));
  }
  if (hello_ != nullptr) {
    endpoint_.stream->write(hello_->bytes);
    count(client_, hello_->bytes.size());
    hello_.reset();
  }
  endpoint_.stream->start_reading();
  client_.stream->start_reading();
}

void TcpRelay::on_bytes(Side& from, std::span<const char> bytes) {
  Turn turn(worker_, Turn::Writes::may_wait);
  if (state_ == State::reading_name) return take_hello(bytes);
  count(from, bytes.size());
  net::Stream& to = *from.other.stream;
  to.write(std::string_view(bytes.data(), bytes.size()));
  if (to.queued_bytes() >= worker_.config().limits.buffer_bytes_max) return pause(from);
  if (!from.choice.is_bulk(bytes.size())) return;
  if (from.stream->splice_to(to, kSplicedToTheEnd)) from.choice.begin();
}

// What is spliced is held by a pipe that has to be empty before it takes more.
void TcpRelay::on_spliced(Side& from, std::size_t bytes) {
  Turn turn(worker_, Turn::Writes::may_wait);
  worker_.counters().spliced_bytes.add(bytes);
  count(from, bytes);
  if (from.other.stream->queued_bytes() > 0) return pause(from);
  if (from.choice.is_chatter(bytes)) from.stream->end_splice();
}

void TcpRelay::count(Side& from, std::size_t bytes) {
  from.bytes_seen += bytes;
  WorkerCounters& counters = worker_.counters();
  ListenerWorkerStats& listener = listener_->stats->per_worker[worker_.index()];
  AppWorkerStats& app = stats_->per_worker[worker_.index()];
  if (&from == &client_) {
    counters.downstream_bytes_in.add(bytes);
    listener.bytes_in.add(bytes);
    app.tunnel_bytes_in.add(bytes);
    tunnels().bytes_in.add(bytes);
  } else {
    counters.upstream_bytes_in.add(bytes);
    listener.bytes_out.add(bytes);
    app.tunnel_bytes_out.add(bytes);
    tunnels().bytes_out.add(bytes);
    if (!std::exchange(is_judged_, true)) worker_.failures().on_answer(*record_, 200);
  }
  deadline_.set(worker_.config().timeouts.tunnel_idle);
}

void TcpRelay::pause(Side& from) {
  from.is_paused = true;
  from.stalled_on = from.other.stream->undelivered_bytes();
  WorkerCounters& counters = worker_.counters();
  (&from == &client_ ? counters.request_pauses : counters.response_pauses).add();
  from.stream->stop_reading();
}

void TcpRelay::on_drained(Side& to) {
  Turn turn(worker_);
  if (std::exchange(to.other.is_paused, false)) {
    deadline_.set(worker_.config().timeouts.tunnel_idle);
    to.other.stream->start_reading();
  }
  end_if_both_have();
}

// Ending ----------------------------------------------------------------------------------------------------------

// Half-closed: the other direction goes on.
void TcpRelay::on_end(Side& from) {
  Turn turn(worker_);
  from.has_ended = true;
  if (state_ == State::reading_name) return give_up(Refusal::client_hello, "the client ended in its first message");
  if (state_ != State::open) return;
  from.other.stream->shutdown();
  if (&from == &endpoint_ && worker_.loop().now() - connecting_since_ < kTooEarly) note_lost();
  deadline_.set(worker_.config().timeouts.tunnel_idle);
  end_if_both_have();
}

// The endpoint has gone before it said a word, and the client still wanted one.
void TcpRelay::note_lost() {
  if (!client_.has_ended && !std::exchange(is_judged_, true)) worker_.failures().fail(*record_, FailureKind::gateway);
}

void TcpRelay::end_if_both_have() {
  if (state_ != State::open || !client_.has_ended || !endpoint_.has_ended) return;
  if (client_.stream->queued_bytes() > 0 || endpoint_.stream->queued_bytes() > 0) return;
  if (!std::exchange(is_judged_, true)) worker_.failures().on_answer(*record_, 200);
  finish();
}

void TcpRelay::on_error(Side& from, Error error) {
  Turn turn(worker_);
  if (state_ == State::connecting && &from == &endpoint_) return on_connect_failed(error.code);
  if (&from == &endpoint_) note_lost();
  if (state_ == State::reading_name) return give_up(Refusal::client_hello, "the client broke its first message off");
  cut(&from == &client_ ? "the client broke the connection off" : "the endpoint broke the connection off");
}

// What one side did not end must not look to the other as if it had.
void TcpRelay::cut(std::string_view why) {
  error_ = why;
  if (endpoint_.stream) endpoint_.stream->reset();
  client_.stream->reset();
  finish();
}

void TcpRelay::on_deadline() {
  switch (state_) {
    case State::reading_name:
      worker_.counters().header_timeouts.add();
      return give_up(Refusal::client_hello, "the client's first message did not come in time");
    case State::confirming:
      worker_.freshness().on_silent(*record_);
      return on_confirmation();
    case State::connecting:
      worker_.counters().connect_timeouts.add();
      return on_connect_failed(Errc::timed_out);
    case State::open:
      if (has_moved()) return deadline_.set(worker_.config().timeouts.tunnel_idle);
      worker_.counters().tunnel_timeouts.add();
      return cut("idle too long");
    case State::choosing:
    case State::closed:
      return;
  }
}

// A slow reader, but it reads: what the kernel holds for it wakes us only when a third of it has gone.
bool TcpRelay::has_moved() {
  bool has = false;
  for (Side* side : {&client_, &endpoint_}) {
    if (!side->is_paused) continue;
    const std::size_t left = side->other.stream->undelivered_bytes();
    has = left < std::exchange(side->stalled_on, left) || has;
  }
  return has;
}

// By the worker: at its stop, which is the drain's deadline.
void TcpRelay::close() {
  if (state_ != State::closed) cut("the proxy stopped");
}

void TcpRelay::free_memory() {
  worker_.counters().memory_evictions.add();
  cut("the proxy holds all the bytes it may, and this connection the most of them");
}

std::size_t TcpRelay::held_bytes() const {
  return (client_.stream ? client_.stream->queued_bytes() : 0) +
         (endpoint_.stream ? endpoint_.stream->queued_bytes() : 0) + (hello_ ? hello_->held.get() : 0);
}

void TcpRelay::finish() {
  if (record_ != nullptr) let_endpoint_go();
  state_ = State::closed;
  hello_.reset();
  ListNode<InAsking>::unlink();
  deadline_.stop();
  if (AccessLogBuffer* log = worker_.access_log()) {
    net::Address peer = client_.stream->peer();
    log->write_connection({.listener = listener_->name,
                           .client = peer.ip(),
                           .server_name = server_name_,
                           .bytes_in = client_.bytes_seen,
                           .bytes_out = endpoint_.bytes_seen,
                           .took = worker_.loop().now() - started_,
                           .connect = connect_took_,
                           .app = stats_ != nullptr ? std::string_view(stats_->app) : std::string_view(),
                           .task = logged_task_,
                           .endpoint = logged_endpoint_,
                           .attempts = attempts_,
                           .error = error_});
  }
  listener_->stats->per_worker[worker_.index()].open.subtract();
  client_.stream.reset();
  worker_.bury(*this);
}

}  // namespace lotse::proxy

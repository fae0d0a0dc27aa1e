#include "proxy/h2_upstream.h"

#include <algorithm>
#include <utility>

#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

// Servers of gRPC count pings that come without anything else as abuse: two are forgiven, more may come every five
// minutes (grpc-go and gRPC core, "too_many_pings").
constexpr int kPingsForgiven = 2;
constexpr Duration kPingIntervalMin = std::chrono::minutes(5);
constexpr const char* kBroken = "broke the rules of HTTP/2";

}  // namespace

H2Upstream::H2Upstream(Worker& worker, EndpointRecord& record)
    : H2Writer(worker),
      worker_(worker),
      record_(record),
      dialer_(worker, record, *this),
      held_(worker.memory()),
      peer_check_(worker.loop(), [this] {
        Turn turn(worker_);
        look_after_peer();
      }) {
  state().h2.add(*this);
  worker_.pools().on_opened();
}

H2Upstream::~H2Upstream() = default;

EndpointState& H2Upstream::state() { return record_.states[worker_.index()]; }

// Streams ---------------------------------------------------------------------------------------------------------

std::optional<std::size_t> H2Upstream::peer_streams_max() const { return said_streams_max_; }

std::size_t H2Upstream::streams_max() const {
  const H2Pool& pool = record_.states[worker_.index()].h2;
  return said_streams_max_ ? std::min(pool.streams_max(), *said_streams_max_) : pool.expected_streams();
}

bool H2Upstream::has_room() const {
  if (!takes_new() || stream_count_ >= streams_max()) return false;
  return state_ == State::connecting || session_->can_open();
}

UpstreamLink& H2Upstream::lend_stream(UpstreamUser& user) {
  H2UpstreamStream* stream = free_streams_.pop_front();
  if (stream == nullptr) {
    all_streams_.push_back(std::make_unique<H2UpstreamStream>(*this));
    stream = all_streams_.back().get();
  }
  open_streams_.push_back(*stream);
  ++stream_count_;
  ListNode<InIdleList>::unlink();
  stream->begin(user, is_open() && std::exchange(has_served_, true));
  if (is_open() && !peer_check_.is_set()) wait_for_peer();
  return *stream;
}

void H2Upstream::on_stream_over(H2UpstreamStream& stream) {
  stream.ListNode<InH2Touched>::unlink();
  stream.ListNode<InH2Streams>::unlink();
  free_streams_.push_back(stream);
  --stream_count_;
  worker_.on_capacity();
  if (stream_count_ == 0) after_streams();
}

// The last one is over: idle, or gone.
void H2Upstream::after_streams() {
  if (state_ == State::closed) return;
  const EndpointState& here = state();
  const bool is_wanted =
      here.state != model::EndpointState::draining && !here.is_removed && here.speaks_h2 && !worker_.is_draining();
  if (state_ == State::connecting) return close();  // nobody waits for it any more
  if (state_ == State::leaving || !is_wanted) return retire();
  peer_check_.clear();
  idle_since_ = worker_.loop().now();
  worker_.pools().watch_idle(*this);
}

// The connection --------------------------------------------------------------------------------------------------

void H2Upstream::connect() {
  peer_check_.set(worker_.config().timeouts.connect);  // exchanges have their own patience: for nobody's connection
  dialer_.dial();
}

void H2Upstream::on_connected() {
  Turn turn(worker_);
  const Config& config = worker_.config();
  http::H2Options options{.is_client = true,
                          .head_bytes_max = config.limits.http.head_bytes_max,
                          .fields_max = config.limits.http.fields_max,
                          .body_low_bytes = config.limits.buffer_bytes_max / 2};
  session_ = std::make_unique<http::H2Session>(*this, *this, options);
  state_ = State::open;
  wait_for_peer();
  stream_->start_reading();
  on_h2_unsent();  // the preface
  std::vector<H2UpstreamStream*> waiting;
  for (H2UpstreamStream* one = open_streams_.front(); one != nullptr; one = open_streams_.next(*one))
    waiting.push_back(one);
  for (H2UpstreamStream* one : waiting) {
    if (one->user() == nullptr || !one->is_waiting()) continue;
    has_served_ = true;
    one->user()->on_upstream_connected();
  }
  if (stream_count_ == 0 && state_ == State::open) after_streams();
}

void H2Upstream::on_bytes(std::span<const char> bytes) {
  Turn turn(worker_, Turn::Writes::may_wait);
  worker_.counters().upstream_bytes_in.add(bytes.size());
  heard_at_ = worker_.loop().now();
  session_->feed({bytes.data(), bytes.size()}, heard_at_);
  worker_.outbox().release_views();
  while (H2UpstreamStream* stream = touched_.pop_front()) {
    pings_without_news_ = 0;
    if (stream->user() != nullptr) stream->user()->on_upstream_read();
  }
  if (state_ == State::closed) return;
  held_.set(session_->held_bytes());
  if (session_->is_over()) fail(Errc::protocol, kBroken);
}

void H2Upstream::on_end() {
  Turn turn(worker_);
  fail(Errc::end_of_stream, "");
}

void H2Upstream::on_error(Error error) {
  Turn turn(worker_);
  fail(error.code, "");
}

void H2Upstream::on_drained() {
  Turn turn(worker_);
  if (session_) write_frames();
}

// What is over without a stream left has ended in order.
void H2Upstream::write_frames() {
  if (state_ == State::closed || !session_) return;
  flush(*session_);
  tell_refused();
  if (session_->is_over()) fail(Errc::protocol, kBroken);
}

// Those for whom no stream could be opened: each goes elsewhere.
void H2Upstream::tell_refused() {
  if (!std::exchange(has_refused_, false)) return;
  std::vector<H2UpstreamStream*> refused;
  for (H2UpstreamStream* one = open_streams_.front(); one != nullptr; one = open_streams_.next(*one)) {
    if (one->is_refused_) refused.push_back(one);
  }
  for (H2UpstreamStream* one : refused) {
    if (!one->is_refused_) continue;
    one->fail({.stage = UpstreamFailure::Stage::before_answer,
               .code = Errc::unavailable,
               .was_reused = true,
               .is_unprocessed = true,
               .reason = "takes no more streams"});
  }
}

void H2Upstream::on_h2_request(http::H2Stream& stream, std::span<const http::Field>, bool) {
  session_->reset(stream, http::H2Error::refused_stream);  // nobody pushes to us
}

void H2Upstream::on_h2_goaway(http::H2Error) {
  if (state_ != State::open) return;
  worker_.counters().upstream_goaways.add();
  state_ = State::leaving;
  ListNode<InIdleList>::unlink();
  state().h2.recount();
  worker_.on_capacity();
  if (stream_count_ == 0) on_h2_unsent();
}

void H2Upstream::on_h2_settings() {
  said_streams_max_ = session_->peer_streams_max();
  state().h2.recount();
  worker_.on_capacity();
}

void H2Upstream::retire() {
  if (state_ == State::closed) return;
  if (state_ == State::connecting) return stream_count_ == 0 ? close() : void();
  if (state_ == State::open) {
    state_ = State::leaving;
    state().h2.recount();
    session_->finish();
  }
  ListNode<InIdleList>::unlink();
  on_h2_unsent();
}

void H2Upstream::wait_for_peer() {
  waits_for_pong_ = false;
  heard_at_ = worker_.loop().now();
  const Duration patience = worker_.config().timeouts.upstream_ping;
  patience > Duration::zero() ? peer_check_.set(patience) : peer_check_.clear();
}

// A silent peer may be dead, and nothing but our own patience would ever say so.
void H2Upstream::look_after_peer() {
  if (state_ == State::connecting && stream_count_ == 0) return fail(Errc::timed_out, "");
  if (state_ == State::closed || state_ == State::connecting || stream_count_ == 0) return;
  const Duration patience = worker_.config().timeouts.upstream_ping;
  if (patience == Duration::zero()) return;
  const Instant now = worker_.loop().now();
  if (std::exchange(waits_for_pong_, false) && heard_at_ < pinged_at_) {
    worker_.counters().upstream_ping_timeouts.add();
    return fail(Errc::timed_out, "gave no sign of life");
  }
  if (now - heard_at_ < patience) return peer_check_.set(patience - (now - heard_at_));
  if (pings_without_news_ >= kPingsForgiven && now - pinged_at_ < kPingIntervalMin)
    return peer_check_.set(kPingIntervalMin - (now - pinged_at_));
  ++pings_without_news_;
  worker_.counters().upstream_pings.add();
  waits_for_pong_ = true;
  pinged_at_ = now;
  session_->ping();
  on_h2_unsent();
  peer_check_.set(patience);
}

// Ending ----------------------------------------------------------------------------------------------------------

void H2Upstream::abandon() {
  if (session_ && state_ != State::closed && stream_->queued_bytes() == 0) {
    session_->finish();
    session_->flush();
    worker_.outbox().flush();
  }
  close();
}

// The connection is lost, and with it every exchange on it.
void H2Upstream::fail(Errc code, const char* reason) {
  if (state_ == State::closed) return;
  const bool was_connecting = state_ == State::connecting;
  if (was_connecting) dialer_.on_failed();
  worker_.outbox().flush();  // a last word on why
  close();
  while (H2UpstreamStream* stream = open_streams_.front()) {
    UpstreamFailure failure{.code = code, .was_reused = stream->is_reused_, .reason = reason};
    if (!was_connecting) {
      failure.stage = stream->has_answered_ ? UpstreamFailure::Stage::in_answer : UpstreamFailure::Stage::before_answer;
    }
    stream->fail(failure);
  }
}

void H2Upstream::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  ListNode<InIdleList>::unlink();
  ListNode<InUnsent>::unlink();
  peer_check_.stop();
  if (stream_) worker_.outbox().forget(*stream_);
  stream_.reset();
  dialer_.cancel();
  state().h2.remove(*this);
  worker_.pools().on_closed();
  worker_.bury(*this);
}

}  // namespace lotse::proxy

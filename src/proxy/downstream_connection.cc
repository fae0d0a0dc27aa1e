#include "proxy/downstream_connection.h"

#include <algorithm>
#include <utility>

#include "http/h2_session.h"
#include "net/splice_pipe.h"
#include "proxy/h1_writer.h"
#include "proxy/splicing.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

using std::chrono::seconds;

constexpr Duration kBuffersKept = seconds(5);  // idle for longer: what held pipelined requests goes
constexpr Duration kLingerGap = seconds(2);    // for the client to read our last words and close, or to send more
constexpr Duration kLingerTimeAtStop = std::chrono::milliseconds(500);
constexpr std::string_view kPrefaceLine = http::kH2Preface.substr(0, 16);
constexpr Duration kDrainGrace = seconds(1);  // for a request that crosses our decision to close

}  // namespace

DownstreamConnection::DownstreamConnection(Worker& worker, std::shared_ptr<WorkerListener> listener,
                                           std::unique_ptr<net::Stream> stream)
    : worker_(worker),
      listener_(std::move(listener)),
      stream_(std::move(stream)),
      client_(make_client_info(stream_->peer(), listener_->local_of(*stream_), worker.config().http,
                               listener_->tls != nullptr)),
      parser_(*this, worker.http_limits()),
      held_(worker.memory()),
      deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {}

DownstreamConnection::~DownstreamConnection() = default;

void DownstreamConnection::start() {
  if (const net::TlsStream* tls = stream_->tls()) client_.certificate = describe_certificate(*tls);
  stream_->set_listener(this);
  may_be_h2_ = listener_->speaks_h2 && listener_->tls == nullptr;
  stream_->start_reading();
  idle_since_ = worker_.loop().now();
  deadline_.set(is_draining() ? kDrainGrace : worker_.config().timeouts.downstream_idle);
}

ClientAddresses DownstreamConnection::client_addresses() const {
  return {stream_->peer(), listener_->local_of(*stream_)};
}
std::string_view DownstreamConnection::listener_name() const { return listener_->name; }
bool DownstreamConnection::is_draining() const { return worker_.is_draining() || listener_->is_retired; }

// Reading ---------------------------------------------------------------------------------------------------------

void DownstreamConnection::on_bytes(std::span<const char> bytes) {
  Turn turn(worker_, Turn::Writes::may_wait);
  worker_.counters().downstream_bytes_in.add(bytes.size());
  if (may_be_h2_ && take_preface({bytes.data(), bytes.size()})) return;
  take_bytes({bytes.data(), bytes.size()});
  count_held();
}

// The first line of HTTP/2's preface (RFC 9113 section 3.4), of which no HTTP/1.1 request is the beginning. True: these
// bytes were taken. What turns out to be something else has begun like it, so its first bytes are known.
bool DownstreamConnection::take_preface(std::string_view bytes) {
  const std::string_view left = kPrefaceLine.substr(preface_bytes_);
  const auto same = static_cast<std::size_t>(
      std::mismatch(bytes.begin(), bytes.begin() + std::min(bytes.size(), left.size()), left.begin()).first -
      bytes.begin());
  if (same == left.size()) return become_h2(bytes.substr(same)), true;
  if (same == bytes.size()) {
    preface_bytes_ = static_cast<std::uint8_t>(preface_bytes_ + same);
    if (!std::exchange(head_deadline_set_, true)) deadline_.set(worker_.config().timeouts.header);
    return true;
  }
  may_be_h2_ = false;
  if (preface_bytes_ > 0) take_bytes(kPrefaceLine.substr(0, preface_bytes_));
  return mode_ == Mode::closed;
}

void DownstreamConnection::become_h2(std::string_view rest) {
  mode_ = Mode::closed;
  held_.set(0);
  deadline_.stop();
  worker_.admit_h2(listener_, std::move(stream_), kPrefaceLine, rest);
  worker_.bury(*this);
}

void DownstreamConnection::take_bytes(std::string_view text) {
  if (mode_ == Mode::tunnel) {
    exchange_->on_tunnel_from_downstream(text);
    splice_tunnel(text.size());
  } else if (mode_ == Mode::lingering) {
    if (stream_->queued_bytes() == 0) watch_lingering();
    return;
  } else if (waits_for_drain_ || goes_on_later_ || (exchange_ != nullptr && request_is_whole_)) {
    return stash(text);
  } else {
    std::size_t used = consume(text);
    if (mode_ == Mode::http && used < text.size()) stash(text.substr(used));
    if (mode_ == Mode::http && exchange_ == nullptr && std::exchange(rest_was_discarded_, false)) next_request();
  }
  if (exchange_ == nullptr || mode_ == Mode::closed) return;
  splice_body();
  worker_.outbox().release_views();
  exchange_->on_request_read();
}

void DownstreamConnection::splice_body() {
  const std::uint64_t left = parser_.fixed_body_left();
  if (left < kSplicedBytesMin || mode_ != Mode::http) return;
  net::Stream* endpoint = exchange_->request_socket();
  if (endpoint == nullptr) return;
  const bool is_on = stream_->splice_to(*endpoint, left);
  if (is_on) worker_.outbox().flush();  // what stands before the body; it knows now that more follows
  if (!is_on && !worker_.loop().splice_pipes().has_free()) worker_.counters().splice_refusals.add();
}

void DownstreamConnection::splice_tunnel(std::size_t bytes_read) {
  net::Stream* endpoint = tunnel_choice_.is_bulk(bytes_read) ? exchange_->request_socket() : nullptr;
  if (endpoint == nullptr || !stream_->splice_to(*endpoint, kSplicedToTheEnd)) return;
  tunnel_choice_.begin();
  worker_.outbox().flush();  // what came before
}

// The exchange is there: without it the stream that takes the bytes has gone.
void DownstreamConnection::on_spliced(std::size_t bytes) {
  Turn turn(worker_);
  worker_.counters().downstream_bytes_in.add(bytes);
  worker_.counters().spliced_bytes.add(bytes);
  if (exchange_ == nullptr) return;
  if (mode_ == Mode::tunnel) {
    exchange_->on_tunnel_spliced_from_downstream(bytes);
    if (tunnel_choice_.is_chatter(bytes)) stream_->end_splice();
    return exchange_->on_request_read();
  }
  body_bytes_read_ += bytes;
  exchange_->on_request_spliced(bytes);
  parser_.skip_body(bytes);
  exchange_->on_request_read();
}

std::size_t DownstreamConnection::consume(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && !(exchange_ != nullptr && request_is_whole_)) {
    http::FeedResult fed = parser_.feed({bytes.data() + used, bytes.size() - used});
    used += fed.consumed;
    if (mode_ != Mode::http) return used;
    if (fed.error) {
      on_parse_error(fed.error);
      return used;
    }
    if (rest_was_discarded_) return used;
    if (discarded_bytes_ > worker_.config().limits.buffer_bytes_max) return linger(), used;
  }
  if (is_discarding()) watch_discarding();
  if (exchange_ == nullptr && !head_deadline_set_ && parser_.has_partial_head()) {
    head_deadline_set_ = true;
    deadline_.set(worker_.config().timeouts.header);
  }
  return used;
}

// Pipelined requests wait for their turn, up to a bound; then the client has to wait.
void DownstreamConnection::stash(std::string_view bytes) {
  pending_.append(bytes);
  if (pending_.size() < worker_.config().limits.buffer_bytes_max) return;
  worker_.counters().request_pauses.add();
  stream_->stop_reading();
}

void DownstreamConnection::on_request_head(const http::RequestHead& head) {
  head_ = &head;  // the parser's, as it is until the next request begins
  client_closes_ = !head.keep_alive;
  head_deadline_set_ = false;
  request_is_whole_ = false;
  is_chunked_ = is_bodiless_ = was_aborted_ = ends_with_connection_ = has_sent_continue_ = false;
  body_bytes_read_ = 0;
  closes_ = !head.keep_alive;
  deadline_.clear();
  const Duration request_max = worker_.config().timeouts.request;
  if (request_max > Duration::zero() && head.has_body()) deadline_.set(request_max);
  exchange_ = worker_.new_exchange();
  exchange_->start(*this, *head_);
}

void DownstreamConnection::on_request_body(std::span<const char> bytes) {
  body_bytes_read_ += bytes.size();
  if (exchange_ != nullptr) return exchange_->on_request_body({bytes.data(), bytes.size()});
  discarded_bytes_ += bytes.size();
}

void DownstreamConnection::on_request_complete() {
  request_is_whole_ = true;
  deadline_.clear();
  if (exchange_ != nullptr) return exchange_->on_request_end(std::exchange(request_trailers_, {}));
  rest_was_discarded_ = true;
  discarded_bytes_ = 0;
}

void DownstreamConnection::resume_request() {
  if (pending_.size() - pending_offset_ < worker_.config().limits.buffer_bytes_max) stream_->start_reading();
}

void DownstreamConnection::on_parse_error(const http::ParseError& error) {
  worker_.counters().bad_requests.add();
  if (error.status == 431) worker_.counters().oversized_heads.add();
  if (error.status == 414) worker_.counters().oversized_targets.add();
  closes_ = true;
  if (exchange_ != nullptr) return exchange_->on_request_broken(error.status, error.reason);
  if (is_discarding()) return linger();  // this request has had its answer
  answer_now(error.status, error.reason);
}

// Without an exchange: there is no request to speak of. The last answer on this connection.
void DownstreamConnection::answer_now(int status, std::string_view reason) {
  worker_.count_unrouted(status);
  ResponseOut out{.status = status, .content_length = reason.size() + 1};
  http::Field type{"Content-Type", "text/plain; charset=utf-8"};
  out.fields = std::span(&type, 1);
  worker_.outbox().to(*stream_);
  write_response_head(worker_.outbox(), out, {.connection = ConnectionSays::close});
  worker_.outbox().add_text(reason);
  worker_.outbox().add_text("\n");
  if (AccessLogBuffer* log = worker_.access_log()) {
    log->write({.client = client_.ip, .status = status, .error = reason});
  }
  linger();
}

// Half-closed: a client that has sent its whole request may say so and still wait for the answer, or for the rest of
// it. One that stops in the middle of a request gets the rest of an answer that has begun.
void DownstreamConnection::on_end() {
  Turn turn(worker_);
  client_has_ended_ = true;
  if (mode_ == Mode::tunnel) return exchange_->on_tunnel_end_from_downstream();
  if (mode_ == Mode::http) {
    const bool gets_its_answer = request_is_whole_ && !worker_.config().http.abort_on_half_close;
    if (exchange_ != nullptr && (gets_its_answer || exchange_->is_answering())) return;
    if (exchange_ == nullptr && (waits_for_drain_ || goes_on_later_)) return;
    if (exchange_ == nullptr) return linger();
  }
  if (mode_ == Mode::lingering && stream_->queued_bytes() > 0) return;
  close();
}

void DownstreamConnection::on_error(Error) {
  Turn turn(worker_);
  close();
}

void DownstreamConnection::on_drained() {
  Turn turn(worker_);
  if (mode_ == Mode::lingering) return client_has_ended_ ? close() : watch_lingering();
  if (exchange_ != nullptr) return exchange_->on_downstream_drained();
  if (std::exchange(waits_for_drain_, false)) return next_request();
  idle_since_ = worker_.loop().now();  // it has read what it asked for only now
}

// Writing ---------------------------------------------------------------------------------------------------------

void DownstreamConnection::send_informational(const ResponseOut& head) {
  if (head_->minor_version == 0) return;  // it would take it for the answer (RFC 9110 section 15.2)
  has_sent_continue_ = has_sent_continue_ || head.status == 100;
  worker_.outbox().to(*stream_);
  write_response_head(worker_.outbox(), head, {});
}

void DownstreamConnection::send_head(const ResponseOut& head) {
  ResponseFraming framing;
  is_bodiless_ = head.is_bodiless;
  if (!head.is_bodiless && !head.content_length) {
    ends_with_connection_ = head_->minor_version == 0;
    framing.is_chunked = is_chunked_ = !ends_with_connection_;
  }
  closes_ = closes_ || head.closes || ends_with_connection_ || is_draining() ||
            (!request_is_whole_ && head_->has_body() && !may_discard_rest());
  if (closes_) {
    framing.connection = ConnectionSays::close;
  } else if (head_->minor_version == 0) {
    framing.connection = ConnectionSays::keep_alive;
  }
  worker_.outbox().to(*stream_);
  write_response_head(worker_.outbox(), head, framing);
}

// An answer before the end of the request: is the rest of the body short enough to be read and thrown away, for the
// sake of the connection? What is announced in chunks may be; reading it has the same bound. A client that still waits
// for a 100 may leave the body out or not (RFC 9110 section 10.1.1), so nothing can follow.
bool DownstreamConnection::may_discard_rest() const {
  if (head_->expects_continue && !has_sent_continue_ && body_bytes_read_ == 0) return false;
  return !head_->content_length ||
         *head_->content_length - body_bytes_read_ <= worker_.config().limits.buffer_bytes_max;
}

void DownstreamConnection::send_body(std::string_view bytes) {
  if (bytes.empty() || is_bodiless_) return;
  worker_.outbox().to(*stream_);
  if (is_chunked_) {
    write_chunk(worker_.outbox(), bytes);
  } else {
    worker_.outbox().add_bytes(bytes);
  }
}

void DownstreamConnection::send_end(std::span<const http::Field> trailers) {
  if (!is_chunked_) return;
  worker_.outbox().to(*stream_);
  write_last_chunk(worker_.outbox(), trailers);
}

void DownstreamConnection::send_abort() {
  was_aborted_ = true;
  closes_ = true;
}

void DownstreamConnection::start_tunnel(const ResponseOut& head) {
  mode_ = Mode::tunnel;
  worker_.outbox().to(*stream_);
  write_response_head(worker_.outbox(), head, {});
  if (pending_.size() > pending_offset_) {  // the client did not wait for the 101
    worker_.outbox().flush();
    exchange_->on_tunnel_from_downstream(std::string_view(pending_).substr(pending_offset_));
    worker_.outbox().flush();
  }
  pending_.clear();
  pending_offset_ = 0;
  stream_->start_reading();
  if (client_has_ended_) exchange_->on_tunnel_end_from_downstream();
}

void DownstreamConnection::tunnel_write(std::string_view bytes) {
  worker_.outbox().to(*stream_);
  worker_.outbox().add_bytes(bytes);
}

void DownstreamConnection::tunnel_end() {
  worker_.outbox().flush();
  stream_->shutdown();
}

// Between exchanges -----------------------------------------------------------------------------------------------

void DownstreamConnection::on_exchange_over() { worker_.finished().push_back(*this); }

void DownstreamConnection::after_exchange() {
  worker_.release(std::move(exchange_));
  head_ = nullptr;
  if (mode_ == Mode::closed) return;
  go_on();
  count_held();
}

void DownstreamConnection::go_on() {
  // A body that ends with the connection looks whole when the connection ends cleanly: so it must not.
  if (was_aborted_ && (ends_with_connection_ || mode_ == Mode::tunnel)) {
    worker_.outbox().flush();
    stream_->reset();
    return close();
  }
  if (closes_ || mode_ == Mode::tunnel) return linger();
  if (!request_is_whole_) return discard_rest();
  next_request();
}

// The answer has gone, the body of its request has not come to its end: the next request begins behind it.
void DownstreamConnection::discard_rest() {
  if (client_has_ended_) return linger();
  discarded_bytes_ = 0;
  linger_until_ = worker_.loop().now() + worker_.config().timeouts.linger;
  watch_discarding();
  stream_->start_reading();
}

// Nobody needs this body: all of it has the time that a client has that is told to go.
void DownstreamConnection::watch_discarding() {
  deadline_.set(std::min(linger_until_ - worker_.loop().now(), worker_.config().timeouts.stream_idle));
}

void DownstreamConnection::next_request() {
  if (stream_->queued_bytes() > worker_.config().limits.buffer_bytes_max) {
    waits_for_drain_ = true;
    worker_.counters().response_pauses.add();
    stalled_bytes_ = stream_->undelivered_bytes();
    return deadline_.set(worker_.config().timeouts.stream_idle);
  }
  if (pending_.size() > pending_offset_) {
    if (has_had_its_turn()) {
      goes_on_later_ = true;
      return deadline_.set(Duration::zero());
    }
    pending_offset_ += consume(std::string_view(pending_).substr(pending_offset_));
    if (mode_ != Mode::http) return;
    if (exchange_ != nullptr) {
      worker_.outbox().release_views();  // they may be of what is pending
      exchange_->on_request_read();
    }
    if (pending_offset_ == pending_.size()) {
      pending_.clear();
      pending_offset_ = 0;
    }
  }
  if (exchange_ != nullptr) {
    if (!request_is_whole_) resume_request();
    return;
  }
  if (client_has_ended_) return linger();
  stream_->start_reading();
  if (head_deadline_set_) return;
  parser_.release();
  idle_since_ = worker_.loop().now();
  stalled_bytes_ = kNotLookedAt;
  deadline_.set(is_draining() ? kDrainGrace : std::min(kBuffersKept, worker_.config().timeouts.downstream_idle));
}

// A flood of pipelined requests that we answer ourselves would have the whole turn of the loop: it gets a few answers,
// then everybody else comes first.
bool DownstreamConnection::has_had_its_turn() {
  if (std::exchange(turn_, worker_.loop().turns()) != worker_.loop().turns()) begun_in_turn_ = 0;
  return ++begun_in_turn_ > kRequestsPerTurnMax;
}

void DownstreamConnection::drain() {
  if (mode_ == Mode::http && exchange_ == nullptr && !head_deadline_set_ && !waits_for_drain_ && !goes_on_later_)
    deadline_.set(kDrainGrace);
}

// The last bytes are on their way: FIN, and then what the client still sends is thrown away until it closes. Closing at
// once would make the kernel answer those bytes with a reset, which can destroy our answer before it was read: many
// clients read only when they have sent everything.
void DownstreamConnection::linger() {
  mode_ = Mode::lingering;
  goes_on_later_ = false;
  worker_.outbox().flush();  // it may refer to what is given back now
  // A client that has said so sends nothing more: nothing can meet a closed socket and cost it our answer. TLS has its
  // own goodbye, which shutdown() says.
  const bool is_last = client_closes_ && request_is_whole_ && pending_.empty() && client_.scheme == "http";
  if (is_last && stream_->queued_bytes() == 0) return close();
  give_back(pending_);
  pending_offset_ = 0;
  if (exchange_ == nullptr) parser_.discard();
  stream_->shutdown();
  const bool is_queued = stream_->queued_bytes() > 0;
  if (client_has_ended_ && !is_queued) return close();
  stream_->start_reading();
  linger_until_ = worker_.loop().now() + (worker_.is_draining() ? kLingerTimeAtStop : worker_.config().timeouts.linger);
  if (!is_queued) return watch_lingering();
  stalled_bytes_ = stream_->undelivered_bytes();
  deadline_.set(worker_.config().timeouts.stream_idle);
}

void DownstreamConnection::watch_lingering() {
  Duration left = linger_until_ - worker_.loop().now();
  if (left > Duration::zero()) return deadline_.set(std::min(left, kLingerGap));
  worker_.counters().linger_timeouts.add();
  close();
}

void DownstreamConnection::close() {
  if (mode_ == Mode::closed) return;
  mode_ = Mode::closed;
  worker_.outbox().forget(*stream_);
  if (exchange_ != nullptr) exchange_->on_downstream_gone();
  stream_.reset();
  held_.set(0);
  deadline_.stop();
  worker_.bury(*this);
}

// Too late --------------------------------------------------------------------------------------------------------

void DownstreamConnection::on_deadline() {
  if (mode_ == Mode::closed) return;
  if (exchange_ != nullptr) return on_request_deadline();
  if (std::exchange(goes_on_later_, false)) return next_request(), count_held();
  if (is_delivering()) return deadline_.set(worker_.config().timeouts.stream_idle);
  if (mode_ == Mode::lingering) {
    if (worker_.loop().now() >= linger_until_) worker_.counters().linger_timeouts.add();
    return close();
  }
  if (waits_for_drain_) {
    worker_.counters().stream_timeouts.add();
    return close();
  }
  if (head_deadline_set_) {
    worker_.counters().header_timeouts.add();
    return on_parse_error({.status = 408, .reason = "the request head did not come in time"});
  }
  if (is_discarding()) {
    worker_.counters().stream_timeouts.add();
    return linger();
  }
  on_idle_deadline();
}

// Slow, but it reads what we have for it.
bool DownstreamConnection::is_delivering() {
  if (stream_->queued_bytes() == 0 || head_deadline_set_ || is_discarding()) return false;
  const std::size_t left = stream_->undelivered_bytes();
  return left < std::exchange(stalled_bytes_, left);
}

void DownstreamConnection::on_idle_deadline() {
  const bool is_stuck = stream_->queued_bytes() > 0;
  Duration idle = worker_.loop().now() - idle_since_, idle_max = worker_.config().timeouts.downstream_idle;
  if (is_stuck || idle >= idle_max || is_draining()) {
    (is_stuck ? worker_.counters().stream_timeouts : worker_.counters().idle_timeouts).add();
    return close();
  }
  give_back_buffers();
  deadline_.set(idle_max - idle);
}

// The body trickles: each piece was in time, but not the whole (timeouts.request).
void DownstreamConnection::on_request_deadline() {
  if (mode_ != Mode::http || request_is_whole_ || exchange_->is_over()) return;
  worker_.counters().request_timeouts.add();
  closes_ = true;
  exchange_->on_request_broken(408, "the request did not come in time");
}

// Memory ----------------------------------------------------------------------------------------------------------

void DownstreamConnection::count_held() {
  if (mode_ == Mode::closed) return held_.set(0);
  held_.set(parser_.buffered_bytes() + heap_bytes(pending_) + (exchange_ != nullptr ? exchange_->held_bytes() : 0));
}

void DownstreamConnection::give_back_buffers() {
  parser_.release();
  give_back(pending_);
  pending_offset_ = 0;
  count_held();
}

void DownstreamConnection::free_memory() {
  constexpr std::string_view kWhy = "the proxy holds all the bytes it may, and this connection the most of them";
  const bool is_idle =
      mode_ == Mode::http && exchange_ == nullptr && !head_deadline_set_ && !is_discarding() && pending_.empty();
  const bool has_unsent = stream_->queued_bytes() > 0;
  if (is_idle && !has_unsent) return give_back_buffers();
  worker_.counters().memory_evictions.add();
  if (mode_ == Mode::http && !has_unsent) {
    closes_ = true;
    if (exchange_ == nullptr) {
      is_discarding() ? linger() : answer_now(503, kWhy);
      return count_held();
    }
    if (exchange_->refuse(kWhy)) return;
  }
  stream_->reset();
  close();
}

}  // namespace lotse::proxy

#include "proxy/h2_downstream.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "proxy/h2_downstream_stream.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

using http::H2Error;
using std::chrono::seconds;

constexpr Duration kLingerGap = seconds(2);   // for the client to read our last words and close
constexpr Duration kDrainGrace = seconds(1);  // for streams that cross our decision to close
constexpr std::size_t kSparesMax = 256;       // streams of the thread that wait for their next request

thread_local std::vector<std::unique_ptr<H2DownstreamStream>> spares;

http::H2Options options_of(const Config& config) {
  const LimitsConfig& limits = config.limits;
  return {.streams_max = static_cast<std::uint32_t>(limits.h2_streams_max),
          .stream_window_bytes = static_cast<std::uint32_t>(limits.h2_stream_window_bytes),
          .connection_window_bytes = static_cast<std::uint32_t>(limits.h2_connection_window_bytes),
          .header_table_bytes = static_cast<std::uint32_t>(limits.h2_header_table_bytes),
          .head_bytes_max = limits.http.head_bytes_max,
          .fields_max = limits.http.fields_max,
          .continuations_max = static_cast<std::size_t>(limits.h2_continuations_max),
          .body_low_bytes = limits.buffer_bytes_max / 2,
          .takes_extended_connect = true,
          .floods = {.resets_max = limits.h2_resets_max,
                     .pings_max = limits.h2_pings_max,
                     .settings_max = limits.h2_settings_max,
                     .window_updates_max = limits.h2_window_updates_max,
                     .empty_frames_max = limits.h2_empty_frames_max,
                     .other_frames_max = limits.h2_other_frames_max}};
}

}  // namespace

H2Downstream::H2Downstream(Worker& worker, std::shared_ptr<WorkerListener> listener,
                           std::unique_ptr<net::Stream> stream)
    : H2Writer(worker),
      worker_(worker),
      listener_(std::move(listener)),
      stream_(std::move(stream)),
      client_(make_client_info(stream_->peer(), listener_->local_of(*stream_), worker.config().http,
                               listener_->tls != nullptr)),
      session_(*this, *this, options_of(worker.config())),
      held_(worker.memory()),
      deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {}

H2Downstream::~H2Downstream() = default;

void H2Downstream::start(std::string_view first_bytes, std::string_view next_bytes) {
  worker_.counters().h2_connections.add();
  if (const net::TlsStream* tls = stream_->tls()) client_.certificate = describe_certificate(*tls);
  stream_->set_listener(this);
  stream_->start_reading();
  idle_since_ = worker_.loop().now();
  on_h2_unsent();  // our SETTINGS
  feed(first_bytes);
  feed(next_bytes);
}

std::string_view H2Downstream::listener_name() const { return listener_->name; }

ClientAddresses H2Downstream::client_addresses() const {
  if (!stream_) return {};
  return {stream_->peer(), listener_->local_of(*stream_)};
}

// Reading ---------------------------------------------------------------------------------------------------------

void H2Downstream::on_bytes(std::span<const char> bytes) {
  Turn turn(worker_, Turn::Writes::may_wait);
  worker_.counters().downstream_bytes_in.add(bytes.size());
  feed({bytes.data(), bytes.size()});
}

void H2Downstream::feed(std::string_view bytes) {
  if (mode_ != Mode::open) return;
  if (!bytes.empty()) session_.feed(bytes, worker_.loop().now());
  after_reading();
}

void H2Downstream::after_reading() {
  worker_.outbox().release_views();
  for (std::size_t i = 0; i < touched_.size(); ++i) {
    touched_[i]->is_touched = false;
    touched_[i]->on_request_read();
  }
  touched_.clear();
  if (mode_ != Mode::open) return;
  if (session_.is_over()) on_h2_unsent();
  arm();
  count_held();
}

void H2Downstream::on_h2_request(http::H2Stream& stream, std::span<const http::Field> fields, bool ends) {
  worker_.counters().h2_streams.add();
  std::unique_ptr<H2DownstreamStream> one;
  if (spares.empty()) {
    one = std::make_unique<H2DownstreamStream>();
  } else {
    one = std::move(spares.back());
    spares.pop_back();
  }
  one->index = streams_.size();
  streams_.push_back(std::move(one));
  streams_.back()->start(*this, stream, fields, ends);
}

void H2Downstream::on_h2_stream_error(H2Error) { worker_.counters().h2_stream_errors.add(); }

void H2Downstream::on_h2_answered_early() {
  if (answered_until_ != Instant::max()) return;
  answered_until_ = worker_.loop().now() + kLingerGap;
  deadline_.set(kLingerGap);
}

void H2Downstream::touch(H2DownstreamStream& stream) {
  if (!std::exchange(stream.is_touched, true)) touched_.push_back(&stream);
}

void H2Downstream::release(H2DownstreamStream& stream) {
  if (stream.is_touched) std::erase(touched_, &stream);
  const std::size_t place = stream.index;
  auto one = std::move(streams_[place]);
  if (place + 1 < streams_.size()) {
    streams_[place] = std::move(streams_.back());
    streams_[place]->index = place;
  }
  streams_.pop_back();
  one->recycle();
  if (spares.size() < kSparesMax) spares.push_back(std::move(one));
  if (!streams_.empty() || mode_ != Mode::open) return;
  idle_since_ = worker_.loop().now();
  on_h2_unsent();  // it may have been the last that a GOAWAY waited for
  arm();
}

// A client that has closed its side reads no answer: HTTP/2 knows no half of a connection.
void H2Downstream::on_end() {
  Turn turn(worker_);
  close();
}

void H2Downstream::on_error(Error) {
  Turn turn(worker_);
  close();
}

// Writing ---------------------------------------------------------------------------------------------------------

void H2Downstream::on_drained() {
  Turn turn(worker_);
  if (mode_ == Mode::lingering) return linger();
  write_frames();
}

void H2Downstream::write_frames() {
  if (mode_ != Mode::open) return;
  const bool is_all = flush(session_);
  if (mode_ != Mode::open || !is_all) return;
  if (session_.is_over()) linger();
}

// All is said. What the client still sends is thrown away until it closes: closing at once would make the kernel answer
// those bytes with a reset, which can destroy our last words before they were read.
void H2Downstream::linger() {
  const Instant now = worker_.loop().now();
  if (mode_ == Mode::open) {
    count_end();
    worker_.outbox().flush();
    mode_ = Mode::lingering;
    give_streams_up();
    stream_->shutdown();
    stream_->start_reading();
    linger_until_ = now + worker_.config().timeouts.linger;
  }
  const Duration most = stream_->queued_bytes() > 0 ? worker_.config().timeouts.stream_idle : kLingerGap;
  deadline_.set(std::clamp(linger_until_ - now, Duration::zero(), most));
  count_held();
}

void H2Downstream::give_streams_up() {
  session_.close_streams(H2Error::cancel);
  for (const auto& one : streams_) one->on_connection_lost();
}

void H2Downstream::count_end() {
  WorkerCounters& counters = worker_.counters();
  if (auto flood = session_.flood()) counters.h2_floods[static_cast<std::size_t>(*flood)].add();
  if (session_.error() == H2Error::no_error) return;
  counters.h2_connection_errors.add();
  log::debug("proxy", "HTTP/2 connection of {} ended with {}", client_.ip, to_string(session_.error()));
}

void H2Downstream::close() {
  if (mode_ == Mode::closed) return;
  if (mode_ == Mode::open) count_end();
  mode_ = Mode::closed;
  worker_.outbox().forget(*stream_);
  give_streams_up();
  ListNode<InUnsent>::unlink();
  stream_.reset();
  held_.set(0);
  deadline_.stop();
  worker_.bury(*this);
}

// Too late --------------------------------------------------------------------------------------------------------

// One deadline for all: the rest of a head, the next step of a goodbye, the next request, and whether the client still
// reads. Streams with an exchange have that exchange's deadlines.
void H2Downstream::arm() {
  const Instant now = worker_.loop().now();
  const TimeoutsConfig& timeouts = worker_.config().timeouts;
  if (!session_.has_partial_block()) {
    head_deadline_set_ = false;
  } else if (!std::exchange(head_deadline_set_, true)) {
    head_until_ = now + timeouts.header;
  }
  Instant due = streams_.empty() ? idle_since_ + timeouts.downstream_idle : now + timeouts.stream_idle;
  if (head_deadline_set_) due = std::min(due, head_until_);
  if (goodbye_ == Goodbye::announced) due = std::min(due, goodbye_at_);
  due = std::min(due, answered_until_);
  deadline_.set(std::max(due - now, Duration::zero()));
}

void H2Downstream::on_deadline() {
  if (mode_ == Mode::closed) return;
  const Instant now = worker_.loop().now();
  if (mode_ == Mode::lingering) {
    if (now >= linger_until_) worker_.counters().linger_timeouts.add();
    return close();
  }
  if (head_deadline_set_ && now >= head_until_) {
    worker_.counters().header_timeouts.add();
    session_.end(H2Error::enhance_your_calm);
    return write_frames();
  }
  if (now >= answered_until_) {
    answered_until_ = Instant::max();
    session_.reset_answered();
  }
  if (goodbye_ == Goodbye::announced && now >= goodbye_at_) {
    goodbye_ = Goodbye::said;
    session_.finish();
  } else if (streams_.empty() && now - idle_since_ >= worker_.config().timeouts.downstream_idle) {
    if (stream_->queued_bytes() > 0) {
      worker_.counters().stream_timeouts.add();
      return close();
    }
    worker_.counters().idle_timeouts.add();
    session_.finish();
    write_frames();
    if (mode_ == Mode::open) close();
    return;
  } else if (!streams_.empty() && is_stuck()) {
    worker_.counters().stream_timeouts.add();
    stream_->reset();
    return close();
  }
  arm();
}

// Answers wait, no exchange has to do with them any more, and since we last looked the client has taken nothing.
bool H2Downstream::is_stuck() {
  const Instant now = worker_.loop().now();
  if (now - looked_at_ < worker_.config().timeouts.stream_idle) return false;
  const std::size_t undelivered = stream_->undelivered_bytes();
  const bool has_moved = std::exchange(data_frames_seen_, session_.data_frames_sent()) != session_.data_frames_sent() ||
                         undelivered < undelivered_seen_ || looked_at_ == Instant{};
  undelivered_seen_ = undelivered;
  looked_at_ = now;
  return !has_moved &&
         std::none_of(streams_.begin(), streams_.end(), [](const auto& one) { return one->is_exchanging(); });
}

// In two steps, so that no stream of a client that does not know yet is refused (RFC 9113 section 6.8).
void H2Downstream::drain() {
  if (mode_ != Mode::open || goodbye_ != Goodbye::none) return;
  goodbye_ = Goodbye::announced;
  goodbye_at_ = worker_.loop().now() + kDrainGrace;
  session_.announce_end();
  arm();
}

// Memory ----------------------------------------------------------------------------------------------------------

std::size_t H2Downstream::held_bytes() const {
  std::size_t bytes = held_.get() + (stream_ ? stream_->queued_bytes() : 0);
  for (const auto& one : streams_) bytes += one->queued_bytes_upstream();
  return bytes;
}

void H2Downstream::count_held() {
  if (mode_ != Mode::open) return held_.set(0);
  std::size_t bytes = session_.held_bytes();
  for (const auto& one : streams_) bytes += one->held_bytes();
  held_.set(bytes);
}

void H2Downstream::free_memory() {
  worker_.counters().memory_evictions.add();
  if (mode_ != Mode::open || stream_->queued_bytes() > 0) {
    if (stream_) stream_->reset();
    return close();
  }
  give_streams_up();
  session_.end(H2Error::enhance_your_calm);
  write_frames();
  if (mode_ == Mode::open) close();
}

}  // namespace lotse::proxy

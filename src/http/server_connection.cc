#include "http/server_connection.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <array>
#include <ctime>
#include <iterator>

#include "http/head_scanner.h"
#include "http/message.h"
#include "http/text.h"
#include "net/loop.h"

namespace lotse::http {

namespace {

constexpr std::size_t kKeptBytesMax = 64 * 1024;             // of pipelined requests; then we stop reading
constexpr std::size_t kAnswersQueuedBytesMax = 1024 * 1024;  // to a peer that does not read; then no next request
constexpr Duration kLingerTime = std::chrono::seconds(2);
const Limits kLimits;

// RFC 9110 section 5.6.7.
void append_date(std::string& out, WallTime now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  fmt::format_to(std::back_inserter(out), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                 kDays[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                 kMonths[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                 parts.tm_sec);
}

// A handler that copies input into a field must not be able to write a second head.
bool is_clean_field(std::string_view name, std::string_view value) {
  return is_token(name) && find_control(value.data(), value.data() + value.size()) == value.data() + value.size();
}

bool forbids_body(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

// The stream that a handler holds. The connection clears `connection` when it closes first.
class ServerBody final : public ServerStream {
 public:
  struct Callbacks {
    std::function<void()> on_drained, on_closed;
  };
  explicit ServerBody(ServerConnection* connection)
      : connection_(connection), callbacks_(std::make_shared<Callbacks>()) {}
  ~ServerBody() override {
    if (connection_ != nullptr) connection_->end_stream();
  }

  bool write(std::string_view bytes) override { return connection_ != nullptr && connection_->write_to_stream(bytes); }
  std::size_t queued_bytes() const override { return connection_ != nullptr ? connection_->queued_bytes() : 0; }
  bool is_open() const override { return connection_ != nullptr; }
  void set_callbacks(std::function<void()> on_drained, std::function<void()> on_closed) override {
    *callbacks_ = {std::move(on_drained), std::move(on_closed)};
  }

  void detach() { connection_ = nullptr; }
  void tell_drained() {  // a callback may destroy us: nothing of ours is touched after it
    const std::shared_ptr<Callbacks> callbacks = callbacks_;
    if (callbacks->on_drained) callbacks->on_drained();
  }
  // From the loop, because this may come from inside the user's own write().
  void tell_closed_later(net::Loop& loop) {
    loop.defer([weak = std::weak_ptr<Callbacks>(callbacks_)] {
      const std::shared_ptr<Callbacks> callbacks = weak.lock();
      if (callbacks && callbacks->on_closed) callbacks->on_closed();
    });
  }

 private:
  ServerConnection* connection_;
  std::shared_ptr<Callbacks> callbacks_;
};

// Responder -------------------------------------------------------------------------------------------------------

Responder::Sink::~Sink() {
  if (is_used) return;
  if (const auto alive = connection.lock())
    alive->respond(exchange, {.status = 500, .body = R"({"message":"no answer"})"});
}

Responder::~Responder() = default;

void Responder::respond(ServerResponse response) {
  if (!sink_) return;
  const std::shared_ptr<Sink> sink = std::move(sink_);
  sink->is_used = true;
  if (const auto alive = sink->connection.lock()) alive->respond(sink->exchange, std::move(response));
}

std::unique_ptr<ServerStream> Responder::stream(StreamOptions options) {
  const std::shared_ptr<Sink> sink = std::move(sink_);
  const auto alive = sink ? sink->connection.lock() : nullptr;
  if (sink) sink->is_used = true;
  if (!alive) return std::make_unique<ServerBody>(nullptr);
  return alive->begin_stream(sink->exchange, std::move(options));
}

bool Responder::is_gone() const {
  const auto alive = sink_ ? sink_->connection.lock() : nullptr;
  return !alive || !alive->is_answerable(sink_->exchange);
}

// Connection ------------------------------------------------------------------------------------------------------

ServerConnection::ServerConnection(ServerConnectionOwner& owner, std::unique_ptr<net::Stream> stream)
    : owner_(owner),
      stream_(std::move(stream)),
      parser_(*this, kLimits),
      timer_(owner.loop().timers(), [this] { on_timer(); }) {}

void ServerConnection::start() {
  stream_->set_listener(this);
  stream_->start_reading();
  update_timer();
}

void ServerConnection::close() {
  if (state_ == State::closed) return;
  const auto self = shared_from_this();
  const bool was_streaming = std::exchange(state_, State::closed) == State::streaming;
  timer_.stop();
  stream_.reset();
  owner_.forget(*this);
  if (!was_streaming || body_ == nullptr) return;
  ServerBody* const body = std::exchange(body_, nullptr);
  body->detach();
  body->tell_closed_later(owner_.loop());
}

void ServerConnection::close_if_idle() {
  if (state_ == State::reading && exchange_ > 0 && parser_.is_between_messages() && stream_->queued_bytes() == 0 &&
      kept_.empty()) {
    close();
  }
}

// Reading ---------------------------------------------------------------------------------------------------------

void ServerConnection::on_bytes(std::span<const char> bytes) {
  const auto self = shared_from_this();
  if (state_ == State::lingering) return;  // whatever it is, the peer has been told that we close
  if (!may_take_request() || !kept_.empty()) return keep(bytes);
  read_on(bytes);
}

bool ServerConnection::may_take_request() const {
  return state_ == State::reading && stream_->queued_bytes() <= kAnswersQueuedBytesMax;
}

void ServerConnection::read_on(std::span<const char> bytes) {
  is_reading_on_ = true;
  while (!bytes.empty() && may_take_request()) {
    const FeedResult result = parser_.feed(bytes);
    bytes = bytes.subspan(result.consumed);
    unread_bytes_ = bytes.size();
    if (result.error) {
      refuse(result.error.status, result.error.reason);
    } else if (refusal_ != 0) {
      refuse(refusal_, "request body larger than allowed");
    } else if (result.message_complete) {
      dispatch();
    }
  }
  is_reading_on_ = false;
  unread_bytes_ = 0;
  if (state_ == State::closed || state_ == State::lingering) return;
  if (!bytes.empty()) keep(bytes);
  update_timer();
}

void ServerConnection::keep(std::span<const char> bytes) {
  kept_.append(bytes.data(), bytes.size());
  if (kept_.size() >= kKeptBytesMax) stream_->stop_reading();
}

void ServerConnection::take_kept_later() {
  owner_.loop().defer([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->take_kept();
  });
}

void ServerConnection::take_kept() {
  if (!may_take_request() || is_reading_on_) return;
  const std::string bytes = std::exchange(kept_, {});
  if (!bytes.empty()) read_on(bytes);
  if (state_ == State::closed || state_ == State::lingering) return;
  if (kept_.size() < kKeptBytesMax) stream_->start_reading();
  if (peer_has_ended_ && state_ == State::reading && kept_.empty()) linger();
}

void ServerConnection::on_request_head(const RequestHead& head) {
  request_ = ServerRequest{};
  request_.method = head.method_text;
  request_.path = head.path;
  request_.query = head.query;
  request_.parameters = parse_query(head.query);
  request_.fields.reserve(head.fields.size());
  for (const Field& field : head.fields) request_.fields.emplace_back(field.name, field.value);
  request_.peer = stream_->peer();
  keep_alive_ = head.keep_alive;
  is_head_request_ = head.method == Method::head;
  is_http_1_0_ = head.minor_version == 0;
  if (head.content_length.value_or(0) > owner_.options().body_bytes_max) {
    refusal_ = 413;
    parser_.pause();
    return;
  }
  if (head.expects_continue && head.has_body()) stream_->write("HTTP/1.1 100 Continue\r\n\r\n");
}

void ServerConnection::on_request_body(std::span<const char> bytes) {
  if (request_.body.size() + bytes.size() > owner_.options().body_bytes_max) {
    refusal_ = 413;
    parser_.pause();
    return;
  }
  request_.body.append(bytes.data(), bytes.size());
}

void ServerConnection::on_end() {
  const auto self = shared_from_this();
  peer_has_ended_ = true;
  switch (state_) {
    case State::answering:
      return;  // `printf ... | nc`: it waits for the answer
    case State::lingering:
      if (stream_->queued_bytes() == 0) close();
      return;
    case State::reading:
      if (kept_.empty()) linger();
      return;
    case State::streaming:  // nobody half-closes a subscription: the peer has gone
    case State::closed:
      return close();
  }
}

void ServerConnection::on_error(Error) { close(); }

void ServerConnection::on_drained() {
  const auto self = shared_from_this();
  switch (state_) {
    case State::streaming:
      if (body_ != nullptr) body_->tell_drained();
      return;
    case State::lingering:
      if (peer_has_ended_) return close();
      return wait_for(Wait::linger, kLingerTime);
    case State::reading:
      take_kept();
      if (state_ == State::reading) update_timer();
      return;
    case State::answering:
    case State::closed:
      return;
  }
}

// Answering -------------------------------------------------------------------------------------------------------

void ServerConnection::dispatch() {
  state_ = State::answering;
  ++exchange_;
  timer_.stop();
  wait_ = Wait::none;
  ServerRequest request = std::move(request_);
  auto sink = std::make_shared<Responder::Sink>(weak_from_this(), exchange_);
  owner_.router().dispatch(request, Responder(std::move(sink)));
}

void ServerConnection::respond(std::uint64_t exchange, ServerResponse response) {
  if (!is_answerable(exchange)) return;
  const auto self = shared_from_this();
  if (response.status < 200 || response.status > 599) response = {.status = 500, .body = R"({"message":"bad status"})"};
  const bool has_no_body = forbids_body(response.status);
  if (has_no_body) response.body.clear();
  write_head(response.status, response.fields, response.body.empty() ? "" : response.content_type,
             has_no_body ? "" : fmt::format("Content-Length: {}\r\n", response.body.size()));
  const std::array<std::string_view, 2> pieces = {head_, is_head_request_ ? "" : std::string_view(response.body)};
  stream_->write(pieces);
  end_answer();
}

void ServerConnection::write_head(int status, const Fields& fields, std::string_view content_type,
                                  std::string_view framing) {
  if (owner_.is_draining() || (peer_has_ended_ && kept_.empty() && unread_bytes_ == 0)) keep_alive_ = false;
  auto out = std::back_inserter(head_);
  head_.clear();
  fmt::format_to(out, "HTTP/1.1 {} {}\r\n", status, reason_of(status));
  append_date(head_, owner_.loop().clock().wall());
  if (!content_type.empty() && is_clean_field("Content-Type", content_type))
    fmt::format_to(out, "Content-Type: {}\r\n", content_type);
  head_ += framing;
  for (const Fields* list : {&fields, &owner_.options().common_fields}) {
    for (const auto& [name, value] : *list) {
      if (is_clean_field(name, value)) fmt::format_to(out, "{}: {}\r\n", name, value);
    }
  }
  if (!keep_alive_) {
    head_ += "Connection: close\r\n";
  } else if (is_http_1_0_) {
    head_ += "Connection: keep-alive\r\n";
  }
  head_ += "\r\n";
}

void ServerConnection::refuse(int status, std::string_view reason) {
  state_ = State::answering;
  ++exchange_;
  keep_alive_ = false;
  is_head_request_ = false;
  respond(exchange_, {.status = status, .body = fmt::format(R"({{"message":"{}"}})", reason)});
}

void ServerConnection::end_answer() {
  if (!keep_alive_) return linger();
  state_ = State::reading;
  if (is_reading_on_) return;
  update_timer();
  take_kept_later();
}

// FIN, then wait for the peer's: closing with its bytes unread would reset the connection under our answer.
void ServerConnection::linger() {
  state_ = State::lingering;
  kept_ = std::string();
  if (peer_has_ended_ && stream_->queued_bytes() == 0) return close();
  stream_->shutdown();
  stream_->start_reading();
  if (stream_->queued_bytes() > 0) {
    queued_at_last_look_ = stream_->queued_bytes();
    wait_for(Wait::writing, owner_.options().idle_timeout);
  } else {
    wait_for(Wait::linger, kLingerTime);
  }
}

// Streaming -------------------------------------------------------------------------------------------------------

std::unique_ptr<ServerStream> ServerConnection::begin_stream(std::uint64_t exchange, StreamOptions options) {
  if (!is_answerable(exchange)) return std::make_unique<ServerBody>(nullptr);
  const auto self = shared_from_this();
  is_chunking_ = !is_http_1_0_;
  if (!is_chunking_) keep_alive_ = false;
  if (forbids_body(options.status)) options.status = 200;
  write_head(options.status, options.fields, options.content_type,
             is_chunking_ ? "Transfer-Encoding: chunked\r\n" : "");
  stream_->write(head_);
  if (is_head_request_) {
    end_answer();
    return std::make_unique<ServerBody>(nullptr);
  }
  state_ = State::streaming;
  stream_queue_bytes_max_ = options.queue_bytes_max;
  stream_->start_reading();  // to hear of the peer's end
  auto body = std::make_unique<ServerBody>(this);
  body_ = body.get();
  return body;
}

bool ServerConnection::write_to_stream(std::string_view bytes) {
  if (bytes.empty()) return true;
  if (is_chunking_) {
    std::array<char, 20> line;
    const auto end = fmt::format_to(line.data(), "{:x}\r\n", bytes.size());
    const std::array<std::string_view, 3> pieces = {
        std::string_view(line.data(), static_cast<std::size_t>(end - line.data())), bytes, "\r\n"};
    stream_->write(pieces);
  } else {
    stream_->write(bytes);
  }
  if (stream_->queued_bytes() <= stream_queue_bytes_max_) return true;
  stream_->reset();  // a subscriber that lags: it must see that its stream was cut off
  close();
  return false;
}

void ServerConnection::end_stream() {
  const auto self = shared_from_this();
  body_ = nullptr;
  if (is_chunking_) stream_->write("0\r\n\r\n");
  end_answer();
}

// Waiting ---------------------------------------------------------------------------------------------------------

// Timers are set when what we wait for changes, so a peer that drips bytes gains no time.
void ServerConnection::update_timer() {
  if (state_ != State::reading) return;
  const Server::Options& options = owner_.options();
  if (stream_->queued_bytes() > 0) {
    queued_at_last_look_ = stream_->queued_bytes();
    wait_for(Wait::writing, options.idle_timeout);
  } else if (parser_.is_between_messages()) {
    parser_.release();
    wait_for(Wait::idle, options.idle_timeout);
  } else if (parser_.has_partial_head()) {
    if (wait_ != Wait::head) wait_for(Wait::head, options.header_timeout);
  } else if (wait_ != Wait::body) {
    wait_for(Wait::body, options.body_timeout);
  }
}

void ServerConnection::wait_for(Wait wait, Duration delay) {
  wait_ = wait;
  timer_.start(delay);
}

void ServerConnection::on_timer() {
  const auto self = shared_from_this();
  switch (std::exchange(wait_, Wait::none)) {
    case Wait::head:
      return refuse(408, "the request head took too long");
    case Wait::body:
      return refuse(408, "the request body took too long");
    case Wait::writing:
      if (stream_->queued_bytes() < queued_at_last_look_) {  // slow, but reading
        queued_at_last_look_ = stream_->queued_bytes();
        return wait_for(Wait::writing, owner_.options().idle_timeout);
      }
      return close();
    case Wait::idle:
    case Wait::linger:
      return close();
    case Wait::none:
      return;
  }
}

}  // namespace lotse::http

#include "http/client_connection.h"

#include <array>

#include "http/client_pool.h"
#include "net/loop.h"

namespace lotse::http {

namespace {
const Limits kLimits;
}

ClientConnection::ClientConnection(ClientPool& pool, Endpoint endpoint)
    : pool_(pool), endpoint_(std::move(endpoint)), parser_(*this, kLimits), idle_timer_(pool.loop().timers(), [this] {
        const auto self = shared_from_this();
        pool_.remove(*this);
        close();
      }) {}

void ClientConnection::connect(const net::Address& address, ClientConnectionUser& user) {
  user_ = &user;
  stream_ = net::connect(pool_.loop(), address, *this);
}

void ClientConnection::take(ClientConnectionUser& user) {
  idle_timer_.stop();
  user_ = &user;
}

void ClientConnection::rest(Duration idle_timeout) {
  parser_.release();
  idle_timer_.start(idle_timeout);
}

void ClientConnection::send(Method method, std::string_view head, std::string_view body) {
  has_answered_ = false;
  parser_.expect(method);
  const std::array<std::string_view, 2> pieces = {head, body};
  stream_->write(pieces);
}

void ClientConnection::pause() {
  if (!stream_) return;
  is_paused_ = true;
  parser_.pause();
  stream_->stop_reading();
}

void ClientConnection::resume() {
  if (!stream_ || !std::exchange(is_paused_, false)) return;
  if (kept_.empty()) return stream_->start_reading();
  pool_.loop().defer([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || !self->stream_ || self->is_paused_) return;
    const std::string bytes = std::exchange(self->kept_, {});
    self->read_on(bytes);
    if (self->stream_ && !self->is_paused_) self->stream_->start_reading();
  });
}

void ClientConnection::close() {
  user_ = nullptr;
  is_paused_ = true;
  parser_.pause();  // the callback we may be in is the last one
  idle_timer_.stop();
  stream_.reset();
  kept_ = std::string();
}

void ClientConnection::on_connected() {
  const auto self = shared_from_this();
  is_connected_ = true;
  stream_->start_reading();
  user_->on_connected();
}

void ClientConnection::on_bytes(std::span<const char> bytes) {
  const auto self = shared_from_this();
  if (user_ == nullptr) {  // bytes that nobody asked for: what comes after them cannot be trusted
    pool_.remove(*this);
    return close();
  }
  if (is_paused_ || !kept_.empty()) {
    kept_.append(bytes.data(), bytes.size());
    return;
  }
  read_on(bytes);
}

void ClientConnection::read_on(std::span<const char> bytes) {
  has_answered_ = true;
  while (stream_ && !is_paused_ && !bytes.empty()) {
    const FeedResult result = parser_.feed(bytes);
    if (!stream_) return;  // a callback ended it
    bytes = bytes.subspan(result.consumed);
    if (result.error) return fail({.code = Errc::protocol, .origin = Origin::upstream});
    // Bytes after the answer, or an answer before the request was sent whole: do not reuse (PROXY.md "Posture" 11).
    if (result.message_complete) return complete(is_kept_alive_ && bytes.empty() && stream_->queued_bytes() == 0);
  }
  if (stream_ && !bytes.empty()) kept_.assign(bytes.data(), bytes.size());
}

void ClientConnection::on_response_head(const ResponseHead& head) {
  if (head.status < 200) return;
  is_kept_alive_ = head.keep_alive;
  user_->on_response_head(head);
}

void ClientConnection::on_response_body(std::span<const char> bytes) {
  if (user_ != nullptr) user_->on_response_body({bytes.data(), bytes.size()});
}

void ClientConnection::complete(bool is_reusable) {
  ClientConnectionUser* const user = std::exchange(user_, nullptr);
  is_paused_ = false;
  if (is_reusable) {
    stream_->start_reading();  // to hear when the peer closes it
    pool_.put(shared_from_this());
  } else {
    close();
  }
  user->on_response_complete();
}

void ClientConnection::on_end() {
  const auto self = shared_from_this();
  if (user_ == nullptr) {
    pool_.remove(*this);
    return close();
  }
  if (parser_.finish()) return complete(false);
  const Retry retry = has_answered_ ? Retry::never : Retry::on_reused_connection;
  fail({.code = Errc::end_of_stream, .origin = Origin::upstream, .retry = retry});
}

void ClientConnection::on_error(Error error) {
  const auto self = shared_from_this();
  if (user_ == nullptr) {
    pool_.remove(*this);
    return close();
  }
  error.origin = Origin::upstream;
  if (!is_connected_) {
    error.retry = Retry::always;
  } else {
    error.retry = has_answered_ ? Retry::never : Retry::on_reused_connection;
  }
  fail(error);
}

void ClientConnection::fail(Error error) {
  ClientConnectionUser* const user = std::exchange(user_, nullptr);
  close();
  user->on_connection_failed(error);
}

}  // namespace lotse::http

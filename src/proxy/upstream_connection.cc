#include "proxy/upstream_connection.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "net/splice_pipe.h"
#include "proxy/h1_writer.h"
#include "proxy/splicing.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {
constexpr std::uint8_t kLargeAnswersMax = 3;  // an endpoint whose answers differ changes our mind after two of a kind

std::string_view text(std::span<const char> bytes) { return {bytes.data(), bytes.size()}; }

// `Keep-Alive: timeout=5, max=100` (RFC 2068 section 19.7.1.1; node, Apache and others still say it), less a margin for
// what is on its way.
Duration idle_max_of(const http::ResponseHead& head) {
  for (const http::Field& field : head.fields) {
    if (field.id() != http::FieldId::keep_alive) continue;
    constexpr std::string_view kTimeout = "timeout=";
    auto place = std::search(field.value.begin(), field.value.end(), kTimeout.begin(), kTimeout.end(),
                             [](char a, char b) { return (a | 0x20) == (b | 0x20); });
    if (place == field.value.end()) continue;
    int timeout = 0;
    auto read = std::from_chars(&*place + kTimeout.size(), field.value.data() + field.value.size(), timeout);
    if (read.ec != std::errc() || timeout < 0) continue;
    Duration whole = std::chrono::seconds(timeout);
    return whole - std::min<Duration>(whole / 2, std::chrono::seconds(1));
  }
  return Duration::max();
}
}  // namespace

UpstreamConnection::UpstreamConnection(Worker& worker, EndpointRecord& record)
    : worker_(worker),
      record_(record),
      dialer_(worker, record, *this),
      parser_(*this, worker.http_limits()),
      held_(worker.memory()) {
  ++state().pool.open;
  worker_.pools().on_opened();
}

UpstreamConnection::~UpstreamConnection() = default;

EndpointState& UpstreamConnection::state() { return record_.states[worker_.index()]; }

// Connecting ------------------------------------------------------------------------------------------------------

void UpstreamConnection::connect(UpstreamUser& user) {
  user_ = &user;
  dialer_.dial();
}

void UpstreamConnection::connect_for_pool() {
  idle_since_ = worker_.loop().now();
  dialer_.dial();
}

void UpstreamConnection::on_dialled(std::unique_ptr<net::Stream> stream) {
  tls_ = state().tls;
  stream_ = std::move(stream);
}

void UpstreamConnection::on_connected() {
  Turn turn(worker_);
  ListNode<InPreconnect>::unlink();
  if (const net::TlsStream* tls = stream_->tls()) count_upstream_handshake(*tls, worker_.counters());
  if (user_ == nullptr) return become_idle();
  state_ = State::busy;
  stream_->start_reading();
  if (auto version = state().proxy_protocol) {
    const ClientAddresses addresses = user_->client_addresses();
    stream_->write(net::proxy_header(*version, addresses.client, addresses.local));
    has_told_client_ = true;
  }
  user_->on_upstream_connected();
}

// Sending ---------------------------------------------------------------------------------------------------------

void UpstreamConnection::send_request(const RequestOut& head, std::string_view host_if_none) {
  request_is_chunked_ = head.is_chunked;
  trailers_ = {};
  request_is_whole_ = has_answered_ = is_complete_ = answer_keeps_alive_ = false;
  may_be_repeated_ = http::is_idempotent(head.method) && !head.is_chunked && head.content_length.value_or(0) == 0;
  parser_.expect(head.method, head.upgrade);
  if (state().large_answers > kLargeAnswersMax / 2) stream_->limit_next_read(kHeadReadBytes);
  worker_.outbox().to(*stream_);
  flushes_before_ = worker_.outbox().flushes();
  if (!head.authority.empty()) return write_request_head(worker_.outbox(), head);
  RequestOut with_host = head;
  with_host.authority = host_if_none;
  write_request_head(worker_.outbox(), with_host);
}

void UpstreamConnection::send_body(std::string_view bytes) {
  if (bytes.empty()) return;
  worker_.outbox().to(*stream_);
  if (request_is_chunked_) {
    write_chunk(worker_.outbox(), bytes);
  } else {
    worker_.outbox().add_bytes(bytes);
  }
}

// Trailers of a request are dropped: few h1 servers tell them from fields of the head.
void UpstreamConnection::send_end(std::span<const http::Field>) {
  request_is_whole_ = true;
  if (!request_is_chunked_) return;
  worker_.outbox().to(*stream_);
  write_last_chunk(worker_.outbox(), {});
}

void UpstreamConnection::tunnel_write(std::string_view bytes) {
  worker_.outbox().to(*stream_);
  worker_.outbox().add_bytes(bytes);
}

void UpstreamConnection::tunnel_end() {
  worker_.outbox().flush();
  stream_->shutdown();
  downstream_has_ended_ = true;
}

// A tunnel that is cut must not look as if the client had ended it.
void UpstreamConnection::abandon() {
  user_ = nullptr;
  if (state_ == State::tunnel && stream_ && !(downstream_has_ended_ && upstream_has_ended_)) stream_->reset();
  close();
}

// Receiving -------------------------------------------------------------------------------------------------------

void UpstreamConnection::on_bytes(std::span<const char> bytes) {
  if (is_unsent()) return fail_unsent();  // nobody can have answered
  Turn turn(worker_, Turn::Writes::may_wait);
  worker_.counters().upstream_bytes_in.add(bytes.size());
  if (state_ == State::idle) {  // nobody asked: the next exchange would take it for its answer
    worker_.counters().pool_drops.add();
    return close();
  }
  if (state_ == State::tunnel) {
    user_->on_tunnel_from_upstream(text(bytes));
    splice_tunnel(bytes.size());
  } else {
    has_answered_ = true;
    http::FeedResult fed = parser_.feed(bytes);
    if (state_ == State::closed) return;
    held_.set(parser_.buffered_bytes());
    if (fed.error) return fail(Errc::protocol, fed.error.reason);
    if (fed.upgraded) {
      state_ = State::tunnel;
      if (fed.consumed < bytes.size()) user_->on_tunnel_from_upstream(text(bytes.subspan(fed.consumed)));
    } else if (is_complete_) {
      if (fed.consumed < bytes.size()) worker_.counters().pool_drops.add();
      const bool is_sent = request_is_whole_ && stream_->queued_bytes() == 0;
      return end_of_answer(answer_keeps_alive_ && is_sent && fed.consumed == bytes.size());
    }
  }
  splice_answer();
  worker_.outbox().release_views();
  if (user_ != nullptr) user_->on_upstream_read();
}

void UpstreamConnection::splice_answer() {
  const std::uint64_t left = parser_.fixed_body_left();
  if (left < kSplicedBytesMin || user_ == nullptr) return;
  net::Stream* client = user_->response_socket();
  if (client == nullptr) return;
  const bool is_on = stream_->splice_to(*client, left);
  if (is_on) worker_.outbox().flush();  // what stands before the body; it knows now that more follows
  if (!is_on && !worker_.loop().splice_pipes().has_free()) worker_.counters().splice_refusals.add();
}

void UpstreamConnection::splice_tunnel(std::size_t bytes_read) {
  net::Stream* client = tunnel_choice_.is_bulk(bytes_read) && user_ != nullptr ? user_->response_socket() : nullptr;
  if (client == nullptr || !stream_->splice_to(*client, kSplicedToTheEnd)) return;
  tunnel_choice_.begin();
  worker_.outbox().flush();  // what came before
}

void UpstreamConnection::on_spliced(std::size_t bytes) {
  Turn turn(worker_);
  worker_.counters().upstream_bytes_in.add(bytes);
  worker_.counters().spliced_bytes.add(bytes);
  if (state_ == State::tunnel) {
    user_->on_tunnel_spliced_from_upstream(bytes);
    if (tunnel_choice_.is_chatter(bytes)) stream_->end_splice();
    return user_->on_upstream_read();
  }
  if (user_ != nullptr) user_->on_response_spliced(bytes);
  parser_.skip_body(bytes);
  if (is_complete_) {
    const bool is_sent = request_is_whole_ && stream_->queued_bytes() == 0;
    return end_of_answer(answer_keeps_alive_ && is_sent);
  }
  if (user_ != nullptr) user_->on_upstream_read();
}

void UpstreamConnection::on_response_head(const http::ResponseHead& head) {
  if (user_ == nullptr) return;
  // What the client still sends of its body has its own framing, which no tunnel may pass on (RFC 9110 section 7.8).
  if (head.status == 101 && !request_is_whole_) return fail(Errc::protocol, "101 before the request was whole");
  if (is_word_on_idleness(head)) {
    has_answered_ = false;
    return fail(Errc::end_of_stream);
  }
  if (head.status >= 200) {
    answer_keeps_alive_ = head.keep_alive;
    idle_max_ = idle_max_of(head);
    note_length(head);
  }
  user_->on_response_head(head);
}

// Some servers end an idle connection with a 408, which may cross our request: it has not been read (RFC 9110 section
// 15.5.9).
bool UpstreamConnection::is_word_on_idleness(const http::ResponseHead& head) const {
  return head.status == 408 && was_reused_ && !head.keep_alive && may_be_repeated_;
}

// What answers of this endpoint have been like decides how the next one is read.
void UpstreamConnection::note_length(const http::ResponseHead& head) {
  std::uint8_t& large = state().large_answers;
  const bool is_large = !head.is_bodiless && head.content_length.value_or(0) >= kSplicedBytesMin;
  if (is_large && large < kLargeAnswersMax) ++large;
  if (!is_large && large > 0) --large;
}

void UpstreamConnection::on_response_body(std::span<const char> bytes) {
  if (user_ != nullptr) user_->on_response_body(text(bytes));
}

// Back to the pool, or closed, before the exchange hears of it: it may want a connection again at once.
void UpstreamConnection::end_of_answer(bool may_be_kept) {
  UpstreamUser* user = std::exchange(user_, nullptr);
  const bool is_anybodys = !has_told_client_ && !state().proxy_protocol;
  if (may_be_kept && is_anybodys && state().state != model::EndpointState::draining && !state().is_removed &&
      !worker_.is_draining()) {
    become_idle();
  } else {
    worker_.outbox().flush();
    close();
  }
  if (user != nullptr) user->on_response_end(trailers_);
  if (state_ == State::idle) parser_.release();
}

void UpstreamConnection::become_idle() {
  if (tls_ != state().tls) {  // the configuration, or a file it names, has changed meanwhile
    worker_.outbox().flush();
    return close();
  }
  state_ = State::idle;
  idle_since_ = worker_.loop().now();
  if (!stream_->is_reading()) stream_->start_reading();
  worker_.pools().put(*this);
}

void UpstreamConnection::on_end() {
  if (is_unsent()) return fail_unsent();
  Turn turn(worker_);
  if (state_ == State::idle) return close();
  if (state_ == State::tunnel) {
    upstream_has_ended_ = true;
    return user_->on_tunnel_end_from_upstream();
  }
  if (parser_.finish()) return end_of_answer(false);  // a body that ends with the connection
  fail(Errc::end_of_stream);
}

void UpstreamConnection::on_error(Error error) {
  if (is_unsent()) return fail_unsent();
  Turn turn(worker_);
  if (state_ == State::idle) return close();
  const char* reason = "";
  if (const net::TlsStream* tls = stream_->tls(); tls != nullptr && error.code == Errc::protocol)
    reason = note_upstream_tls_failure(*tls, record_, worker_.counters());
  fail(error.code, reason);
}

void UpstreamConnection::on_drained() {
  Turn turn(worker_);
  if (user_ != nullptr) user_->on_upstream_drained();
}

// Is the request still in the outbox? Then the endpoint, which has something to say already, cannot mean it.
bool UpstreamConnection::is_unsent() const {
  return state_ == State::busy && user_ != nullptr && flushes_before_ == worker_.outbox().flushes();
}

// It had closed the idle connection, or spoiled it, before we used it again: any request may go to a fresh one.
void UpstreamConnection::fail_unsent() {
  worker_.outbox().forget(*stream_);
  Turn turn(worker_);
  worker_.counters().pool_drops.add();
  UpstreamUser* user = std::exchange(user_, nullptr);
  close();
  user->on_upstream_failed({.stage = UpstreamFailure::Stage::before_answer,
                            .code = Errc::end_of_stream,
                            .was_reused = true,
                            .is_unprocessed = true});
}

void UpstreamConnection::fail(Errc code, const char* reason) {
  UpstreamFailure failure{.code = code, .was_reused = was_reused_, .reason = reason};
  if (state_ == State::connecting) {
    dialer_.on_failed();
  } else {
    failure.stage = has_answered_ ? UpstreamFailure::Stage::in_answer : UpstreamFailure::Stage::before_answer;
  }
  UpstreamUser* user = std::exchange(user_, nullptr);
  close();
  if (user != nullptr) user->on_upstream_failed(failure);
}

void UpstreamConnection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  ListNode<InPool>::unlink();
  ListNode<InIdleList>::unlink();
  ListNode<InPreconnect>::unlink();
  if (stream_) worker_.outbox().forget(*stream_);
  stream_.reset();
  dialer_.cancel();
  --state().pool.open;
  worker_.pools().on_closed();
  worker_.bury(*this);
}

}  // namespace lotse::proxy

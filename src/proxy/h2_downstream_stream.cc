#include "proxy/h2_downstream_stream.h"

#include <charconv>
#include <utility>

#include "base/log.h"
#include "proxy/h2_downstream.h"
#include "proxy/worker.h"

namespace lotse::proxy {

using http::H2Error;

void H2DownstreamStream::start(H2Downstream& connection, http::H2Stream& stream, std::span<const http::Field> fields,
                               bool ends) {
  connection_ = &connection;
  stream_ = &stream;
  stream.set_listener(this);
  Worker& worker = connection.worker();
  http::ParseError error;
  if (stream.is_too_large()) {
    error = {431, "the fields of the request are too many or too long"};
  } else {
    error = reader_.read_request(fields, ends, worker.http_limits(), head_);
  }
  if (!error) return begin_exchange(ends);
  worker.counters().bad_requests.add();
  if (error.status == 431) worker.counters().oversized_heads.add();
  if (error.status == 414) worker.counters().oversized_targets.add();
  if (error.status != http::kH2Malformed) return answer_now(error.status, error.reason);
  log::debug("proxy", "malformed request of {} over HTTP/2: {}", connection.client().ip, error.reason);
  if (AccessLogBuffer* log = worker.access_log()) {
    log->write({.client = connection.client().ip, .status = 400, .error = error.reason, .http_version = "2.0"});
  }
  worker.count_unrouted(400);
  connection.session().reject(stream, H2Error::protocol_error);
}

void H2DownstreamStream::begin_exchange(bool ends) {
  is_extended_connect_ = !head_.upgrade.empty();
  stream_->expect_body(head_.content_length);
  if (is_extended_connect_) offer_web_socket();
  exchange_ = connection_->worker().new_exchange();
  exchange_->start(*this, head_);
  // There is no body: what comes behind the head is for the tunnel.
  if (is_extended_connect_) exchange_->on_request_end({});
  if (!ends) connection_->touch(*this);
}

void H2DownstreamStream::offer_web_socket() {
  Random& random = connection_->worker().balancer().random();
  key_.make(random.next(), random.next());
  request_fields_.clear();
  for (const http::Field& field : head_.fields) {
    if (!http::equals_ignoring_case(field.name, "sec-websocket-key")) request_fields_.push_back(field);
  }
  request_fields_.push_back({"Sec-WebSocket-Key", key_.text()});
  head_.fields = request_fields_;
}

// Without an exchange: there is no request to speak of, or none that anybody would take.
void H2DownstreamStream::answer_now(int status, std::string_view reason) {
  Worker& worker = connection_->worker();
  worker.count_unrouted(status);
  if (AccessLogBuffer* log = worker.access_log()) {
    log->write({.client = connection_->client().ip,
                .method = head_.method_text,
                .host = head_.authority,
                .path = head_.path,
                .status = status,
                .error = reason,
                .http_version = "2.0"});
  }
  const http::Field type{"content-type", "text/plain; charset=utf-8"};
  const bool is_bodiless = head_.method == http::Method::head;
  send({.status = status, .fields = {&type, 1}, .content_length = reason.size() + 1}, is_bodiless);
  if (is_bodiless) return;
  send_body(reason);
  send_body("\n");
  send_end({});
}

// What the client sends
// ------------------------------------------------------------------------------------------------

void H2DownstreamStream::on_h2_body(std::string_view bytes) {
  http::H2Session& session = connection_->session();
  if (exchange_ == nullptr || exchange_->is_over()) return session.consume(*stream_, bytes.size());
  if (!is_extended_connect_) {
    exchange_->on_request_body(bytes);
  } else if (exchange_->is_tunnel()) {
    exchange_->on_tunnel_from_downstream(bytes);
  } else {
    early_.append(bytes);  // its window opens when it has gone
    return;
  }
  if (stream_ == nullptr) return;
  connection_->touch(*this);
  if (is_paused_) {
    unconsumed_bytes_ += bytes.size();
  } else {
    session.consume(*stream_, bytes.size());
  }
}

void H2DownstreamStream::resume_request() {
  is_paused_ = false;
  if (stream_ != nullptr && unconsumed_bytes_ > 0) {
    connection_->session().consume(*stream_, std::exchange(unconsumed_bytes_, 0));
  }
}

void H2DownstreamStream::on_h2_block(std::span<const http::Field> fields, bool) {
  if (http::ParseError error = connection_->trailers_reader().read_trailers(fields, request_trailers_)) {
    request_trailers_ = {};
    connection_->worker().counters().bad_requests.add();
    connection_->session().reject(*stream_, H2Error::protocol_error);
  }
}

void H2DownstreamStream::on_h2_end() {
  peer_has_ended_ = true;
  const auto trailers = std::exchange(request_trailers_, {});
  if (exchange_ == nullptr || exchange_->is_over()) return;
  if (!is_extended_connect_) return exchange_->on_request_end(trailers);
  if (exchange_->is_tunnel()) exchange_->on_tunnel_end_from_downstream();
}

void H2DownstreamStream::on_request_read() {
  if (exchange_ != nullptr && !exchange_->is_over()) exchange_->on_request_read();
}

// Also of a tunnel whose stream has ended before.
void H2DownstreamStream::on_connection_lost() {
  if (exchange_ != nullptr && !exchange_->is_over()) exchange_->on_downstream_gone();
}

void H2DownstreamStream::on_h2_drained() {
  if (exchange_ != nullptr && !exchange_->is_over()) exchange_->on_downstream_drained();
}

void H2DownstreamStream::on_h2_closed(H2Error error, bool) {
  stream_ = nullptr;
  if (exchange_ == nullptr) return let_go();
  if (exchange_->is_over()) return;
  // Both halves of a tunnel have ended in order: it stands until the endpoint has taken the last of it.
  if (error == H2Error::no_error && exchange_->is_tunnel() && peer_has_ended_ && has_ended_) {
    return exchange_->on_downstream_drained();
  }
  exchange_->on_downstream_gone();
}

// What the exchange sends
// ----------------------------------------------------------------------------------------------

void H2DownstreamStream::send(const ResponseOut& head, bool ends) {
  if (stream_ == nullptr) return;
  char status[4], length[24];
  std::to_chars(status, status + 3, head.status);
  fields_.clear();
  fields_.push_back({":status", {status, 3}});
  fields_.insert(fields_.end(), head.fields.begin(), head.fields.end());
  if (head.content_length) {
    const auto end = std::to_chars(length, length + sizeof(length), *head.content_length).ptr;
    fields_.push_back({"content-length", {length, static_cast<std::size_t>(end - length)}});
  }
  connection_->session().send_head(*stream_, fields_, ends);
}

void H2DownstreamStream::send_body(std::string_view bytes) {
  if (stream_ != nullptr) connection_->session().send_body(*stream_, bytes);
}

void H2DownstreamStream::send_end(std::span<const http::Field> trailers) {
  if (stream_ != nullptr) connection_->session().send_end(*stream_, trailers);
}

void H2DownstreamStream::tunnel_end() {
  has_ended_ = true;
  send_end({});
}

void H2DownstreamStream::send_abort() { abandon(H2Error::internal_error); }

void H2DownstreamStream::abandon(H2Error error) {
  if (stream_ != nullptr) connection_->session().reset(*std::exchange(stream_, nullptr), error);
}

// RFC 8441 section 5: what HTTP/1.1 says with 101 and a key is 200 here.
void H2DownstreamStream::start_tunnel(const ResponseOut& head) {
  if (stream_ == nullptr) return;
  ResponseOut out{.status = 200};
  request_fields_.clear();
  bool is_accepted = false;
  for (const http::Field& field : head.fields) {
    if (http::equals_ignoring_case(field.name, "sec-websocket-accept")) {
      is_accepted = field.value == key_.accept();
    } else {
      request_fields_.push_back(field);
    }
  }
  if (!is_accepted) {
    log::debug("proxy", "an endpoint took a WebSocket without the right Sec-WebSocket-Accept");
    abandon(H2Error::internal_error);
    return exchange_->on_downstream_gone();
  }
  out.fields = request_fields_;
  stream_->keep_half_open();
  send(out, false);
  if (!early_.empty()) {
    exchange_->on_tunnel_from_downstream(early_);
    connection_->worker().outbox().release_views();
    connection_->session().consume(*stream_, early_.size());
    give_back(early_);
  }
  if (peer_has_ended_) exchange_->on_tunnel_end_from_downstream();
}

std::size_t H2DownstreamStream::undelivered_bytes() const { return queued_bytes() + connection_->undelivered_bytes(); }
const ClientInfo& H2DownstreamStream::client() const { return connection_->client(); }
ClientAddresses H2DownstreamStream::client_addresses() const { return connection_->client_addresses(); }
std::string_view H2DownstreamStream::listener_name() const { return connection_->listener_name(); }

// Ending
// ---------------------------------------------------------------------------------------------------------------

void H2DownstreamStream::on_exchange_over() { connection_->worker().finished().push_back(*this); }

void H2DownstreamStream::after_exchange() {
  connection_->worker().release(std::move(exchange_));
  if (stream_ == nullptr) return let_go();
  if (unconsumed_bytes_ > 0) connection_->session().consume(*stream_, std::exchange(unconsumed_bytes_, 0));
  if (!early_.empty()) {
    connection_->session().consume(*stream_, early_.size());
    give_back(early_);
  }
}

void H2DownstreamStream::let_go() { connection_->release(*this); }

void H2DownstreamStream::recycle() {
  connection_ = nullptr;
  stream_ = nullptr;
  exchange_.reset();
  head_ = {};
  request_fields_.clear();
  fields_.clear();
  request_trailers_ = {};
  give_back(early_);
  if (reader_.held_bytes() > 4096) reader_.release();
  unconsumed_bytes_ = 0;
  is_extended_connect_ = is_paused_ = peer_has_ended_ = has_ended_ = is_touched = false;
}

std::size_t H2DownstreamStream::held_bytes() const {
  return heap_bytes(early_) + reader_.held_bytes() + (exchange_ ? exchange_->held_bytes() : 0);
}

}  // namespace lotse::proxy

#include "proxy/h2_upstream_stream.h"

#include <utility>

#include "proxy/h2_upstream.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

// 100 and 103 come once or twice; a peer that sends them without end would hold a request for ever.
constexpr int kInterimMax = 16;

// Every answer's fields, pseudo-fields first. Names are made small on the way out.
void compose(const RequestOut& head, std::string_view host_if_none, bool is_encrypted, std::string& number,
             std::vector<http::Field>& fields) {
  fields.clear();
  fields.push_back({":method", head.method_text});
  fields.push_back({":scheme", is_encrypted ? "https" : "http"});
  fields.push_back({":authority", head.authority.empty() ? host_if_none : head.authority});
  fields.push_back({":path", head.target});
  fields.insert(fields.end(), head.fields.begin(), head.fields.end());
  if (head.content_length) {
    number = std::to_string(*head.content_length);
    fields.push_back({"content-length", number});
  }
  if (head.accepts_trailers) fields.push_back({"te", "trailers"});
}

const char* reason_of(http::H2Error error) {
  switch (error) {
    case http::H2Error::refused_stream:
      return "refused the stream";
    case http::H2Error::http_1_1_required:
      return "wants HTTP/1.1";
    case http::H2Error::enhance_your_calm:
      return "wants fewer requests";
    case http::H2Error::cancel:
      return "cancelled the stream";
    default:
      return "reset the stream";
  }
}

}  // namespace

void H2UpstreamStream::begin(UpstreamUser& user, bool is_reused) {
  user_ = &user;
  stream_ = nullptr;
  trailers_ = {};
  paused_bytes_ = 0;
  interims_ = 0;
  is_reused_ = is_reused;
  is_refused_ = request_is_whole_ = has_head_ = has_answered_ = is_paused_ = false;
}

// Sending ---------------------------------------------------------------------------------------------------------

// An upgrade is not passed on: HTTP/2 has none, and a server may ignore it (RFC 9110 section 7.8).
void H2UpstreamStream::send_request(const RequestOut& head, std::string_view host_if_none) {
  std::string number;
  compose(head, host_if_none, false, number, connection_.fields_);
  method_ = head.method;
  const bool ends = !head.is_chunked && head.content_length.value_or(0) == 0;
  request_is_whole_ = ends;
  stream_ = connection_.session_->open(connection_.fields_, ends, *this);
  if (stream_ != nullptr) return;
  is_refused_ = connection_.has_refused_ =
      true;  // a GOAWAY came just before; never from inside the exchange's own call
  connection_.on_h2_unsent();
}

void H2UpstreamStream::send_body(std::string_view bytes) {
  if (stream_ != nullptr && !request_is_whole_) connection_.session_->send_body(*stream_, bytes);
}

void H2UpstreamStream::send_end(std::span<const http::Field> trailers) {
  if (std::exchange(request_is_whole_, true) || stream_ == nullptr) return;
  connection_.session_->send_end(*stream_, trailers);
}

void H2UpstreamStream::abandon() {
  if (stream_ != nullptr) connection_.session_->reset(*stream_, http::H2Error::cancel);
  let_go();
}

void H2UpstreamStream::resume_reading() {
  is_paused_ = false;
  if (stream_ == nullptr || paused_bytes_ == 0) return;
  connection_.session_->consume_stream_only(*stream_, std::exchange(paused_bytes_, 0));
}

// Receiving -------------------------------------------------------------------------------------------------------

void H2UpstreamStream::on_h2_block(std::span<const http::Field> fields, bool ends) {
  has_answered_ = true;
  connection_.touched_.push_back(*this);
  if (!has_head_) return on_head(fields, ends);
  if (!ends) return break_off("fields in the middle of an answer");
  if (http::ParseError error = connection_.reader_.read_trailers(fields, trailers_)) return break_off(error.reason);
}

void H2UpstreamStream::on_head(std::span<const http::Field> fields, bool ends) {
  http::ResponseHead head;
  if (http::ParseError error = connection_.reader_.read_response(fields, ends, method_, head))
    return break_off(error.reason);
  if (head.status < 200) {
    if (++interims_ > kInterimMax) return break_off("too many interim responses");
    return user_->on_response_head(head);
  }
  has_head_ = true;
  stream_->expect_body(head.is_bodiless ? 0 : head.content_length);
  user_->on_response_head(head);
}

// The connection's window opens at once, so that one slow client does not stop the others; the stream's when there is
// room again.
void H2UpstreamStream::on_h2_body(std::string_view bytes) {
  connection_.touched_.push_back(*this);
  if (!has_head_) return break_off("a body before its head");
  if (is_paused_) {
    connection_.session_->consume_connection_only(*stream_, bytes.size());
    paused_bytes_ += bytes.size();
  } else {
    connection_.session_->consume(*stream_, bytes.size());
  }
  user_->on_response_body(bytes);
}

// The answer may be whole before the request: then nobody wants the rest of that.
void H2UpstreamStream::on_h2_end() {
  if (!has_head_) return break_off("an end before its head");
  if (request_is_whole_) {
    stream_->set_listener(nullptr);
  } else {
    connection_.session_->reset(*stream_, http::H2Error::cancel);
  }
  const std::span<const http::Field> trailers = trailers_;
  let_go()->on_response_end(trailers);
}

void H2UpstreamStream::on_h2_drained() {
  if (user_ != nullptr) user_->on_upstream_drained();
}

void H2UpstreamStream::on_h2_closed(http::H2Error error, bool is_unprocessed) {
  stream_ = nullptr;
  UpstreamFailure failure{
      .stage = has_answered_ ? UpstreamFailure::Stage::in_answer : UpstreamFailure::Stage::before_answer,
      .code = is_unprocessed ? Errc::unavailable : Errc::protocol,
      .was_reused = is_reused_,
      .is_unprocessed = is_unprocessed && !has_answered_,
      .reason = reason_of(error)};
  fail(failure);
}

// What came breaks the rules: 502, or a cut in the answer.
void H2UpstreamStream::break_off(const char* reason) {
  connection_.session_->reset(*stream_, http::H2Error::protocol_error);
  fail({.stage = has_head_ ? UpstreamFailure::Stage::in_answer : UpstreamFailure::Stage::before_answer,
        .code = Errc::protocol,
        .was_reused = is_reused_,
        .reason = reason});
}

void H2UpstreamStream::fail(UpstreamFailure failure) {
  if (UpstreamUser* user = let_go()) user->on_upstream_failed(failure);
}

// From here on this may be another exchange's.
UpstreamUser* H2UpstreamStream::let_go() {
  UpstreamUser* user = std::exchange(user_, nullptr);
  stream_ = nullptr;
  if (user != nullptr) connection_.on_stream_over(*this);
  return user;
}

}  // namespace lotse::proxy

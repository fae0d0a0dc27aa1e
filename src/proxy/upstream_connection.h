// One HTTP/1.1 connection to an endpoint: idle in its pool, or lent to one exchange. Writes requests, parses answers,
// turns into a tunnel after 101. Decides nothing: what a failure means is the exchange's business. Owned by the Worker;
// one loop thread. States: connecting -> busy -> idle -> busy ... -> closed; busy -> tunnel -> closed.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "proxy/endpoint_record.h"
#include "proxy/message_out.h"
#include "proxy/upstream_pool.h"

namespace lotse::proxy {

class Worker;
struct InUpstreams;  // tag: every upstream connection of the worker

struct UpstreamFailure {
  enum class Stage : std::uint8_t {
    connecting,     // not a byte was sent
    before_answer,  // the request was sent, at least in part; not a byte of the answer came
    in_answer,
  };
  Stage stage = Stage::connecting;
  Errc code = Errc::internal;
  bool was_reused = false;  // it had carried another exchange before
  const char* reason = "";  // static text: what the parser disliked
};

class UpstreamUser {  // the exchange
 public:
  virtual void on_upstream_connected() = 0;
  virtual void on_response_head(const http::ResponseHead& head) = 0;  // 1xx as well
  virtual void on_response_body(std::string_view bytes) = 0;
  virtual void on_response_end() = 0;      // the connection has already let go of the exchange
  virtual void on_upstream_read() = 0;     // after each read, when what it brought was written: time to look at queues
  virtual void on_upstream_drained() = 0;  // what was queued towards the endpoint has gone
  virtual void on_upstream_failed(const UpstreamFailure& failure) = 0;  // the connection is closed; the last callback
  virtual void on_tunnel_from_upstream(std::string_view bytes) = 0;
  virtual void on_tunnel_end_from_upstream() = 0;  // the endpoint sent FIN

 protected:
  ~UpstreamUser() = default;
};

class UpstreamConnection final : public net::StreamListener,
                                 public http::ResponseListener,
                                 public ListNode<InPool>,
                                 public ListNode<InIdleList>,
                                 public ListNode<InUpstreams> {
 public:
  UpstreamConnection(Worker& worker, EndpointRecord& record);
  ~UpstreamConnection();

  void connect(UpstreamUser& user);   // on_upstream_connected or on_upstream_failed follows, from the loop
  void lend_to(UpstreamUser& user) {  // a pooled one
    user_ = &user;
    state_ = State::busy;
    was_reused_ = true;
  }

  void send_request(const RequestOut& head, std::string_view host_if_none);
  void send_body(std::string_view bytes);  // chunked if the head said so
  void send_end();                         // the request is whole
  void abandon();                          // close at once; no callback comes any more

  void tunnel_write(std::string_view bytes);
  void tunnel_end();  // FIN
  void pause_reading() {
    if (stream_) stream_->stop_reading();
  }
  void resume_reading() {
    if (stream_) stream_->start_reading();
  }
  std::size_t queued_bytes() const { return stream_ ? stream_->queued_bytes() : 0; }
  std::size_t undelivered_bytes() const { return stream_ ? stream_->undelivered_bytes() : 0; }

  EndpointRecord& record() { return record_; }
  EndpointState& state();
  bool is_idle() const { return state_ == State::idle; }
  Instant idle_since() const { return idle_since_; }

 private:
  friend class UpstreamPools;
  enum class State : std::uint8_t { connecting, busy, idle, tunnel, closed };

  // net::StreamListener
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  // http::ResponseListener
  void on_response_head(const http::ResponseHead& head) override;
  void on_response_body(std::span<const char> bytes) override;
  void on_response_trailers(std::span<const http::Field>) override {}  // dropped; h1 clients seldom ask for them
  void on_response_complete() override { is_complete_ = true; }

  void start_connecting(const net::Address& address);
  void look_up();
  void use_one_of(std::vector<net::Address>& addresses);
  void end_of_answer(bool may_be_kept);
  void fail(Errc code, const char* reason = "");
  void close();  // the stream goes now, we go when the callbacks are over

  Worker& worker_;
  EndpointRecord& record_;
  UpstreamUser* user_ = nullptr;
  std::unique_ptr<net::Stream> stream_;
  std::unique_ptr<net::Lookup> lookup_;
  http::ResponseParser parser_;
  State state_ = State::connecting;
  bool was_reused_ = false;
  bool request_is_chunked_ = false;
  bool request_is_whole_ = false;
  bool has_answered_ = false;  // a byte of this answer came
  bool answer_keeps_alive_ = false;
  bool is_complete_ = false;
  Instant idle_since_{};
};

}  // namespace lotse::proxy

// One HTTP/1.1 connection to an endpoint: idle in its pool, or lent to one exchange. Writes requests, parses answers,
// turns into a tunnel after 101. Decides nothing: what a failure means is the exchange's business. Owned by the Worker;
// one loop thread. States: connecting -> busy -> idle -> busy ... -> closed; busy -> tunnel -> closed.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "http/h1_parser.h"
#include "net/stream.h"
#include "proxy/dialer.h"
#include "proxy/endpoint_record.h"
#include "proxy/memory_share.h"
#include "proxy/preconnect.h"
#include "proxy/splicing.h"
#include "proxy/upstream.h"
#include "proxy/upstream_link.h"
#include "proxy/upstream_pool.h"

namespace lotse::proxy {

class Worker;

class UpstreamConnection final : public Upstream,
                                 public UpstreamLink,
                                 public DialerOwner,
                                 public http::ResponseListener,
                                 public ListNode<InPool>,
                                 public ListNode<InPreconnect> {
 public:
  UpstreamConnection(Worker& worker, EndpointRecord& record);
  ~UpstreamConnection() override;

  void connect(UpstreamUser& user);   // on_upstream_connected or on_upstream_failed follows, from the loop
  void connect_for_pool();            // for nobody yet: it is idle once it is made, and gone when it fails
  void lend_to(UpstreamUser& user) {  // a pooled one
    user_ = &user;
    state_ = State::busy;
    was_reused_ = true;
  }

  // UpstreamLink
  void send_request(const RequestOut& head, std::string_view host_if_none) override;
  void send_body(std::string_view bytes) override;  // chunked if the head said so
  void send_end(std::span<const http::Field> trailers) override;
  void abandon() override;  // close at once
  void tunnel_write(std::string_view bytes) override;
  void tunnel_end() override;
  void pause_reading() override {
    if (stream_) stream_->stop_reading();
  }
  void resume_reading() override {
    if (stream_) stream_->start_reading();
  }
  net::Stream* request_socket() override { return request_is_chunked_ ? nullptr : stream_.get(); }
  std::size_t queued_bytes() const override { return stream_ ? stream_->queued_bytes() : 0; }
  std::size_t undelivered_bytes() const override { return stream_ ? stream_->undelivered_bytes() : 0; }
  bool may_refuse() const override { return false; }

  EndpointRecord& record() { return record_; }
  EndpointState& state();
  bool is_idle() const { return state_ == State::idle; }
  // The endpoint has said for how long it keeps an idle connection, and that is about over: a request would race its
  // FIN.
  bool is_about_to_close(Instant now) const { return now - idle_since_ >= idle_max_; }

 private:
  friend class UpstreamPools;
  enum class State : std::uint8_t { connecting, busy, idle, tunnel, closed };

  // DialerOwner
  void on_dialled(std::unique_ptr<net::Stream> stream) override;
  void on_name_unknown() override { fail(Errc::resolve_failed); }
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  void on_spliced(std::size_t bytes) override;
  // http::ResponseListener
  void on_response_head(const http::ResponseHead& head) override;
  void on_response_body(std::span<const char> bytes) override;
  void on_response_trailers(std::span<const http::Field> trailers) override { trailers_ = trailers; }
  void on_response_complete() override { is_complete_ = true; }

  void become_idle();
  void splice_answer();
  void splice_tunnel(std::size_t bytes_read);
  void note_length(const http::ResponseHead& head);
  bool is_word_on_idleness(const http::ResponseHead& head) const;
  void end_of_answer(bool may_be_kept);
  bool is_unsent() const;
  void fail_unsent();
  void fail(Errc code, const char* reason = "");
  void close();  // the stream goes now, we go when the callbacks are over

  Worker& worker_;
  EndpointRecord& record_;
  UpstreamUser* user_ = nullptr;
  std::unique_ptr<net::Stream> stream_;
  Dialer dialer_;
  std::shared_ptr<const UpstreamTls> tls_;  // what it was made with
  http::ResponseParser parser_;
  HeldBytes held_;
  State state_ = State::connecting;
  std::uint64_t flushes_before_ = 0;  // of the outbox, when the request was put there
  SpliceChoice tunnel_choice_;
  bool was_reused_ = false;
  bool has_told_client_ = false;  // by the PROXY protocol: it is that client's for good
  bool request_is_chunked_ = false;
  bool request_is_whole_ = false;
  bool has_answered_ = false;  // a byte of this answer came
  bool answer_keeps_alive_ = false;
  bool is_complete_ = false;
  std::span<const http::Field> trailers_;                           // the parser's, of this answer
  bool may_be_repeated_ = false;                                    // idempotent and without a body
  bool downstream_has_ended_ = false, upstream_has_ended_ = false;  // FINs of a tunnel
  Duration idle_max_ = Duration::max();                             // from the endpoint's Keep-Alive field
};

}  // namespace lotse::proxy

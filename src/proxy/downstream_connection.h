// One HTTP/1.1 connection of a client: reads requests one after the other (pipelined ones wait their turn), gives each
// an Exchange and writes what that answers. Knows the wire format and its own timeouts; nothing of routes or endpoints.
// Owned by the Worker; one loop thread. Modes: http (idle, reading a head, with an exchange, or throwing away the rest
// of a body whose answer has gone) -> tunnel or lingering -> closed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/h1_parser.h"
#include "net/stream.h"
#include "proxy/deadline.h"
#include "proxy/downstream.h"
#include "proxy/exchange.h"
#include "proxy/forwarding.h"
#include "proxy/memory_share.h"
#include "proxy/splicing.h"

namespace lotse::proxy {

class DownstreamConnection final : public Downstream,
                                   public net::StreamListener,
                                   public http::RequestListener,
                                   public DownstreamUser {
 public:
  DownstreamConnection(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream);
  ~DownstreamConnection();

  void start();
  // Downstream
  void drain() override;
  void close() override;
  // What it keeps the process from using: heads, pipelined and buffered bytes, what its client does not read.
  std::size_t held_bytes() const override {
    return held_.get() + stream_->queued_bytes() + (exchange_ != nullptr ? exchange_->queued_bytes() : 0);
  }
  void free_memory() override;
  bool is_of(const WorkerListener& listener) const override { return listener_.get() == &listener; }

 private:
  enum class Mode : std::uint8_t { http, tunnel, lingering, closed };

  // net::StreamListener
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  void on_spliced(std::size_t bytes) override;
  // http::RequestListener
  void on_request_head(const http::RequestHead& head) override;
  void on_request_body(std::span<const char> bytes) override;
  void on_request_trailers(std::span<const http::Field> trailers) override { request_trailers_ = trailers; }
  void on_request_complete() override;
  // DownstreamUser
  void send_informational(const ResponseOut& head) override;
  void send_head(const ResponseOut& head) override;
  void send_body(std::string_view bytes) override;
  void send_end(std::span<const http::Field> trailers) override;
  void send_abort() override;
  void start_tunnel(const ResponseOut& head) override;
  void tunnel_write(std::string_view bytes) override;
  void tunnel_end() override;
  void pause_request() override { stream_->stop_reading(); }
  void resume_request() override;
  net::Stream* response_socket() override { return is_chunked_ || is_bodiless_ ? nullptr : stream_.get(); }
  std::size_t queued_bytes() const override { return stream_ ? stream_->queued_bytes() : 0; }
  std::size_t undelivered_bytes() const override { return stream_ ? stream_->undelivered_bytes() : 0; }
  void on_exchange_over() override;
  void after_exchange() override;
  const ClientInfo& client() const override { return client_; }
  ClientAddresses client_addresses() const override;
  std::string_view listener_name() const override;

  bool take_preface(std::string_view bytes);
  void become_h2(std::string_view rest);
  void take_bytes(std::string_view bytes);
  void count_held();
  void answer_now(int status, std::string_view reason);
  std::size_t consume(std::string_view bytes);  // how much; the rest is the next request's
  void stash(std::string_view bytes);
  void go_on();  // with the next request, or not
  void splice_body();
  void splice_tunnel(std::size_t bytes_read);
  void next_request();
  bool has_had_its_turn();
  bool may_discard_rest() const;
  void discard_rest();
  void watch_discarding();
  bool is_discarding() const { return mode_ == Mode::http && exchange_ == nullptr && !request_is_whole_; }
  void on_parse_error(const http::ParseError& error);
  void linger();
  void watch_lingering();
  void on_deadline();
  bool is_delivering();
  void on_idle_deadline();
  void on_request_deadline();
  void give_back_buffers();
  bool is_draining() const;

  static constexpr int kRequestsPerTurnMax = 32;
  static constexpr std::size_t kNotLookedAt = static_cast<std::size_t>(-1);

  Worker& worker_;
  std::shared_ptr<WorkerListener> listener_;
  std::unique_ptr<net::Stream> stream_;
  ClientInfo client_;
  http::RequestParser parser_;
  Mode mode_ = Mode::http;
  std::unique_ptr<Exchange> exchange_;             // lent by the worker
  const http::RequestHead* head_ = nullptr;        // the parser's, of the request under way
  std::span<const http::Field> request_trailers_;  // the parser's
  bool may_be_h2_ = false;                         // what came is the beginning of HTTP/2's preface
  std::uint8_t preface_bytes_ = 0;                 // so much of it
  bool request_is_whole_ = true;
  bool client_has_ended_ = false;  // FIN
  bool client_closes_ = false;     // it has said that this request is its last
  bool closes_ = false;            // after this response
  bool is_chunked_ = false;        // this response is
  bool is_bodiless_ = false;
  bool was_aborted_ = false;
  bool ends_with_connection_ = false;
  bool head_deadline_set_ = false;
  bool waits_for_drain_ = false;  // the client reads slower than it asks
  bool goes_on_later_ = false;    // it has begun as many requests in this turn as anybody may
  bool has_sent_continue_ = false;
  bool rest_was_discarded_ = false;  // of a body whose answer had gone: the next request may begin
  SpliceChoice tunnel_choice_;
  std::string pending_;  // pipelined bytes, from pending_offset_ on
  std::size_t pending_offset_ = 0;
  std::uint64_t body_bytes_read_ = 0;  // of this request
  std::size_t discarded_bytes_ = 0;    // of the body whose answer has gone
  std::size_t stalled_bytes_ = kNotLookedAt;
  Instant idle_since_{}, linger_until_{};
  std::uint64_t turn_ = 0;  // of the loop, in which it last began a pipelined request
  int begun_in_turn_ = 0;
  HeldBytes held_;
  Deadline deadline_;
};

}  // namespace lotse::proxy

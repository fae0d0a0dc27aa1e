// One request of an HTTP/2 client and its answer: the DownstreamUser of one exchange, the listener of one stream. Ends
// when both have: the exchange may be over long before the client has taken what it wrote. Lent by its H2Downstream;
// one loop thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/h2_fields.h"
#include "http/h2_session.h"
#include "proxy/exchange.h"
#include "proxy/web_socket.h"

namespace lotse::proxy {

class H2Downstream;

class H2DownstreamStream final : public DownstreamUser, public http::H2StreamListener {
 public:
  H2DownstreamStream() = default;

  void start(H2Downstream& connection, http::H2Stream& stream, std::span<const http::Field> fields, bool ends);
  void recycle();  // for its next request: keeps its memory
  void on_request_read();
  void on_connection_lost();
  std::size_t held_bytes() const;
  std::size_t queued_bytes_upstream() const { return exchange_ ? exchange_->queued_bytes() : 0; }
  bool is_exchanging() const { return exchange_ != nullptr; }
  std::size_t index = 0;  // in the connection's list
  bool is_touched = false;

 private:
  // http::H2StreamListener
  void on_h2_block(std::span<const http::Field> fields, bool ends) override;
  void on_h2_body(std::string_view bytes) override;
  void on_h2_end() override;
  void on_h2_drained() override;
  void on_h2_closed(http::H2Error error, bool is_unprocessed) override;
  // DownstreamUser
  void send_informational(const ResponseOut& head) override { send(head, false); }
  void send_head(const ResponseOut& head) override { send(head, head.is_bodiless); }
  void send_body(std::string_view bytes) override;
  void send_end(std::span<const http::Field> trailers) override;
  void send_abort() override;
  void start_tunnel(const ResponseOut& head) override;
  void tunnel_write(std::string_view bytes) override { send_body(bytes); }
  void tunnel_end() override;
  void pause_request() override { is_paused_ = true; }
  void resume_request() override;
  std::size_t queued_bytes() const override { return stream_ != nullptr ? stream_->queued_bytes() : 0; }
  std::size_t undelivered_bytes() const override;
  void on_exchange_over() override;
  void after_exchange() override;
  const ClientInfo& client() const override;
  ClientAddresses client_addresses() const override;
  std::string_view listener_name() const override;

  void begin_exchange(bool ends);
  void offer_web_socket();
  void answer_now(int status, std::string_view reason);
  void send(const ResponseOut& head, bool ends);
  void abandon(http::H2Error error);
  void let_go();

  H2Downstream* connection_ = nullptr;
  http::H2Stream* stream_ = nullptr;    // null: it has ended
  std::unique_ptr<Exchange> exchange_;  // lent by the worker
  http::H2HeadReader reader_;
  http::RequestHead head_;
  std::vector<http::Field> request_fields_;  // of an extended CONNECT: with the key that is ours
  std::vector<http::Field> fields_;          // of what is sent
  std::span<const http::Field> request_trailers_;
  WebSocketKey key_;
  std::string early_;  // what a client sends before its tunnel stands; its window bounds it
  std::size_t unconsumed_bytes_ = 0;
  bool is_extended_connect_ = false;
  bool is_paused_ = false;
  bool peer_has_ended_ = false, has_ended_ = false;  // the halves of a tunnel
};

}  // namespace lotse::proxy

// One connection of the client: writes a request, reads its response, and is kept for the next one or closed. Knows
// nothing of names, retries or timeouts of a call. Shared between its user (a call) or the pool, and its own running
// callbacks; closed once, then deaf. Internal to the client.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "http/h1_parser.h"
#include "http/url.h"
#include "net/address.h"
#include "net/stream.h"
#include "net/timers.h"

namespace lotse::http {

class ClientPool;

class ClientConnectionUser {
 public:
  virtual void on_connected() = 0;
  virtual void on_response_head(const ResponseHead& head) = 0;  // the final one
  virtual void on_response_body(std::string_view bytes) = 0;
  // The last callback is one of these; the connection is the pool's again, or closed.
  virtual void on_response_complete() = 0;
  virtual void on_connection_failed(Error error) = 0;  // Retry::always: not a byte of the request was sent

 protected:
  ~ClientConnectionUser() = default;
};

class ClientConnection final : public net::StreamListener,
                               public ResponseListener,
                               public std::enable_shared_from_this<ClientConnection> {
 public:
  ClientConnection(ClientPool& pool, Endpoint endpoint);
  void connect(const net::Address& address, ClientConnectionUser& user);
  void take(ClientConnectionUser& user);  // from the pool
  void rest(Duration idle_timeout);       // in the pool
  void send(Method method, std::string_view head, std::string_view body);
  void pause();
  void resume();
  void close();  // no callback comes any more
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;

  void on_response_head(const ResponseHead& head) override;
  void on_response_body(std::span<const char> bytes) override;
  void on_response_trailers(std::span<const Field>) override {}
  void on_response_complete() override {}

  void read_on(std::span<const char> bytes);
  void complete(bool is_reusable);
  void fail(Error error);

  ClientPool& pool_;
  Endpoint endpoint_;
  std::unique_ptr<net::Stream> stream_;
  ResponseParser parser_;
  net::Timer idle_timer_;
  ClientConnectionUser* user_ = nullptr;  // null: in the pool, or closed
  std::string kept_;                      // read, but the user has paused
  bool is_connected_ = false;
  bool is_paused_ = false;
  bool is_kept_alive_ = false;  // as the head said
  bool has_answered_ = false;   // a byte of the answer came
};

}  // namespace lotse::http

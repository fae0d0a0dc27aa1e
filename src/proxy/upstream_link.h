// What an exchange sends its request over and gets the answer from: an h1 connection, or one stream of an h2 one. The
// exchange sees nothing else of the endpoint's side. Owned by the worker; one loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "http/message.h"
#include "net/address.h"
#include "proxy/message_out.h"

namespace lotse::net {
class Stream;
}

namespace lotse::proxy {

struct UpstreamFailure {
  enum class Stage : std::uint8_t {
    connecting,     // not a byte was sent
    before_answer,  // the request was sent, at least in part; not a byte of the answer came
    in_answer,
  };
  Stage stage = Stage::connecting;
  Errc code = Errc::internal;
  bool was_reused = false;      // it had carried another exchange before
  bool is_unprocessed = false;  // the endpoint says that it has not worked on the request (RFC 9113 section 8.7)
  const char* reason = "";      // static text: what the parser disliked
};

struct ClientAddresses {  // of a client's connection: whose it is, and what it connected to
  net::Address client, local;
};

class UpstreamUser {  // the exchange
 public:
  virtual ClientAddresses client_addresses() const = 0;
  virtual void on_upstream_connected() = 0;
  virtual void on_response_head(const http::ResponseHead& head) = 0;  // 1xx as well
  virtual void on_response_body(std::string_view bytes) = 0;
  virtual void on_response_end(std::span<const http::Field> trailers) = 0;  // the link has let go of the exchange
  virtual void on_upstream_read() = 0;     // after each read, when what it brought was written: time to look at queues
  virtual void on_upstream_drained() = 0;  // what was queued towards the endpoint has gone
  virtual void on_upstream_failed(const UpstreamFailure& failure) = 0;  // the link is closed; the last callback
  virtual net::Stream* response_socket() { return nullptr; }            // where a body may be spliced to; null: nowhere
  virtual void on_response_spliced(std::size_t) {}                      // so much of it was
  virtual void on_tunnel_from_upstream(std::string_view bytes) = 0;
  virtual void on_tunnel_spliced_from_upstream(std::size_t) {}
  virtual void on_tunnel_end_from_upstream() = 0;  // the endpoint sent FIN

 protected:
  ~UpstreamUser() = default;
};

class UpstreamLink {
 public:
  virtual void send_request(const RequestOut& head, std::string_view host_if_none) = 0;
  virtual void send_body(std::string_view bytes) = 0;
  virtual void send_end(std::span<const http::Field> trailers) = 0;  // the request is whole
  virtual void abandon() = 0;                                        // no callback comes any more

  virtual void tunnel_write(std::string_view bytes) = 0;
  virtual void tunnel_end() = 0;  // FIN
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  virtual net::Stream* request_socket() { return nullptr; }  // where the body may be spliced to; null: nowhere
  virtual std::size_t queued_bytes() const = 0;
  virtual std::size_t undelivered_bytes() const = 0;
  virtual bool may_refuse() const = 0;  // it can say that a request was not worked on: any method is worth keeping

 protected:
  ~UpstreamLink() = default;
};

}  // namespace lotse::proxy

// An HTTP/1.1 server for APIs and admin pages (not the proxy's data path): router, whole request bodies up to a bound,
// answers now or later, SSE and other streams with a bounded queue. One loop thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "net/address.h"
#include "net/listen.h"

namespace lotse::net {
class Loop;
}

namespace lotse::http {

struct ServerRequest {
  std::string method;
  std::string path;                                             // as received: percent-encoded, doubled slashes and all
  std::string query;                                            // without "?"
  std::vector<std::pair<std::string, std::string>> parameters;  // decoded, in order
  Fields fields;
  std::string body;
  net::Address peer;
  std::vector<std::string> captures;  // what the route's pattern matched, percent-decoded

  const std::string* field(std::string_view name) const { return find_field(fields, name); }
  std::optional<std::string_view> parameter(std::string_view name) const;  // the first
  bool flag(std::string_view name, bool otherwise) const;                  // "true"/"1"/"" and "false"/"0"
};

struct ServerResponse {
  int status = 200;
  Fields fields;
  std::string body;
  std::string content_type = "application/json";
};

// A body without an end. The queue behind the socket is bounded: a consumer that lags beyond it is disconnected.
class ServerStream {
 public:
  virtual ~ServerStream() = default;               // ends the body cleanly
  virtual bool write(std::string_view bytes) = 0;  // false: closed, or the bound was exceeded and it is closed now
  virtual std::size_t queued_bytes() const = 0;
  virtual bool is_open() const = 0;
  // `on_drained`: nothing is queued any more (produce the next chunk). `on_closed`: the peer has gone; last callback.
  virtual void set_callbacks(std::function<void()> on_drained, std::function<void()> on_closed) = 0;
};

struct StreamOptions {
  int status = 200;
  std::string content_type = "text/event-stream";
  Fields fields;
  std::size_t queue_bytes_max = 1024 * 1024;
};

// The right to answer one request, once. May be moved, kept and used later on the loop's thread; harmless after the
// peer has gone. Destroying it unanswered answers 500.
class Responder {
 public:
  struct Sink;
  Responder() = default;
  explicit Responder(std::shared_ptr<Sink> sink) : sink_(std::move(sink)) {}
  Responder(Responder&&) = default;
  Responder& operator=(Responder&&) = default;
  ~Responder();
  void respond(ServerResponse response);
  std::unique_ptr<ServerStream> stream(StreamOptions options);  // chunked (h1.1) or until close (h1.0)
  bool is_gone() const;                                         // the peer closed: nobody reads the answer

 private:
  std::shared_ptr<Sink> sink_;
};

using Handler = std::function<void(ServerRequest&, Responder)>;

// Patterns are segments: "/v1/agents/{id}/status". `{x}` captures one segment, a last `{x...}` the rest with slashes.
// Doubled slashes and a trailing slash in the request are ignored. The first pattern added that matches wins. A known
// path with another method answers 405 with Allow; unknown: 404 {"message":"..."}.
class Router {
 public:
  void add(std::string_view method, std::string_view pattern, Handler handler);
  void set_fallback(Handler handler);  // instead of the 404
  void dispatch(ServerRequest& request, Responder responder) const;

 private:
  struct Route {
    std::string method;
    std::vector<std::string> segments;
    bool takes_rest = false;
    Handler handler;
  };
  std::vector<Route> routes_;
  Handler fallback_;
};

class Server {
 public:
  struct Options {
    std::size_t body_bytes_max = 8 * 1024 * 1024;  // 413
    std::size_t connections_max = 4096;            // beyond: accept waits
    Duration header_timeout = std::chrono::seconds(10);
    Duration idle_timeout = std::chrono::seconds(60);
    Duration body_timeout = std::chrono::seconds(60);
    Fields common_fields;  // on every answer
  };
  Server(net::Loop& loop, const Router& router, Options options);
  ~Server();                                                 // closes listeners and connections
  Result<net::Address> listen(const net::Address& address);  // the bound address; may be called for several
  Result<net::Address> adopt(net::UniqueFd listening_socket);
  void stop_accepting();
  // Another process accepts from the same sockets: ours stay open but are not looked at, answers say close.
  void hand_over();
  void take_back();
  std::size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::http

// An HTTP/1.1 client for everything but the proxy's data path: agent to Docker, proxy to scheduler, command line.
// TCP and unix sockets, keep-alive, chunked both ways. One loop thread. Callback style; client_async.h has co_await.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/url.h"

namespace lotse::net {
class Loop;
}

namespace lotse::http {

using Fields = std::vector<std::pair<std::string, std::string>>;
const std::string* find_field(const Fields& fields, std::string_view name);  // ignoring case; null: absent

struct ClientRequest {
  std::string method = "GET";
  Endpoint endpoint;
  std::string target = "/";
  Fields fields;                                  // Host, Content-Length and User-Agent are added when absent
  std::string body;                               // with a body a Content-Type may be wanted: the caller says it
  Duration timeout = std::chrono::seconds(30);    // whole exchange; for streams: to the response head
  std::size_t body_bytes_max = 64 * 1024 * 1024;  // of the answer: Errc::too_large
};
struct ClientResponse {
  int status = 0;
  Fields fields;
  std::string body;
};

class ClientListener {  // for streaming answers (SSE, logs, docker events, pull progress)
 public:
  virtual void on_head(int status, const Fields& fields) = 0;
  virtual void on_body(std::string_view bytes) = 0;
  virtual void on_complete() = 0;           // last callback
  virtual void on_failed(Error error) = 0;  // last callback

 protected:
  ~ClientListener() = default;
};

class Call {  // destroying it cancels: no callback comes, the connection closes
 public:
  virtual ~Call() = default;
  virtual void pause() = 0;  // streaming: stop reading
  virtual void resume() = 0;
};

class Client {
 public:
  struct Options {
    std::size_t idle_connections_max = 8;  // per endpoint
    Duration idle_timeout = std::chrono::seconds(30);
    Duration connect_timeout = std::chrono::seconds(5);
    std::string user_agent = "lotse";
  };
  explicit Client(net::Loop& loop) : Client(loop, Options{}) {}
  Client(net::Loop& loop, Options options);
  ~Client();  // cancels every call

  // `on_done` comes from the loop, never from inside send(). A kept-alive connection that dies before a byte of the
  // answer is replaced once for idempotent requests. The answer may have any status.
  [[nodiscard]] std::unique_ptr<Call> send(ClientRequest request, std::function<void(Result<ClientResponse>)> on_done);
  [[nodiscard]] std::unique_ptr<Call> stream(ClientRequest request, ClientListener& listener);
  net::Loop& loop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::http

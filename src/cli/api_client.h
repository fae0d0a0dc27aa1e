// Calls from the command line to the scheduler's or the proxy's HTTP API: one at a time, each run to its end on a loop
// of its own. For people at a terminal, so errors are sentences that name the address. Main thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "net/loop.h"

namespace lotse::cli {

struct ApiAnswer {
  int status = 0;
  std::string body;
  bool is_success() const { return status >= 200 && status < 300; }
};

class ApiClient {
 public:
  // `base` is "http://host:port"; "host:port" is taken as well.
  static Result<ApiClient, Problem> open(std::string_view base);
  ApiClient(ApiClient&&) noexcept;
  ~ApiClient();

  // A Problem when no answer came ("no scheduler answers at http://127.0.0.1:8080: connection refused").
  Result<ApiAnswer, Problem> call(std::string method, std::string target, std::string body = {});
  // The same, and a status outside 2xx is a Problem with the server's message.
  Result<ApiAnswer, Problem> expect_success(std::string method, std::string target, std::string body = {});
  // Hands pieces of the body to `on_bytes` until it ends; for logs. Ctrl-C ends the program.
  Result<ApiAnswer, Problem> stream(std::string target, const std::function<void(std::string_view)>& on_bytes);

  void wait(Duration duration);  // lets time pass between two polls
  const std::string& base() const { return base_; }

 private:
  ApiClient(std::string base, http::Endpoint endpoint);
  Problem unreachable(const Error& error) const;

  std::string base_;
  http::Endpoint endpoint_;
  std::unique_ptr<net::Loop> loop_;
  std::unique_ptr<http::Client> client_;
};

// The words of an error answer: Marathon's message and details, else the body, else the status.
std::string error_text(const ApiAnswer& answer);

}  // namespace lotse::cli

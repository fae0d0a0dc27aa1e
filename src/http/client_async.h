// `Result<ClientResponse> answer = co_await fetch(client, std::move(request));` Destroying the frame cancels.
#pragma once

#include <coroutine>
#include <optional>

#include "http/client.h"

namespace lotse::http {

class Fetch {
 public:
  Fetch(Client& client, ClientRequest request) : client_(client), request_(std::move(request)) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    call_ = client_.send(std::move(request_), [this, waiter](Result<ClientResponse> answer) {
      answer_.emplace(std::move(answer));
      waiter.resume();
    });
  }
  Result<ClientResponse> await_resume() { return std::move(*answer_); }

 private:
  Client& client_;
  ClientRequest request_;
  std::unique_ptr<Call> call_;
  std::optional<Result<ClientResponse>> answer_;
};
inline Fetch fetch(Client& client, ClientRequest request) { return Fetch(client, std::move(request)); }

}  // namespace lotse::http

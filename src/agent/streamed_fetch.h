// An HTTP exchange whose answer is handed over piece by piece while a coroutine waits for its end: pull progress, logs,
// exec output. `StreamedFetch fetch(...); auto status = co_await fetch;` Destroying it cancels.
#pragma once

#include <coroutine>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "http/client.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::agent {

class StreamedFetch final : private http::ClientListener {
 public:
  // `deadline` bounds the whole exchange: Errc::timed_out.
  StreamedFetch(http::Client& client, http::ClientRequest request, Duration deadline,
                std::function<void(int status, std::string_view)> on_body)
      : client_(client),
        request_(std::move(request)),
        deadline_(deadline),
        on_body_(std::move(on_body)),
        timer_(client.loop().timers(), [this] { finish(fail(Error{.code = Errc::timed_out})); }) {}
  StreamedFetch(const StreamedFetch&) = delete;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    timer_.start(deadline_);
    call_ = client_.stream(std::move(request_), *this);
  }
  Result<int> await_resume() { return std::move(*result_); }

 private:
  void on_head(int status, const http::Fields&) override { status_ = status; }
  void on_body(std::string_view bytes) override { on_body_(status_, bytes); }
  void on_complete() override { finish(status_); }
  void on_failed(Error error) override { finish(fail(error)); }
  void finish(Result<int> result) {
    timer_.stop();
    result_.emplace(std::move(result));
    waiter_.resume();  // last: the frame that holds us may be gone afterwards
  }

  http::Client& client_;
  http::ClientRequest request_;
  Duration deadline_;
  std::function<void(int, std::string_view)> on_body_;
  net::Timer timer_;
  std::unique_ptr<http::Call> call_;
  std::coroutine_handle<> waiter_;
  std::optional<Result<int>> result_;
  int status_ = 0;
};

}  // namespace lotse::agent

// Does somebody accept a connection there? `auto verdict = co_await connect;` The connection is closed at once: a probe
// says nothing. Destroying it cancels. One loop thread.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "agent/probe_targets.h"
#include "base/async.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/timers.h"

namespace lotse::agent {

class TcpConnect final : private net::StreamListener {
 public:
  TcpConnect(net::Loop& loop, const ProbeAddress& address, Duration timeout)
      : loop_(loop),
        address_(net::Address::from_ip(address.ip, address.port)),
        timeout_(timeout),
        timer_(loop.timers(), [this] { finish(fail(Error{.code = Errc::timed_out})); }) {}
  TcpConnect(const TcpConnect&) = delete;

  bool await_ready() const { return !address_; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    timer_.start(timeout_);
    stream_ = net::connect(loop_, *address_, *this);
  }
  Result<Unit> await_resume() {
    if (!result_) return fail(Error{.code = Errc::invalid_argument});
    return *result_;
  }

 private:
  void on_connected() override { finish(Unit{}); }
  void on_bytes(std::span<const char>) override {}
  void on_end() override {}
  void on_error(Error error) override { finish(fail(error)); }
  void finish(Result<Unit> result) {
    timer_.stop();
    stream_.reset();
    result_ = result;
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();  // last: it may destroy us
  }

  net::Loop& loop_;
  Result<net::Address, Problem> address_;
  Duration timeout_;
  net::Timer timer_;
  std::unique_ptr<net::Stream> stream_;
  std::coroutine_handle<> waiter_;
  std::optional<Result<Unit>> result_;
};

}  // namespace lotse::agent

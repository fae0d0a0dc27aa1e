// A command of the agent's own that is awaited: `auto code = co_await run;` gives its exit code, or nothing when the
// time was over; then its whole group is killed. Destroying it kills as well: a command nobody waits for has no
// business running. Loop thread.
#pragma once

#include <signal.h>

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "base/async.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/process.h"
#include "net/timers.h"

namespace lotse::agent {

class CommandRun {
 public:
  CommandRun(net::Loop& loop, Duration timeout)
      : timer_(loop.timers(), [this] { finish(std::nullopt); }), timeout_(timeout) {}
  CommandRun(const CommandRun&) = delete;
  ~CommandRun() {
    if (process_ && !ended_) process_->kill(SIGKILL, true);
  }
  Result<Unit> spawn(net::Loop& loop, const net::ProcessOptions& options) {
    auto process = net::Process::spawn(loop, options, [this](int code, int signal) {
      ended_ = true;
      finish(signal != 0 ? 128 + signal : code);
    });
    if (!process) return fail(process.error());
    process_ = std::move(*process);
    timer_.start(timeout_);
    return Unit{};
  }
  bool await_ready() const { return ended_; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  std::optional<int> await_resume() { return code_; }

 private:
  void finish(std::optional<int> code) {
    timer_.stop();
    code_ = code;
    if (!code && process_) process_->kill(SIGKILL, true);
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }
  net::Timer timer_;
  Duration timeout_;
  std::unique_ptr<net::Process> process_;
  std::coroutine_handle<> waiter_;
  std::optional<int> code_;
  bool ended_ = false;
};

}  // namespace lotse::agent

// For the rooms that use coroutines: waiting for time. `co_await sleep(loop, 250ms)`; destroying the frame cancels.
#pragma once

#include <coroutine>

#include "net/loop.h"
#include "net/timers.h"

namespace lotse::net {

class Sleep {
 public:
  Sleep(Loop& loop, Duration delay) : timer_(loop.timers(), [this] { waiter_.resume(); }), delay_(delay) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    timer_.start(delay_);
  }
  void await_resume() const {}

 private:
  std::coroutine_handle<> waiter_;
  Timer timer_;
  Duration delay_;
};

inline Sleep sleep(Loop& loop, Duration delay) { return Sleep(loop, delay); }

}  // namespace lotse::net

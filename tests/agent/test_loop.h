// Runs a loop until something is so, or fails the test after a generous time. No sleeping: it looks after every 2 ms.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "base/async.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::agent {

inline bool run_until(net::Loop& loop, const std::function<bool()>& is_so,
                      Duration patience = std::chrono::seconds(30)) {
  Instant deadline = loop.clock().now() + patience;
  std::function<void()> look;
  net::Timer timer(loop.timers(), [&] { look(); });
  look = [&] {
    if (is_so() || loop.clock().now() > deadline) return loop.stop();
    timer.start(std::chrono::milliseconds(2));
  };
  timer.start(Duration::zero());
  loop.run();
  return is_so();
}

template <typename T>
T run_async(net::Loop& loop, Async<T> coroutine) {
  coroutine.start();
  EXPECT_TRUE(run_until(
      loop, [&] { return coroutine.done(); }, std::chrono::seconds(60)));
  return std::move(coroutine.result());
}

}  // namespace lotse::agent

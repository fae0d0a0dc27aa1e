// Runs a loop until something a test waits for has come true, and fails the test when it does not.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "net/loop.h"
#include "net/timers.h"

namespace lotse::scheduler {

inline constexpr Duration kPatience = std::chrono::seconds(30);  // only ever spent by a failing test

[[nodiscard]] inline bool run_until(net::Loop& loop, const std::function<bool()>& is_done,
                                    Duration patience = kPatience) {
  Instant end = loop.clock().now() + patience;
  net::Timer check(loop.timers(), [&] {
    if (is_done() || loop.clock().now() >= end) return loop.stop();
    check.start(std::chrono::milliseconds(1));
  });
  check.start(Duration{0});
  loop.run();
  return is_done();
}

}  // namespace lotse::scheduler

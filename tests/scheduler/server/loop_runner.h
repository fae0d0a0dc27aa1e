// Runs a loop until something a test waits for has come true, and fails the test when it does not.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "net/loop.h"
#include "net/timers.h"

namespace lotse::scheduler {

inline constexpr Duration kPatience = std::chrono::seconds(30);  // only ever spent by a failing test

// `is_done` is asked between slices of the loop, so it may itself wait for something.
[[nodiscard]] inline bool run_until(net::Loop& loop, const std::function<bool()>& is_done,
                                    Duration patience = kPatience) {
  Instant end = loop.clock().now() + patience;
  net::Timer slice(loop.timers(), [&] { loop.stop(); });
  while (!is_done()) {
    if (loop.clock().now() >= end) return false;
    slice.start(std::chrono::milliseconds(1));
    loop.run();
  }
  return true;
}

}  // namespace lotse::scheduler

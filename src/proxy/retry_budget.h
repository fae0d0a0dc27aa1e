// How many retries a worker may add to its load: a share of its requests, above a floor. A worker's part of the
// process's budget is its share of the floor and of the requests, so nothing is shared between workers. One thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"

namespace lotse::proxy {

class RetryBudget {
 public:
  explicit RetryBudget(std::uint64_t floor_per_second) : floor_(std::max<std::uint64_t>(floor_per_second, 1)) {}

  // `requests`: this worker's count so far. `now` only moves forward.
  bool take(int percent, std::uint64_t requests, Instant now) {
    if (now - window_start_ >= std::chrono::seconds(1)) {
      requests_before_ = now - window_start_ < std::chrono::seconds(2) ? requests - requests_at_start_ : 0;
      window_start_ = now;
      requests_at_start_ = requests;
      taken_ = 0;
    }
    std::uint64_t in_window = std::max(requests - requests_at_start_, requests_before_);
    if (taken_ >= std::max(floor_, in_window * static_cast<std::uint64_t>(percent) / 100)) return false;
    ++taken_;
    return true;
  }

 private:
  std::uint64_t floor_;
  Instant window_start_{};
  std::uint64_t requests_at_start_ = 0, requests_before_ = 0, taken_ = 0;
};

}  // namespace lotse::proxy

// A clock that stands still until a test moves it. For everything that takes a Clock&; with net::Timers it drives
// timers too (clock.advance(5s); timers.run_due();). One thread.
#pragma once

#include "base/clock.h"

namespace lotse {

class FakeClock final : public Clock {
 public:
  Instant now() const override { return now_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration by) {
    now_ += by;
    wall_rest_ += by;
    auto whole = std::chrono::floor<std::chrono::milliseconds>(wall_rest_);
    wall_ += whole;
    wall_rest_ -= whole;
  }
  void set_wall(WallTime wall) { wall_ = wall; }  // people turn wall clocks; Instants do not notice

 private:
  Instant now_{std::chrono::hours(1000)};
  WallTime wall_{std::chrono::sys_days(
      std::chrono::year_month_day{std::chrono::year(2026), std::chrono::January, std::chrono::day(1)})};
  Duration wall_rest_{0};  // below the millisecond that WallTime can show
};

}  // namespace lotse

// Time as an argument. `Instant` counts while the machine is suspended (CLOCK_BOOTTIME), so that a lease is over after
// a suspend as well; `WallTime` is for people and for Marathon's version timestamps, never for measuring.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace lotse {

using Duration = std::chrono::nanoseconds;

struct BootClock {  // a std::chrono clock type, never read directly: ask a Clock
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};
using Instant = BootClock::time_point;
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

struct Now {
  Instant instant;
  WallTime wall;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
  Now both() const { return {now(), wall()}; }
};

// Only net and cli create one; everyone else is handed a Clock&.
class SystemClock final : public Clock {
 public:
  Instant now() const override;
  WallTime wall() const override;
};

// Marathon's form, which is also its version key: "2015-08-26T20:23:39.463Z".
std::string format_timestamp(WallTime time);
std::optional<WallTime> parse_timestamp(std::string_view text);

// "250ms", "20s", "1m", "1h": a unit is required. Errors are nullopt.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration duration);

}  // namespace lotse

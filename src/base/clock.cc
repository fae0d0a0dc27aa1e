#include "base/clock.h"

#include <fmt/chrono.h>
#include <fmt/core.h>
#include <time.h>

#include <charconv>

namespace lotse {
namespace {

using std::chrono::milliseconds;

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  int value = 0;
  if (text.size() < at + count) return std::nullopt;
  auto [end, code] = std::from_chars(text.data() + at, text.data() + at + count, value);
  if (code != std::errc{} || end != text.data() + at + count || text[at] == '-') return std::nullopt;
  return value;
}

}  // namespace

Instant SystemClock::now() const {
  timespec ts{};
  clock_gettime(CLOCK_BOOTTIME, &ts);
  return Instant(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

WallTime SystemClock::wall() const {
  return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

std::string format_timestamp(WallTime time) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  std::time_t seconds_since_epoch = seconds.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds_since_epoch, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (time - seconds).count());
}

std::optional<WallTime> parse_timestamp(std::string_view text) {
  if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != '.' || text[23] != 'Z') {
    return std::nullopt;
  }
  auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2), hour = digits(text, 11, 2),
       minute = digits(text, 14, 2), second = digits(text, 17, 2), millis = digits(text, 20, 3);
  if (!year || !month || !day || !hour || !minute || !second || !millis) return std::nullopt;
  std::chrono::year_month_day date{std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                   std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + milliseconds(*millis);
}

std::optional<Duration> parse_duration(std::string_view text) {
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || !(value >= 0)) return std::nullopt;
  std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double nanoseconds = unit == "us"   ? 1e3
                       : unit == "ms" ? 1e6
                       : unit == "s"  ? 1e9
                       : unit == "m"  ? 60e9
                       : unit == "h"  ? 3600e9
                       : unit == "d"  ? 86400e9
                                      : 0;
  if (nanoseconds == 0 || value * nanoseconds > 9e18) return std::nullopt;
  return Duration(static_cast<Duration::rep>(value * nanoseconds));
}

std::string format_duration(Duration duration) {
  auto count = duration.count();
  if (count % 1'000'000'000 == 0) return fmt::format("{}s", count / 1'000'000'000);
  if (count % 1'000'000 == 0) return fmt::format("{}ms", count / 1'000'000);
  return fmt::format("{:.3f}ms", static_cast<double>(count) / 1e6);
}

}  // namespace lotse

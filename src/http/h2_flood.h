// How much of what costs us work and brings nobody forward a peer of HTTP/2 may send: a bound for each kind of frame in
// each span of ten seconds (PROXY.md "Defaults"; CVE-2019-9511 to 9518, CVE-2023-44487, CVE-2025-8671). Counts only;
// H2Session ends the connection. Pure: time is an argument.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace lotse::http {

enum class H2Flood : std::uint8_t {
  resets,          // RST_STREAM of the peer, and those of ours that a mistake of the peer's made us send
  pings,           // PING
  settings,        // SETTINGS
  window_updates,  // WINDOW_UPDATE, beyond ten for each DATA frame we sent and two for each stream
  empty_frames,    // DATA, HEADERS and CONTINUATION that carry nothing and end nothing
  other_frames,    // PRIORITY and what nobody knows, beyond two for each stream
};
inline constexpr std::size_t kH2Floods = 6;

struct H2FloodLimits {  // per connection and ten seconds
  int resets_max = 200;
  int pings_max = 200;
  int settings_max = 200;
  int window_updates_max = 200;
  int empty_frames_max = 200;
  int other_frames_max = 200;
  bool operator==(const H2FloodLimits&) const = default;
};

class H2FloodMeter {
 public:
  explicit H2FloodMeter(const H2FloodLimits& limits)
      : limits_{limits.resets_max,         limits.pings_max,        limits.settings_max,
                limits.window_updates_max, limits.empty_frames_max, limits.other_frames_max} {}

  bool is_too_much(H2Flood kind, Instant now);  // one more has come
  // What makes frames of the peer's worth having.
  void on_stream() { earned_[kWindowUpdates] += 2, earned_[kOtherFrames] += 2; }
  void on_data_sent() { earned_[kWindowUpdates] += 10; }

 private:
  static constexpr auto kWindowUpdates = static_cast<std::size_t>(H2Flood::window_updates);
  static constexpr auto kOtherFrames = static_cast<std::size_t>(H2Flood::other_frames);

  std::array<int, kH2Floods> limits_;
  std::array<std::int64_t, kH2Floods> seen_{}, earned_{};
  Instant span_begin_{};
};

}  // namespace lotse::http

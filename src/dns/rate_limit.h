// How many full answers a network may get by UDP in a second. The sender of a datagram can be forged, so an open server
// can be made to shout at others: beyond the rate it says "ask by TCP" in as many bytes as it was asked in. Fixed
// memory: networks share the buckets by hash. Pure; the caller tells the time.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/clock.h"

namespace lotse::dns {

class RateLimit {
 public:
  explicit RateLimit(std::uint32_t per_second) : per_second_(per_second) {}
  // `ip`: "10.0.0.1" counts with its /24, "fd00::1" by itself. Loopback is never limited; a rate of 0 limits nobody.
  bool takes(std::string_view ip, Instant now);

 private:
  struct Bucket {
    std::int64_t second = 0;
    std::uint32_t count = 0;
  };
  std::uint32_t per_second_;
  std::array<Bucket, 4096> buckets_{};
};

}  // namespace lotse::dns

// How busy a loop is: what it adds up at the end of each turn (from the first event after a poll until the next poll).
// Written by the loop's thread alone with plain stores, readable from any thread. A turn that never ends is not seen
// here: whoever must know posts something and waits for it (proxy/stall_watch.h).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace lotse::net {

class LoopLoad {
 public:
  // Bucket n counts turns shorter than bound(n), the last one those that are longer than all bounds.
  static constexpr std::size_t kBuckets = 10;
  static constexpr Duration bound(std::size_t bucket) { return Duration(std::int64_t{1} << (16 + 2 * bucket)); }

  void add(Duration turn) {
    auto nanoseconds = static_cast<std::uint64_t>(turn.count() > 0 ? turn.count() : 0);
    add(turns_[index_of(nanoseconds)], 1);
    add(busy_ns_, nanoseconds);
    if (nanoseconds > longest_ns_.load(std::memory_order_relaxed))
      longest_ns_.store(nanoseconds, std::memory_order_relaxed);
  }
  std::uint64_t turns_in(std::size_t bucket) const { return turns_[bucket].load(std::memory_order_relaxed); }
  Duration busy() const { return to_duration(busy_ns_.load(std::memory_order_relaxed)); }
  // The longest turn since the last call. A turn that ends at the same moment may be missed; the buckets have it.
  Duration take_longest() { return to_duration(longest_ns_.exchange(0, std::memory_order_relaxed)); }

  static constexpr std::size_t index_of(std::uint64_t nanoseconds) {
    auto bits = static_cast<std::size_t>(std::bit_width(nanoseconds));
    if (bits <= 16) return 0;
    std::size_t index = (bits - 15) / 2;
    return index < kBuckets ? index : kBuckets - 1;
  }

 private:
  using Number = std::atomic<std::uint64_t>;
  static void add(Number& number, std::uint64_t amount) {  // one writer: no locked instruction
    number.store(number.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  static Duration to_duration(std::uint64_t nanoseconds) { return Duration(static_cast<Duration::rep>(nanoseconds)); }

  std::array<Number, kBuckets> turns_{};
  Number busy_ns_{0}, longest_ns_{0};
};

}  // namespace lotse::net

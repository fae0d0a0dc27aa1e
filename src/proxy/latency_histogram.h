// Latencies in fixed memory: buckets grow by an eighth of an octave (at most 12.5 % wide), from 16 µs to 67 s. Written
// by one worker, read and merged by the main thread.
#pragma once

#include <array>
#include <bit>
#include <cstddef>

#include "base/clock.h"
#include "proxy/counter.h"

namespace lotse::proxy {

class LatencyHistogram {
 public:
  static constexpr std::size_t kFirstOctave = 4;  // 2^4 µs
  static constexpr std::size_t kOctaves = 22;     // up to 2^26 µs, 67 s; longer ones land in the last bucket
  static constexpr std::size_t kBuckets = kOctaves * 8;

  void record(Duration latency) {
    auto micros = static_cast<std::uint64_t>(latency.count() > 0 ? latency.count() / 1000 : 0);
    buckets_[index_of(micros)].add();
    sum_micros_.add(micros);
  }
  std::uint64_t count_in(std::size_t bucket) const { return buckets_[bucket].get(); }
  std::uint64_t sum_micros() const { return sum_micros_.get(); }

  static std::size_t index_of(std::uint64_t micros) {
    if (micros < (1U << kFirstOctave)) return 0;
    std::size_t octave = static_cast<std::size_t>(std::bit_width(micros)) - 1;
    std::size_t eighth = (micros >> (octave - 3)) & 7;
    std::size_t index = (octave - kFirstOctave) * 8 + eighth;
    return index < kBuckets ? index : kBuckets - 1;
  }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_micros_;
};

}  // namespace lotse::proxy

// Latencies in fixed memory, HDR-like: octaves of microseconds from 16 µs to 67 s, each split evenly into 2^SplitBits
// buckets. A latency inside that range is known to within one bucket: 1/2^SplitBits of its octave's bound, 12.5 % with
// 3 bits; the middle of a bucket, which the percentiles answer with, is off by at most 6.25 %. Shorter ones land in the
// first bucket, longer ones in the last. Written by one worker, merged on read by the main thread (LatencyMerge).
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "proxy/counter.h"

namespace lotse::proxy {

template <std::size_t SplitBits>
class BasicLatencyHistogram {
 public:
  static constexpr std::size_t kFirstOctave = 4;  // 2^4 µs
  static constexpr std::size_t kOctaves = 22;     // up to 2^26 µs
  static constexpr std::size_t kSplits = std::size_t{1} << SplitBits;
  static constexpr std::size_t kBuckets = kOctaves * kSplits;

  void record(Duration latency) {
    auto micros = static_cast<std::uint64_t>(latency.count() > 0 ? latency.count() : 0) / 1000;
    buckets_[index_of(micros)].add();
    sum_micros_.add(micros);
  }
  std::uint64_t count_in(std::size_t bucket) const { return buckets_[bucket].get(); }
  std::uint64_t sum_micros() const { return sum_micros_.get(); }

  static constexpr std::size_t index_of(std::uint64_t micros) {
    if (micros < (std::uint64_t{1} << kFirstOctave)) return 0;
    std::size_t octave = static_cast<std::size_t>(std::bit_width(micros)) - 1;
    std::size_t split = (micros >> (octave - SplitBits)) & (kSplits - 1);
    std::size_t index = (octave - kFirstOctave) * kSplits + split;
    return index < kBuckets ? index : kBuckets - 1;
  }
  // The first microsecond of a bucket; of kBuckets: the end of the range.
  static constexpr std::uint64_t begin_of(std::size_t bucket) {
    std::size_t octave = bucket / kSplits + kFirstOctave, split = bucket % kSplits;
    return (std::uint64_t{1} << octave) + split * (std::uint64_t{1} << (octave - SplitBits));
  }

 private:
  static_assert(SplitBits <= kFirstOctave);
  std::array<Counter, kBuckets> buckets_;
  Counter sum_micros_;
};

using LatencyHistogram = BasicLatencyHistogram<3>;
using CoarseLatencyHistogram = BasicLatencyHistogram<1>;  // 352 bytes: for what is seldom looked at closely

// The sum of what several workers have recorded, as of now.
template <std::size_t SplitBits>
class LatencyMerge {
 public:
  using Histogram = BasicLatencyHistogram<SplitBits>;

  void add(const Histogram& one) {
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      std::uint64_t here = one.count_in(i);
      counts_[i] += here;
      count_ += here;
    }
    sum_micros_ += one.sum_micros();
  }
  std::uint64_t count() const { return count_; }
  double sum_seconds() const { return static_cast<double>(sum_micros_) / 1e6; }
  double mean_seconds() const { return count_ > 0 ? sum_seconds() / static_cast<double>(count_) : 0; }

  // How many were below 2^octave µs (an octave's bound, so nothing is estimated).
  std::uint64_t count_below(std::size_t octave) const {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < Histogram::kBuckets && Histogram::begin_of(i) < (std::uint64_t{1} << octave); ++i)
      sum += counts_[i];
    return sum;
  }
  // The middle of the bucket in which the `share` (0..1) smallest end; 0 when there is nothing.
  double quantile_seconds(double share) const {
    auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(count_) + 0.5);
    if (wanted < 1) wanted = 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted && counts_[i] > 0) return middle_of(i);
    }
    return 0;
  }

 private:
  static double middle_of(std::size_t bucket) {
    return static_cast<double>(Histogram::begin_of(bucket) + Histogram::begin_of(bucket + 1)) / 2 / 1e6;
  }

  std::array<std::uint64_t, Histogram::kBuckets> counts_{};
  std::uint64_t count_ = 0, sum_micros_ = 0;
};

}  // namespace lotse::proxy

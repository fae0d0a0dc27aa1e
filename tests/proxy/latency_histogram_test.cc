#include "proxy/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/random.h"

namespace lotse::proxy {
namespace {

using namespace std::chrono_literals;

TEST(LatencyHistogram, EveryMicrosecondFallsBetweenItsBucketsBounds) {
  for (std::uint64_t micros = 16; micros < (1 << 21); micros += 1 + micros / 64) {
    std::size_t bucket = LatencyHistogram::index_of(micros);
    ASSERT_LE(LatencyHistogram::begin_of(bucket), micros);
    ASSERT_GT(LatencyHistogram::begin_of(bucket + 1), micros);
  }
}

TEST(LatencyHistogram, BucketsAreInOrderAndAtMostAnEighthWide) {
  for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
    double begin = static_cast<double>(LatencyHistogram::begin_of(i));
    double end = static_cast<double>(LatencyHistogram::begin_of(i + 1));
    ASSERT_GT(end, begin);
    ASSERT_LE((end - begin) / begin, 0.125);
    ASSERT_EQ(LatencyHistogram::index_of(LatencyHistogram::begin_of(i)), i);
    ASSERT_EQ(LatencyHistogram::index_of(LatencyHistogram::begin_of(i + 1) - 1), i);
  }
}

TEST(LatencyHistogram, WhatIsOutOfRangeLandsInTheFirstAndTheLastBucket) {
  LatencyHistogram histogram;
  histogram.record(Duration(-1));  // no clock of ours goes back, but nothing may be indexed with it
  histogram.record(0ns);
  histogram.record(15us);
  histogram.record(67s);
  histogram.record(24h * 365);
  histogram.record(Duration::max());
  EXPECT_EQ(histogram.count_in(0), 3U);
  EXPECT_EQ(histogram.count_in(LatencyHistogram::kBuckets - 1), 3U);
}

TEST(LatencyHistogram, QuantilesAreWithinAFifteenthOfTheTruth) {
  Random random(7);
  auto histogram = std::make_unique<LatencyHistogram>();
  std::vector<double> truth;
  for (int i = 0; i < 20'000; ++i) {
    double share = static_cast<double>(random.next() >> 11) / static_cast<double>(std::uint64_t{1} << 53);
    double micros = 20 * std::pow(1e5, share);  // 20 µs to 2 s, evenly over the octaves
    histogram->record(Duration(static_cast<std::int64_t>(micros * 1000)));
    truth.push_back(micros / 1e6);
  }
  std::sort(truth.begin(), truth.end());
  LatencyMerge<3> merged;
  merged.add(*histogram);
  for (double share : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    double exact = truth[static_cast<std::size_t>(share * 20'000)];
    EXPECT_NEAR(merged.quantile_seconds(share), exact, exact / 15) << share;
  }
  EXPECT_EQ(merged.count(), 20'000U);
}

TEST(LatencyHistogram, PartsMergeIntoOne) {
  LatencyHistogram first, second;
  for (int i = 0; i < 90; ++i) first.record(1ms);
  for (int i = 0; i < 10; ++i) second.record(1s);
  LatencyMerge<3> merged;
  EXPECT_EQ(merged.quantile_seconds(0.5), 0) << "of nothing";
  merged.add(first);
  merged.add(second);
  EXPECT_EQ(merged.count(), 100U);
  EXPECT_NEAR(merged.sum_seconds(), 10.09, 1e-9);
  EXPECT_NEAR(merged.quantile_seconds(0.9), 0.001, 0.0001);
  EXPECT_NEAR(merged.quantile_seconds(0.91), 1, 0.07);
  EXPECT_EQ(merged.count_below(10), 90U) << "below 1.024 ms";
  EXPECT_EQ(merged.count_below(9), 0U);
  EXPECT_EQ(merged.count_below(40), 100U);
}

TEST(LatencyHistogram, ACoarseOneHasHalfOctaves) {
  EXPECT_LE(sizeof(CoarseLatencyHistogram), 360U);
  CoarseLatencyHistogram histogram;
  histogram.record(1ms);
  LatencyMerge<1> merged;
  merged.add(histogram);
  EXPECT_NEAR(merged.quantile_seconds(0.5), 0.001, 0.00026);
}

}  // namespace
}  // namespace lotse::proxy

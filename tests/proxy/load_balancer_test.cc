// Turns, weights, draws of two, and what is picked when nothing good is left. Also the retry budget and the histogram.
#include "proxy/load_balancer.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "proxy/latency_histogram.h"
#include "proxy/retry_budget.h"

namespace lotse::proxy {
namespace {

using namespace std::chrono_literals;

class LoadBalancerTest : public ::testing::Test {
 protected:
  EndpointSet make(Balance balance, std::vector<std::pair<model::EndpointState, std::uint32_t>> members,
                   const std::set<std::size_t>& ejected = {}) {
    std::vector<EndpointSet::Member> all;
    for (const auto& [state, weight] : members) {
      model::Endpoint endpoint;
      endpoint.task = "t" + std::to_string(all.size());
      endpoint.host = "127.0.0.1";
      all.push_back({.record = std::make_shared<EndpointRecord>(endpoint, 1),
                     .state = state,
                     .weight = weight,
                     .is_ejected = ejected.contains(all.size())});
    }
    return EndpointSet({"/app", ""}, balance, stats, std::move(all));
  }
  std::map<std::string, int> spread(const EndpointSet& set, int picks) {
    std::map<std::string, int> counts;
    for (int i = 0; i < picks; ++i) {
      Pick pick = balancer.pick(set, cursor, {});
      if (pick.member != nullptr) ++counts[pick.member->record->endpoint.task];
    }
    return counts;
  }
  static constexpr auto kUp = model::EndpointState::up;
  static constexpr auto kDown = model::EndpointState::down;
  static constexpr auto kDraining = model::EndpointState::draining;
  AppStats stats{"/app", 1};
  LoadBalancer balancer{0, Random(1)};
  std::uint64_t cursor = 0;
};

TEST_F(LoadBalancerTest, RoundRobinTakesTurns) {
  EndpointSet set = make(Balance::round_robin, {{kUp, 100}, {kUp, 100}, {kUp, 100}});
  EXPECT_EQ(spread(set, 300), (std::map<std::string, int>{{"t0", 100}, {"t1", 100}, {"t2", 100}}));
}

TEST_F(LoadBalancerTest, AnEjectedOneIsTakenOnlyWhenNoOtherUpOneIsLeft) {
  EndpointSet set = make(Balance::round_robin, {{kUp, 100}, {kUp, 100}, {kDown, 100}}, {0});
  EXPECT_EQ(spread(set, 100), (std::map<std::string, int>{{"t1", 100}}));
  const EndpointRecord* failed[] = {set.members()[0].record.get()};
  ASSERT_EQ(failed[0]->endpoint.task, "t1");
  Pick pick = balancer.pick(set, cursor, {.avoid = failed});
  ASSERT_NE(pick.member, nullptr);
  EXPECT_EQ(pick.member->record->endpoint.task, "t0");  // rather than a down one
}

TEST_F(LoadBalancerTest, RoundRobinFollowsWeights) {
  EndpointSet set = make(Balance::round_robin, {{kUp, 100}, {kUp, 300}, {kUp, 0}});
  auto counts = spread(set, 4000);
  EXPECT_NEAR(counts["t0"], 1000, 20);
  EXPECT_NEAR(counts["t1"], 3000, 20);
  EXPECT_EQ(counts["t2"], 0);
}

TEST_F(LoadBalancerTest, P2cPrefersTheLessBusyAndReachesAll) {
  EndpointSet set = make(Balance::p2c, {{kUp, 100}, {kUp, 100}, {kUp, 100}});
  auto counts = spread(set, 3000);
  for (const auto& [task, count] : counts) EXPECT_GT(count, 800) << task;
  set.members()[0].record->states[0].in_flight.add(10);
  EXPECT_EQ(spread(set, 1000)["t0"], 0);  // of two drawn, the other one is always less busy
}

TEST_F(LoadBalancerTest, ADownOneIsPickedOnlyWithoutAnUpOneAndADrainingOneNever) {
  EndpointSet some_up = make(Balance::p2c, {{kDown, 100}, {kUp, 100}, {kDraining, 100}});
  EXPECT_EQ(spread(some_up, 100), (std::map<std::string, int>{{"t1", 100}}));
  EndpointSet none_up = make(Balance::p2c, {{kDown, 100}, {kDraining, 100}, {kDown, 100}});
  EXPECT_EQ(spread(none_up, 100), (std::map<std::string, int>{{"t0", 50}, {"t2", 50}}));
  EndpointSet leaving = make(Balance::p2c, {{kDraining, 100}});
  EXPECT_EQ(balancer.pick(leaving, cursor, {}).outcome, Pick::Outcome::none);
  EndpointSet empty = make(Balance::round_robin, {});
  EXPECT_EQ(balancer.pick(empty, cursor, {}).outcome, Pick::Outcome::none);
}

TEST_F(LoadBalancerTest, ASuspectOneComesLastAndAFailedOneNotAgain) {
  EndpointSet set = make(Balance::round_robin, {{kUp, 100}, {kUp, 100}});
  const EndpointRecord* first = set.members()[0].record.get();
  set.members()[0].record->states[0].suspect_until = Instant(10s);
  for (int i = 0; i < 4; ++i) EXPECT_NE(balancer.pick(set, cursor, {.now = Instant(5s)}).member->record.get(), first);
  std::vector<const EndpointRecord*> failed{set.members()[1].record.get()};
  EXPECT_EQ(balancer.pick(set, cursor, {.avoid = failed, .now = Instant(5s)}).member->record.get(), first);
  failed.push_back(first);
  EXPECT_EQ(balancer.pick(set, cursor, {.avoid = failed}).outcome, Pick::Outcome::none);
  EXPECT_EQ(balancer.pick(set, cursor, {.avoid = failed, .may_repeat = true}).outcome, Pick::Outcome::picked);
}

TEST_F(LoadBalancerTest, WaitsWhenEveryUpOneIsFullRatherThanTakeADownOne) {
  balancer.set_connections_max(2);
  EndpointSet set = make(Balance::p2c, {{kUp, 100}, {kDown, 100}});
  set.members()[0].record->states[0].in_flight.add(2);
  EXPECT_EQ(balancer.pick(set, cursor, {}).outcome, Pick::Outcome::full);
}

TEST_F(LoadBalancerTest, AnUnconfirmedOneIsOutWhileTheTableIsStale) {
  EndpointSet set = make(Balance::p2c, {{kUp, 100}});
  set.members()[0].record->states[0].is_out = true;
  EXPECT_EQ(balancer.pick(set, cursor, {.is_stale = true}).outcome, Pick::Outcome::none);
  EXPECT_EQ(balancer.pick(set, cursor, {.is_stale = false}).outcome, Pick::Outcome::picked);
}

TEST(RetryBudget, GivesAFloorAndAShareOfTheRequests) {
  RetryBudget budget(5);
  int taken = 0;
  for (int i = 0; i < 100; ++i) taken += budget.take(20, 0, Instant(10s));
  EXPECT_EQ(taken, 5);
  taken = 0;
  for (int i = 0; i < 1000; ++i) taken += budget.take(20, 1000, Instant(11s));  // 1000 requests in the window before
  EXPECT_EQ(taken, 200);
  taken = 0;
  for (int i = 0; i < 100; ++i) taken += budget.take(20, 1000, Instant(60s));
  EXPECT_EQ(taken, 5);
}

TEST(LatencyHistogram, BucketsGrowByEighthsAndHoldEverything) {
  EXPECT_EQ(LatencyHistogram::index_of(0), 0U);
  EXPECT_EQ(LatencyHistogram::index_of(16), 0U);
  EXPECT_EQ(LatencyHistogram::index_of(18), 1U);
  EXPECT_EQ(LatencyHistogram::index_of(32), 8U);
  EXPECT_EQ(LatencyHistogram::index_of(~std::uint64_t{0}), LatencyHistogram::kBuckets - 1);
  for (std::uint64_t micros = 1; micros < 1'000'000; micros += 17) {
    EXPECT_LE(LatencyHistogram::index_of(micros), LatencyHistogram::index_of(micros + 17));
  }
}

}  // namespace
}  // namespace lotse::proxy

// Who is ejected for failing in a row, as several workers see it: runs, thresholds, times, bounds. No threads: each
// worker's part of a record is filled as a FailureReporter would, and reports reach the detector in an order we choose.
#include "proxy/outlier_detector.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "base/random.h"

namespace lotse::proxy {
namespace {

using namespace std::chrono_literals;

class OutlierDetectorTest : public ::testing::Test {
 protected:
  static constexpr std::size_t kWorkers = 3;

  void SetUp() override { configure({}); }
  void configure(const OutlierDetection& policy) {
    config.apps["/app"].outlier_detection = policy;
    registry.apply(config);
    note(detector.on_config(now));
  }
  static model::Endpoint endpoint(int number, model::EndpointState state = model::EndpointState::up) {
    model::Endpoint one;
    one.app = "/app";
    one.is_default = true;
    one.task = "t" + std::to_string(number);
    one.host = "127.0.0.1";
    one.host_port = static_cast<std::uint16_t>(31000 + number);
    one.state = state;
    return one;
  }
  void add(int count) {
    EndpointChange change;
    for (int i = 0; i < count; ++i) change.set.push_back(endpoint(i));
    apply(change);
  }
  void apply(const EndpointChange& change) { note(registry.apply(change)); }
  EndpointRecord& record(int number) {
    EndpointRecord* found = nullptr;
    registry.for_each([&](const EndpointRegistry::Known& known) {
      if (known.endpoint.task == "t" + std::to_string(number)) found = known.record.get();
    });
    return *found;
  }

  // What a worker sees; report() posts it.
  void fail(int number, std::size_t worker = 0, FailureKind kind = FailureKind::status_5xx) {
    record(number).states[worker].failures.fail(kind);
  }
  void succeed(int number, std::size_t worker = 0) {
    EndpointState& state = record(number).states[worker];
    state.good_answers.add();
    state.failures.succeed();
  }
  void report(int number, std::size_t worker = 0) {
    EndpointRecord& one = record(number);
    FailureRuns runs = std::exchange(one.states[worker].failures, {});
    note(detector.on_failures({{one.shared_from_this(), runs}}, now));
  }
  void fail_until_ejected(int number, FailureKind kind = FailureKind::status_5xx) {
    for (int i = 0; i < 5; ++i) fail(number, 0, kind);
    report(number);
  }
  void advance(Duration time) {
    now += time;
    note(detector.let_back(now));
  }

  void note(RoutingUpdate update) {
    if (!update.slots.empty() && update.slots.back().set) set = update.slots.back().set;
    ++(update.empty() ? no_ops : updates);
  }
  bool is_ejected(int number) { return record(number).passive.is_ejected; }
  std::size_t left_in() const { return set->up_count(); }

  Config config;
  EndpointRegistry registry{kWorkers};
  std::vector<Ejection> ejections;
  std::vector<std::string> returned;
  OutlierDetector detector{
      registry,
      {.on_ejected = [this](const Ejection& one) { ejections.push_back(one); },
       .on_returned = [this](const EndpointRecord& one) { returned.push_back(one.endpoint.task); }}};
  std::shared_ptr<const EndpointSet> set;
  Instant now{1000s};
  int updates = 0, no_ops = 0;
};

TEST_F(OutlierDetectorTest, EjectsAfterFiveFailuresInARowAndLetsBackWhenTheTimeIsOver) {
  add(2);
  for (int i = 0; i < 4; ++i) fail(0), report(0);
  EXPECT_FALSE(is_ejected(0));
  fail(0);
  report(0);
  EXPECT_TRUE(is_ejected(0));
  EXPECT_EQ(left_in(), 1U);
  EXPECT_EQ(set->members()[0].record->endpoint.task, "t1");
  ASSERT_EQ(ejections.size(), 1U);
  EXPECT_EQ(ejections[0].time, Duration(30s));
  advance(29'999ms);
  EXPECT_TRUE(is_ejected(0));
  EXPECT_EQ(detector.next_return(), now + 1ms);
  advance(1ms);
  EXPECT_FALSE(is_ejected(0));
  EXPECT_EQ(left_in(), 2U);
  EXPECT_EQ(returned, std::vector<std::string>{"t0"});
  EXPECT_FALSE(detector.next_return());
}

TEST_F(OutlierDetectorTest, FailuresOfAllWorkersMakeOneRun) {
  add(2);
  for (std::size_t worker : {0U, 1U, 2U, 0U, 1U}) fail(0, worker), report(0, worker);
  EXPECT_TRUE(is_ejected(0));
}

TEST_F(OutlierDetectorTest, AGoodAnswerOnAnyWorkerEndsTheRun) {
  add(2);
  for (int round = 0; round < 20; ++round) {
    for (std::size_t worker = 0; worker < kWorkers; ++worker) fail(0, worker), report(0, worker);
    fail(0);
    report(0);
    succeed(0, 2);  // a worker that has nothing to report
  }
  EXPECT_FALSE(is_ejected(0));
  for (int i = 0; i < 5; ++i) fail(0, 1), report(0, 1);
  EXPECT_TRUE(is_ejected(0));
}

TEST_F(OutlierDetectorTest, ARunThatBeganAndEndedWithinOneReportCounts) {
  add(2);
  for (int i = 0; i < 5; ++i) fail(0);
  succeed(0);
  report(0);
  EXPECT_TRUE(is_ejected(0));
}

TEST_F(OutlierDetectorTest, CountsEachKindByItself) {
  OutlierDetection policy{.consecutive_5xx = 0, .consecutive_gateway_failures = 4, .consecutive_connect_failures = 2};
  configure(policy);
  add(4);
  for (int i = 0; i < 50; ++i) fail(0), report(0);
  EXPECT_FALSE(is_ejected(0));  // plain 500s are not asked about
  for (int i = 0; i < 3; ++i) fail(0, 0, FailureKind::gateway), report(0);
  fail(0);  // a 500 is an answer: it ends a run of gateway failures
  for (int i = 0; i < 3; ++i) fail(0, 0, FailureKind::gateway), report(0);
  EXPECT_FALSE(is_ejected(0));
  fail(0, 0, FailureKind::connect);  // one of them as well
  report(0);
  EXPECT_TRUE(is_ejected(0));
  EXPECT_EQ(ejections.back().kind, FailureKind::gateway);
  fail(1, 0, FailureKind::connect), fail(1, 0, FailureKind::connect);
  report(1);
  EXPECT_TRUE(is_ejected(1));
  EXPECT_EQ(ejections.back().kind, FailureKind::connect);
}

TEST_F(OutlierDetectorTest, TheTimeGrowsWithEachEjectionAndIsForgottenWithTimeSpentIn) {
  configure({.ejection_time_base = 10s, .ejection_time_max = 25s});
  add(2);
  for (Duration expected : {10s, 20s, 25s, 25s}) {
    fail_until_ejected(0);
    EXPECT_EQ(ejections.back().time, expected);
    advance(expected);
    EXPECT_FALSE(is_ejected(0));
  }
  advance(30s);  // three base times
  fail_until_ejected(0);
  EXPECT_EQ(ejections.back().time, Duration(20s));
}

TEST_F(OutlierDetectorTest, EjectsNoMoreThanTheShareAndNeverTheLast) {
  add(5);
  for (int i = 0; i < 5; ++i) fail_until_ejected(i);
  EXPECT_EQ(left_in(), 3U);  // half of five
  EXPECT_EQ(registry.stats_for("/app").ejections_refused, 3U);
  EXPECT_EQ(registry.stats_for("/app").ejections[0], 2U);
}

TEST_F(OutlierDetectorTest, ASmallShareStillLetsOneGoAndAFullOneKeepsOne) {
  configure({.ejected_percent_max = 1});
  add(3);
  for (int i = 0; i < 3; ++i) fail_until_ejected(i);
  EXPECT_EQ(left_in(), 2U);
  configure({.ejected_percent_max = 100, .panic_threshold_percent = 0});
  for (int i = 0; i < 3; ++i) fail_until_ejected(i);
  EXPECT_EQ(left_in(), 1U);
  EXPECT_FALSE(set->ignores_ejections());
}

TEST_F(OutlierDetectorTest, AloneItStaysIn) {
  add(1);
  fail_until_ejected(0);
  EXPECT_FALSE(is_ejected(0));
}

TEST_F(OutlierDetectorTest, EjectionsAreIgnoredWhenTooFewAreLeftIn) {
  add(4);
  fail_until_ejected(0);
  fail_until_ejected(1);
  EXPECT_EQ(left_in(), 2U);
  apply({.removed = {endpoint(2)}});  // of three, one is left in: a third
  EXPECT_TRUE(set->ignores_ejections());
  EXPECT_EQ(left_in(), 3U);
  EXPECT_TRUE(is_ejected(0));  // the verdict stands
  apply({.set = {endpoint(2), endpoint(5)}});
  EXPECT_FALSE(set->ignores_ejections());
  EXPECT_EQ(left_in(), 3U);
}

TEST_F(OutlierDetectorTest, AnEjectionOutlivesUpdatesOfTheTable) {
  add(3);
  fail_until_ejected(0);
  EndpointChange snapshot{.set = {endpoint(0), endpoint(1), endpoint(2), endpoint(3)}, .is_snapshot = true};
  snapshot.set[0].weight = 50;
  apply(snapshot);
  EXPECT_TRUE(is_ejected(0));
  EXPECT_EQ(left_in(), 3U);
  EXPECT_EQ(detector.ejected().size(), 1U);
}

TEST_F(OutlierDetectorTest, AnEjectedEndpointThatDrainsOrGoesIsNoLongerAnyonesConcern) {
  add(3);
  fail_until_ejected(0);
  apply({.set = {endpoint(0, model::EndpointState::draining)}});
  EXPECT_EQ(set->members().back().record->endpoint.task, "t0");
  EXPECT_EQ(set->usable_count(), 2U);
  apply({.removed = {endpoint(0)}});
  EXPECT_TRUE(detector.ejected().empty());
  const int before = updates;
  advance(60s);
  EXPECT_EQ(updates, before);  // and coming back changes nothing
  EXPECT_TRUE(returned.empty());
}

TEST_F(OutlierDetectorTest, DownAndDrainingEndpointsAreNotEjected) {
  add(3);
  apply({.set = {endpoint(0, model::EndpointState::down), endpoint(1, model::EndpointState::draining)}});
  fail_until_ejected(0);
  fail_until_ejected(1);
  EXPECT_TRUE(ejections.empty());
}

TEST_F(OutlierDetectorTest, SwitchingTheChecksOffLetsAllBack) {
  add(3);
  fail_until_ejected(0);
  configure({.consecutive_5xx = 0, .consecutive_gateway_failures = 0, .consecutive_connect_failures = 0});
  EXPECT_FALSE(is_ejected(0));
  EXPECT_EQ(left_in(), 3U);
  fail_until_ejected(0);
  EXPECT_FALSE(is_ejected(0));
}

TEST_F(OutlierDetectorTest, AReportThatDecidesNothingChangesNothing) {
  add(3);
  const int before = updates;
  fail(0);
  report(0);
  EXPECT_EQ(updates, before);
}

// Any interleaving of workers: at no time is the last one out or more than the share, and when failures stop, all are
// back.
TEST_F(OutlierDetectorTest, WhateverTheOrderTheBoundsHold) {
  configure({.ejection_time_base = 1s, .ejection_time_max = 5s});
  add(8);
  Random random(7);
  for (int step = 0; step < 20'000; ++step) {
    const int number = static_cast<int>(random.below(8));
    const auto worker = static_cast<std::size_t>(random.below(kWorkers));
    if (random.below(4) == 0) {
      succeed(number, worker);
    } else {
      fail(number, worker, static_cast<FailureKind>(random.below(kFailureKinds)));
    }
    if (random.below(3) == 0) report(number, worker);
    if (random.below(10) == 0) advance(std::chrono::milliseconds(random.below(500)));
    ASSERT_LE(detector.ejected().size(), 4U);
    ASSERT_GE(left_in(), 4U);
  }
  EXPECT_GT(ejections.size(), 10U);
  advance(5s);
  EXPECT_TRUE(detector.ejected().empty());
  EXPECT_EQ(left_in(), 8U);
}

}  // namespace
}  // namespace lotse::proxy

#include "agent/health_state.h"

#include <gtest/gtest.h>

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{std::chrono::hours(1)};

Now at(Duration since_start) {
  return {kStart + since_start, WallTime(1'700'000'000s) + std::chrono::floor<std::chrono::milliseconds>(since_start)};
}

model::HealthCheck check_with(double grace, double interval, int failures_max) {
  model::HealthCheck check;
  check.grace_period = model::Seconds(grace);
  check.interval = model::Seconds(interval);
  check.timeout = model::Seconds(1);
  check.max_consecutive_failures = failures_max;
  return check;
}

TEST(HealthState, IsHealthyFromTheFirstSuccess) {
  HealthState state(check_with(300, 60, 3), kStart);
  EXPECT_FALSE(state.has_result());
  EXPECT_TRUE(state.on_success(at(1s)));
  EXPECT_TRUE(state.result().alive);
  EXPECT_EQ(state.result().first_success, "2023-11-14T22:13:21.000Z");
  EXPECT_FALSE(state.on_success(at(2s)));  // nothing new to tell
  EXPECT_EQ(state.result().last_success, "2023-11-14T22:13:22.000Z");
}

TEST(HealthState, IgnoresFailuresInTheGracePeriod) {
  HealthState state(check_with(10, 1, 1), kStart);
  EXPECT_FALSE(state.on_failure(at(1s), "refused"));
  EXPECT_FALSE(state.on_failure(at(9999ms), "refused"));
  EXPECT_FALSE(state.has_result());
  EXPECT_FALSE(state.wants_kill());
  EXPECT_TRUE(state.on_failure(at(10s), "refused"));
  EXPECT_TRUE(state.wants_kill());
  EXPECT_EQ(state.result().last_failure_cause, "refused");
}

TEST(HealthState, CountsFailuresInTheGracePeriodAfterASuccess) {
  HealthState state(check_with(300, 1, 2), kStart);
  state.on_success(at(1s));
  EXPECT_TRUE(state.on_failure(at(2s), "500"));
  EXPECT_FALSE(state.result().alive);
  EXPECT_FALSE(state.wants_kill());
  state.on_failure(at(3s), "500");
  EXPECT_TRUE(state.wants_kill());
}

TEST(HealthState, ASuccessForgetsTheFailures) {
  HealthState state(check_with(0, 1, 2), kStart);
  state.on_failure(at(1s), "x");
  EXPECT_TRUE(state.on_success(at(2s)));
  EXPECT_EQ(state.result().consecutive_failures, 0);
  state.on_failure(at(3s), "x");
  EXPECT_FALSE(state.wants_kill());
}

TEST(HealthState, NeverWantsAKillWithoutABound) {
  HealthState state(check_with(0, 1, 0), kStart);
  for (int i = 1; i < 100; ++i) state.on_failure(at(std::chrono::seconds(i)), "x");
  EXPECT_EQ(state.result().consecutive_failures, 99);
  EXPECT_FALSE(state.wants_kill());
}

TEST(HealthState, EarlyProbesCountAtMostOncePerInterval) {
  HealthState state(check_with(0, 60, 3), kStart);
  for (int second = 1; second <= 59; ++second) state.on_failure(at(std::chrono::seconds(second)), "x");
  EXPECT_EQ(state.result().consecutive_failures, 2);  // 1 s and, close enough to an interval later, 55 s
  EXPECT_FALSE(state.wants_kill());
}

TEST(HealthState, ProbesOftenUntilTheFirstSuccess) {
  HealthState slow(check_with(300, 60, 3), kStart);
  EXPECT_EQ(slow.first_delay(), 100ms);
  EXPECT_EQ(slow.next_delay(), 1s);
  slow.on_success(at(1s));
  EXPECT_EQ(slow.next_delay(), 60s);
  HealthState fast(check_with(300, 0.05, 3), kStart);
  EXPECT_EQ(fast.first_delay(), 50ms);
  EXPECT_EQ(fast.next_delay(), 50ms);
  HealthState zero(check_with(300, 0, 3), kStart);
  EXPECT_EQ(zero.next_delay(), 10ms);  // never a busy loop
}

TEST(HealthState, RestoresWhatAnEarlierLifeKnew) {
  model::HealthResult known;
  known.alive = true;
  known.first_success = known.last_success = "2023-11-14T22:13:21.000Z";
  HealthState state(check_with(300, 60, 3), kStart);
  state.restore(known);
  EXPECT_TRUE(state.has_succeeded());
  EXPECT_EQ(state.first_delay(), 60s);
  EXPECT_TRUE(state.on_failure(at(1s), "x"));  // no new grace period for an old task
}

TEST(HealthState, SurvivesAbsurdNumbers) {
  for (double value : {-1.0, 1e300, 0.0}) {
    HealthState state(check_with(value, value, -1), kStart);
    state.on_failure(at(1s), "x");
    EXPECT_GT(state.next_delay(), 0ns);
    EXPECT_FALSE(state.wants_kill());
  }
}

TEST(AliveOf, NeedsAllAndOneFailureIsEnough) {
  std::vector<HealthState> checks;
  EXPECT_EQ(alive_of(checks), std::nullopt);
  checks.emplace_back(check_with(0, 1, 3), kStart);
  checks.emplace_back(check_with(0, 1, 3), kStart);
  checks[0].on_success(at(1s));
  EXPECT_EQ(alive_of(checks), std::nullopt);
  checks[1].on_success(at(1s));
  EXPECT_EQ(alive_of(checks), true);
  checks[1].on_failure(at(2s), "x");
  EXPECT_EQ(alive_of(checks), false);
}

}  // namespace
}  // namespace lotse::agent

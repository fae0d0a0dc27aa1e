#include "scheduler/core/rolling.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lotse::scheduler {
namespace {

struct Row {
  const char* what;
  RollingStrategy strategy;
  RollingTasks tasks;
  RollingMoves moves;
};

TEST(RollingMoves, FollowMarathonsArithmetic) {
  const Row rows[] = {
      {"defaults start all new ones beside the old", {3, 1, 1}, {.old_healthy = 3}, {.start = 3}},
      {"each new healthy one lets an old one go",
       {3, 1, 1},
       {.old_healthy = 3, .fresh_healthy = 1, .fresh_unhealthy = 2},
       {.kill_old_healthy = 1}},
      {"all new ones healthy: all old ones go",
       {3, 1, 1},
       {.old_healthy = 3, .fresh_healthy = 3},
       {.kill_old_healthy = 3}},
      {"leaving ones keep their place", {3, 1, 0.34}, {.old_healthy = 2, .fresh_healthy = 1, .leaving = 1}, {}},
      {"half may be missing: they go first", {4, 0.5, 0}, {.old_healthy = 4}, {.kill_old_healthy = 2}},
      {"and their places are taken", {4, 0.5, 0}, {.old_healthy = 2}, {.start = 2}},
      {"but not before they are gone", {4, 0.5, 0}, {.old_healthy = 2, .leaving = 2}, {}},
      {"nothing may be missing and nothing be over: one extra", {3, 1, 0}, {.old_healthy = 3}, {.start = 1}},
      {"the extra one is healthy: an old one goes",
       {3, 1, 0},
       {.old_healthy = 3, .fresh_healthy = 1},
       {.kill_old_healthy = 1}},
      {"one extra, not two", {3, 1, 0}, {.old_healthy = 3, .fresh_unhealthy = 1}, {}},
      {"the old one is gone: the next extra", {3, 1, 0}, {.old_healthy = 2, .fresh_healthy = 1}, {.start = 1}},
      {"single instance: old one first", {1, 0, 0}, {.old_healthy = 1}, {.kill_old_healthy = 1}},
      {"single instance: then the new one", {1, 0, 0}, {}, {.start = 1}},
      {"unhealthy old ones go first, one for each new healthy one",
       {3, 1, 1},
       {.old_healthy = 2, .old_unhealthy = 1, .fresh_healthy = 1, .fresh_unhealthy = 2},
       {.kill_old_unhealthy = 1}},
      {"a healthy old one stays while too few are healthy",
       {3, 1, 1},
       {.old_healthy = 1, .old_unhealthy = 1, .fresh_healthy = 1, .fresh_unhealthy = 2},
       {}},
      {"surplus goes first", {2, 1, 1}, {.old_healthy = 5}, {.kill_old_healthy = 3}},
      {"all old ones unhealthy and no room: one makes way", {2, 1, 0}, {.old_unhealthy = 2}, {.kill_old_unhealthy = 1}},
      {"what no proxy has vouched for is neither killed nor counted on",
       {3, 1, 1},
       {.old_unproven = 3, .fresh_unhealthy = 3},
       {}},
      {"surplus of unproven ones waits", {2, 1, 1}, {.old_unproven = 5}, {}},
      {"capacity is rounded down, health up", {3, 0.5, 0.5}, {.old_healthy = 3}, {.kill_old_healthy = 1, .start = 1}},
      {"tenths do not cost an instance", {10, 0.7, 0.1}, {.old_healthy = 10}, {.kill_old_healthy = 3, .start = 1}},
      {"too many new ones", {1, 1, 1}, {.fresh_healthy = 2}, {.kill_fresh = 1}},
      {"done", {2, 1, 1}, {.fresh_healthy = 2}, {}},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const RollingMoves moves = rolling_moves(row.strategy, row.tasks);
    EXPECT_EQ(moves.kill_old_unhealthy, row.moves.kill_old_unhealthy);
    EXPECT_EQ(moves.kill_old_healthy, row.moves.kill_old_healthy);
    EXPECT_EQ(moves.kill_fresh, row.moves.kill_fresh);
    EXPECT_EQ(moves.start, row.moves.start);
  }
}

// One move of the world after the scheduler's: a new task gets healthy, else a leaving one ends. False: nothing moves.
bool world_moves(RollingTasks& tasks) {
  if (tasks.fresh_unhealthy > 0) {
    --tasks.fresh_unhealthy;
    ++tasks.fresh_healthy;
    return true;
  }
  if (tasks.leaving == 0) return false;
  --tasks.leaving;
  return true;
}

// Rolls to the end, never falling below the least nor rising above the most by more than the one extra.
void roll_to_the_end(const RollingStrategy& strategy, RollingTasks tasks) {
  const int most = std::max(tasks.old_healthy + tasks.old_unhealthy,
                            capacity_max(strategy.instances, strategy.maximum_over_capacity) + 1);
  for (int rounds = 0; rounds < 100; ++rounds) {
    const RollingMoves moves = rolling_moves(strategy, tasks);
    const int healthy = tasks.old_healthy + tasks.fresh_healthy - moves.kill_old_healthy;
    ASSERT_LE(moves.kill_old_healthy, tasks.old_healthy);
    ASSERT_LE(moves.kill_old_unhealthy, tasks.old_unhealthy);
    if (moves.kill_old_healthy > 0) {
      ASSERT_GE(healthy + 1e-9, strategy.instances * strategy.minimum_health_capacity);
    }
    tasks.old_healthy -= moves.kill_old_healthy;
    tasks.old_unhealthy -= moves.kill_old_unhealthy;
    tasks.leaving += moves.kill_old_healthy + moves.kill_old_unhealthy;
    tasks.fresh_unhealthy += moves.start;
    const int existing =
        tasks.old_healthy + tasks.old_unhealthy + tasks.fresh_healthy + tasks.fresh_unhealthy + tasks.leaving;
    ASSERT_LE(existing, most);
    if (!world_moves(tasks)) break;
  }
  EXPECT_EQ(tasks.fresh_healthy, strategy.instances);
  EXPECT_EQ(tasks.old_healthy + tasks.old_unhealthy + tasks.leaving, 0);
}

TEST(RollingMoves, ReachTheEndWithinTheirBounds) {
  for (int instances = 1; instances <= 5; ++instances) {
    for (double health : {0.0, 0.34, 0.5, 1.0}) {
      for (double over : {0.0, 0.25, 1.0}) {
        for (int old = 0; old <= 7; ++old) {
          const int sick = old / 2;
          SCOPED_TRACE(testing::Message() << instances << " " << health << " " << over << " " << old);
          roll_to_the_end({instances, health, over}, {.old_healthy = old});
          roll_to_the_end({instances, health, over}, {.old_healthy = old - sick, .old_unhealthy = sick});
          roll_to_the_end({instances, health, over}, {.old_unhealthy = old});
        }
      }
    }
  }
}

}  // namespace
}  // namespace lotse::scheduler

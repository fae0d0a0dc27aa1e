#include "scheduler/core/rolling.h"

#include <algorithm>
#include <cmath>

namespace lotse::scheduler {
namespace {

// 0.1 + 0.2 must not cost an instance: products this close to a whole number are meant to be it.
constexpr double kRounding = 1e-9;

int healthy_min(const RollingStrategy& strategy) {
  return static_cast<int>(std::ceil(strategy.instances * strategy.minimum_health_capacity - kRounding));
}

}  // namespace

int capacity_max(int instances, double maximum_over_capacity) {
  return static_cast<int>(std::floor(instances * (1 + maximum_over_capacity) + kRounding));
}

RollingMoves rolling_moves(const RollingStrategy& strategy, const RollingTasks& tasks) {
  RollingMoves moves;
  const int least_healthy = healthy_min(strategy);
  const int most = capacity_max(strategy.instances, strategy.maximum_over_capacity);
  const int old = tasks.old_healthy + tasks.old_unproven + tasks.old_unhealthy;
  const int fresh = tasks.fresh_healthy + tasks.fresh_unhealthy;
  const int healthy = tasks.old_healthy + tasks.fresh_healthy;

  // Each new healthy one lets an old one go; so does every old one above the least. Unhealthy ones serve nobody and go
  // first; a healthy one goes only when the least remains without it.
  const int old_may_remain = std::max(0, least_healthy - tasks.fresh_healthy);
  const int old_to_kill = std::max(0, old - old_may_remain);
  moves.kill_old_unhealthy = std::min(old_to_kill, tasks.old_unhealthy);
  moves.kill_old_healthy =
      std::clamp(healthy - least_healthy, 0, std::min(old_to_kill - moves.kill_old_unhealthy, tasks.old_healthy));
  moves.kill_fresh = std::max(0, fresh - strategy.instances);

  const int existing = old + fresh + tasks.leaving;  // killed ones keep their place until they are gone
  const int missing = std::max(0, strategy.instances - fresh);
  // Neither going below nor above would be allowed: one extra instance gets things moving.
  const bool is_full = most <= healthy + tasks.old_unproven + tasks.leaving;
  const int allowed = least_healthy == most && is_full ? most + 1 : most;
  moves.start = std::clamp(allowed - existing, 0, missing);

  // All places are taken by old tasks that are not healthy, and nothing else will ever move: one of them makes room.
  const bool stuck = moves.start == 0 && moves.kill_old_unhealthy == 0 && moves.kill_old_healthy == 0 &&
                     tasks.fresh_unhealthy == 0 && tasks.leaving == 0 && tasks.old_unproven == 0 && missing > 0 &&
                     tasks.old_unhealthy > 0;
  if (stuck) moves.kill_old_unhealthy = 1;
  return moves;
}

}  // namespace lotse::scheduler

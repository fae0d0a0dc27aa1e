// The arithmetic of a rolling replacement (MARATHON.md section 5, "Rolling"): how many old tasks may go and how many
// new ones may start right now. Pure and memoryless: asked again after every change, so that it survives a restart.
#pragma once

namespace lotse::scheduler {

// Counts of one app's tasks. "Healthy" is the deployment's notion: checks alive, ready, usable by every live proxy.
struct RollingTasks {
  int old_healthy = 0;   // of another configuration, not leaving
  int old_unproven = 0;  // healthy for their agent, but a live proxy has yet to say so: neither counted on nor killed
  int old_unhealthy = 0;
  int fresh_healthy = 0;  // of the target configuration, not leaving
  int fresh_unhealthy = 0;
  int leaving = 0;  // of either: still occupy their place
};
struct RollingStrategy {
  int instances = 0;
  double minimum_health_capacity = 1, maximum_over_capacity = 1;
};
struct RollingMoves {
  int kill_old_unhealthy = 0, kill_old_healthy = 0, kill_fresh = 0, start = 0;
  bool operator==(const RollingMoves&) const = default;
};

RollingMoves rolling_moves(const RollingStrategy& strategy, const RollingTasks& tasks);

// floor(instances x (1 + maximumOverCapacity)): so many may exist at once, those that leave included.
int capacity_max(int instances, double maximum_over_capacity);

}  // namespace lotse::scheduler

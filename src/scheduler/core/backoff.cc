#include "scheduler/core/backoff.h"

#include <algorithm>
#include <cmath>

namespace lotse::scheduler {

Duration launch_delay(const model::App& app, int failures) {
  const double most = app.max_launch_delay.count();
  double seconds = app.backoff.count() * std::pow(std::max(1.0, app.backoff_factor), failures);
  if (!std::isfinite(seconds) || seconds > most) seconds = most;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::clamp(seconds, 0.0, 1e9)));
}

void note_failure(Turn& turn, App& app, const Task& task) {
  Backoff& backoff = app.backoff;
  const Instant now = turn.now.instant;
  const bool was_healthy = task.healthy_since.has_value();
  const bool was_stable = was_healthy && now >= *task.healthy_since + turn.state.settings.stable_after;
  Duration delay{0};
  if (was_stable) {
    backoff.failures = 0;
  } else if (was_healthy && backoff.failures == 0) {
    backoff.failures = 1;  // the first time is forgiven; a crash loop that looks healthy for a moment is not
  } else {
    delay = launch_delay(*task.definition, backoff.failures);
    backoff.failures = std::min(backoff.failures + 1, 1'000'000);
  }
  backoff.until = std::max(backoff.until, now + delay);
  backoff.until_wall = turn.now.wall + std::chrono::duration_cast<WallTime::duration>(backoff.until - now);
  turn.changed_backoffs.insert(app.id);
}

void reset_backoff(Turn& turn, App& app) {
  if (app.backoff.failures == 0 && app.backoff.until <= turn.now.instant) return;
  app.backoff = Backoff{};
  turn.changed_backoffs.insert(app.id);
}

}  // namespace lotse::scheduler

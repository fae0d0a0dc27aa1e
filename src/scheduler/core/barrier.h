// The route barrier's questions (design section 4): what have all live proxies applied, may this task be killed, may
// this port be drawn again? Pure: reads State as of the present step, in which every expired lease is gone already.
#pragma once

#include <optional>

#include "scheduler/core/state.h"

namespace lotse::scheduler {

// Has every live proxy applied `revision` of this epoch? True when no proxy holds a lease.
bool all_applied(const State& state, std::uint64_t revision);

// Half two. The task is published as draining in task.draining_revision.
struct DrainProgress {
  bool all_applied = false;     // nobody picks it any more
  std::uint64_t in_flight = 0;  // summed over the live proxies
};
DrainProgress drain_progress(const State& state, const Task& task);

// From the last acknowledgement; the app's drainSeconds (or label lotse.drainSeconds) overrides the setting.
Duration drain_deadline_of(const Settings& settings, const model::App& app);

bool is_quarantine_over(const State& state, const PortRelease& release, Instant now);

}  // namespace lotse::scheduler

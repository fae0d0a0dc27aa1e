// The scheduler's brain: a pure function over a State. No socket, clock, thread or disk, so a simulator can run a whole
// cluster from one seed. The same state, event, time and random stream give the same commands.
// The shell (scheduler/server) owns the State, runs on one thread, and reads it freely for GETs.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "scheduler/core/commands.h"
#include "scheduler/core/events.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

std::vector<Command> step(State& state, const Event& event, Now now, Random& random);

// At start, and after a failed write (disk full: the disk's state is the truth again): builds the durable half from the
// store's records; the first step after it (a Tick will do) looks at everything. `term` is the new one, already stored.
// A known proxy counts as live for one full lease from `now`.
Result<State, Problem> restore(std::span<const std::pair<std::string, std::string>> records, std::uint64_t term,
                               std::string cluster, const Settings& settings, Now now);

// After a failed write only: leases, heartbeats and health of `before` are still true, and are kept. The revision makes
// a jump that no proxy can follow, so the shell must end every route stream: each proxy then takes a snapshot.
void carry_over_volatile(const State& before, State& after);

// When the scheduler itself was stopped (SIGSTOP, a suspended machine): it heard nobody because it did not listen. As
// after a start, proxies count as live for one full lease from `now`, and agents have their full time until they are
// lost. Called before the step that would let the timers fire.
void forgive_silence(State& state, Instant now);

// Every endpoint as of the current revision, for a snapshot; chunks are cut by the shell as its socket drains.
std::vector<model::Endpoint> all_endpoints(const State& state);

}  // namespace lotse::scheduler

// Where an app's next tasks go: agents with room for them that its constraints allow; fewest tasks of the app first,
// then the fullest agent, so that large tasks keep finding an empty one. Reads State, changes nothing.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "scheduler/core/constraints.h"
#include "scheduler/core/state.h"

namespace lotse::scheduler {

struct Place {
  model::AgentId agent;
  std::vector<int> host_ports;  // one for each of ports_of(app); 0: not published
};

// Why an agent cannot take a task now; empty: it can. Marathon's names where it has one (processedOffersSummary).
// Without ports and constraints, which depend on more than the agent and the app.
std::string_view obstacle(const Agent& agent, const model::App& app, const Resources& needed);

// A port of `agent` is free when no task has it and it is not quarantined: for `quarantine` after its release, and
// until every live proxy has applied the revision that removed it. The app that had it may have a fixed port back at
// once.
bool is_port_free(const State& state, const Agent& agent, int port, const model::AppId& app, bool is_fixed,
                  Instant now);

// A round of placements for one definition. Agents without a task of the app come first, in the order of the index
// (State::agents_by_free_cpus), which is walked from the first that has enough; so a task costs the agents that are
// refused on the way to its own. Then those that have some, and with GROUP_BY all: gathered once, in a heap.
class PlacementRound {
 public:
  PlacementRound(const State& state, const model::App& app, Instant now);
  // The next place, or nullopt. The caller takes the resources (launch_task) before it asks again.
  std::optional<Place> next(Random& random);

 private:
  struct Candidate {
    int crowding = 0, tasks = 0;
    std::int64_t free_micro_cpus = 0;
    const Agent* agent = nullptr;
  };
  static bool is_worse(const Candidate& a, const Candidate& b);
  std::optional<Place> next_untouched(Random& random);
  std::optional<Place> next_in_heap(Random& random);
  void gather();
  int tasks_on(const model::AgentId& agent) const;
  Candidate candidate(const Agent& agent) const;
  std::optional<Place> try_on(const Agent& agent, Random& random);
  std::optional<std::vector<int>> draw_ports(const Agent& agent, Random& random) const;

  const State& state_;
  const model::App& app_;
  Instant now_;
  Resources needed_;
  std::vector<model::AppPort> ports_;
  const App* entry_ = nullptr;  // of the app, with the tasks it has by now; null: it has none
  ConstraintCheck constraints_;
  std::pair<std::int64_t, model::AgentId> walked_;  // untouched agents up to this one were looked at
  bool is_walk_over_ = false;
  std::vector<Candidate> heap_;
  const Agent* placed_ = nullptr;  // of the heap: to be sorted in anew, when its task was launched
};

}  // namespace lotse::scheduler

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

// A round of placements for one definition: the candidates are gathered once, so n tasks cost O(agents + n log agents).
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
  Candidate candidate(const Agent& agent) const;
  std::optional<std::vector<int>> draw_ports(const Agent& agent, Random& random) const;

  const State& state_;
  const model::App& app_;
  Instant now_;
  Resources needed_;
  std::vector<model::AppPort> ports_;
  std::map<model::AgentId, int> tasks_on_agent_;
  ConstraintCheck constraints_;
  std::vector<Candidate> heap_;
};

}  // namespace lotse::scheduler

#include "scheduler/core/kill_selection.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "scheduler/core/constraints.h"

namespace lotse::scheduler {
namespace {

int rank_of(model::TaskState state) {
  switch (state) {
    case model::TaskState::unreachable:
      return 0;
    case model::TaskState::staging:
      return 1;
    case model::TaskState::starting:
      return 2;
    default:
      return 3;
  }
}

}  // namespace

std::vector<Task*> select_victims(const State& state, const model::App& app, const std::vector<Task*>& tasks,
                                  const std::set<model::TaskId>& named, std::size_t count) {
  std::vector<Task*> victims, others;
  for (Task* task : tasks) (named.contains(task->id) ? victims : others).push_back(task);
  if (victims.size() >= count) {
    victims.resize(count);
    return victims;
  }
  std::sort(others.begin(), others.end(), [&](const Task* a, const Task* b) {
    if (rank_of(a->state) != rank_of(b->state)) return rank_of(a->state) < rank_of(b->state);
    if (a->staged_at != b->staged_at) return (a->staged_at > b->staged_at) != app.kill_oldest_first;
    return a->id < b->id;
  });
  std::vector<const model::AgentRegistration*> places;
  for (const Task* task : others) {
    auto agent = state.agents.find(task->agent);
    places.push_back(agent == state.agents.end() ? nullptr : &agent->second.registration);
  }
  std::vector<std::size_t> preferred(others.size());
  std::iota(preferred.begin(), preferred.end(), std::size_t{0});
  for (std::size_t index : evening_order(app.constraints, places, preferred, count - victims.size())) {
    if (victims.size() == count) break;
    victims.push_back(others[index]);
  }
  return victims;
}

}  // namespace lotse::scheduler

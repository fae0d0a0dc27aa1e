#include "scheduler/core/placement.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "scheduler/core/barrier.h"

namespace lotse::scheduler {
namespace {

constexpr int kRandomDraws = 16;  // before walking the range: a range that is half full answers in two

// Does the task count when the constraints of `app` look at where others run? Only its own configuration does.
bool counts_for_constraints(const Task& task, const model::App& app) {
  return task.leaving == Leaving::no && task.definition->last_config_change_at == app.last_config_change_at;
}

void feed(ConstraintCheck& check, const State& state, const model::App& app) {
  if (check.empty()) return;
  for (auto agent = state.agents.begin(); check.groups() && agent != state.agents.end(); ++agent) {
    if (agent->second.health != AgentHealth::lost) check.saw(agent->second.registration);
  }
  auto entry = state.apps.find(app.id);
  if (entry == state.apps.end()) return;
  for (const model::TaskId& id : entry->second.tasks) {
    const Task& task = state.tasks.at(id);
    auto agent = state.agents.find(task.agent);
    if (agent != state.agents.end() && counts_for_constraints(task, app)) check.placed(agent->second.registration);
  }
}

bool needs_docker(const model::App& app) { return app.container && !app.container->image.empty(); }

bool has_free_ports(const State& state, const Agent& agent, const model::App& app,
                    const std::vector<model::AppPort>& ports, Instant now) {
  int wanted = 0;
  for (const model::AppPort& port : ports) {
    if (!port.host_port) continue;
    if (*port.host_port == 0) {
      ++wanted;
    } else if (!is_port_free(state, agent, *port.host_port, app.id, true, now)) {
      return false;
    }
  }
  const model::PortRange& range = agent.registration.ports;
  for (int port = range.first; port <= range.last && wanted > 0; ++port) {
    if (is_port_free(state, agent, port, app.id, false, now)) --wanted;
  }
  return wanted == 0;
}

}  // namespace

std::string_view obstacle(const Agent& agent, const model::App& app, const Resources& needed) {
  if (agent.health == AgentHealth::lost) return "AgentLost";
  if (agent.health == AgentHealth::suspect) return "AgentSuspect";
  if (agent.is_draining) return "AgentMaintenance";
  const auto& roles = app.accepted_resource_roles;
  if (std::find(roles.begin(), roles.end(), agent.registration.role) == roles.end()) return "UnfulfilledRole";
  if (needs_docker(app) && agent.registration.runtime == "process") return "DockerUnavailable";
  if (agent.used.micro_cpus + needed.micro_cpus > agent.total.micro_cpus) return "InsufficientCpus";
  if (agent.used.mem_kib + needed.mem_kib > agent.total.mem_kib) return "InsufficientMemory";
  if (agent.used.disk_kib + needed.disk_kib > agent.total.disk_kib) return "InsufficientDisk";
  return "";
}

bool is_port_free(const State& state, const Agent& agent, int port, const model::AppId& app, bool is_fixed,
                  Instant now) {
  if (agent.ports_used.contains(port)) return false;
  auto held = agent.ports_quarantined.find(port);
  if (held == agent.ports_quarantined.end()) return true;
  const PortRelease& release = agent.releases.at(held->second);
  if (is_fixed && release.app == app) return true;
  return is_quarantine_over(state, release, now);
}

PlacementRound::PlacementRound(const State& state, const model::App& app, Instant now)
    : state_(state),
      app_(app),
      now_(now),
      needed_(resources_of(app)),
      ports_(model::ports_of(app)),
      constraints_(app.constraints, app.instances),
      walked_(needed_.micro_cpus, "") {
  feed(constraints_, state, app);
  if (auto entry = state.apps.find(app.id); entry != state.apps.end()) entry_ = &entry->second;
  if (!constraints_.groups()) return;  // where groups are evened out, the index does not say who is next
  is_walk_over_ = true;
  for (const auto& [id, agent] : state.agents) {
    if (obstacle(agent, app, needed_).empty()) heap_.push_back(candidate(agent));
  }
  std::make_heap(heap_.begin(), heap_.end(), is_worse);
}

std::optional<Place> PlacementRound::next(Random& random) {
  if (!is_walk_over_) {
    if (auto place = next_untouched(random)) return place;
    is_walk_over_ = true;
    gather();
  }
  return next_in_heap(random);
}

// What was placed on in this round has a task now, and less free than before: it lies behind us in the index.
std::optional<Place> PlacementRound::next_untouched(Random& random) {
  const auto& index = state_.agents_by_free_cpus;
  for (auto at = index.upper_bound(walked_); at != index.end(); ++at) {
    if (tasks_on(at->second) > 0) continue;
    auto place = try_on(state_.agents.at(at->second), random);
    if (!place) continue;
    walked_ = *at;
    return place;
  }
  return std::nullopt;
}

void PlacementRound::gather() {
  if (entry_ == nullptr) return;
  for (const auto& [id, count] : entry_->tasks_on_agent) {
    auto agent = state_.agents.find(id);
    if (agent == state_.agents.end() || !obstacle(agent->second, app_, needed_).empty()) continue;
    heap_.push_back(candidate(agent->second));
  }
  std::make_heap(heap_.begin(), heap_.end(), is_worse);
}

std::optional<Place> PlacementRound::next_in_heap(Random& random) {
  if (const Agent* placed = std::exchange(placed_, nullptr)) {
    heap_.push_back(candidate(*placed));
    std::push_heap(heap_.begin(), heap_.end(), is_worse);
  }
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), is_worse);
    const Candidate best = heap_.back();
    heap_.pop_back();
    const Candidate current = candidate(*best.agent);
    if (current.crowding != best.crowding ||
        current.tasks != best.tasks) {  // others were placed since: sort it in anew
      heap_.push_back(current);
      std::push_heap(heap_.begin(), heap_.end(), is_worse);
      continue;
    }
    auto place = try_on(*best.agent, random);
    if (!place) continue;
    placed_ = best.agent;
    return place;
  }
  return std::nullopt;
}

// An agent that is refused is out for this round: of what one round changes, nothing makes it acceptable but CLUSTER's
// first choice, and that refuses the others for good.
std::optional<Place> PlacementRound::try_on(const Agent& agent, Random& random) {
  if (!obstacle(agent, app_, needed_).empty() || !constraints_.allows(agent.registration)) return std::nullopt;
  std::optional<std::vector<int>> ports = draw_ports(agent, random);
  if (!ports) return std::nullopt;
  constraints_.placed(agent.registration);
  return Place{agent.registration.id, std::move(*ports)};
}

int PlacementRound::tasks_on(const model::AgentId& agent) const {
  if (entry_ == nullptr) return 0;
  auto tasks = entry_->tasks_on_agent.find(agent);
  return tasks == entry_->tasks_on_agent.end() ? 0 : tasks->second;
}

bool PlacementRound::is_worse(const Candidate& a, const Candidate& b) {
  return std::tie(a.crowding, a.tasks, a.free_micro_cpus, a.agent->registration.id) >
         std::tie(b.crowding, b.tasks, b.free_micro_cpus, b.agent->registration.id);
}

PlacementRound::Candidate PlacementRound::candidate(const Agent& agent) const {
  return {constraints_.crowding(agent.registration), tasks_on(agent.registration.id),
          agent.total.micro_cpus - agent.used.micro_cpus, &agent};
}

std::optional<std::vector<int>> PlacementRound::draw_ports(const Agent& agent, Random& random) const {
  std::vector<int> drawn;
  const model::PortRange& range = agent.registration.ports;
  const int size = range.last - range.first + 1;
  auto take = [&](int port, bool is_fixed) {
    if (std::find(drawn.begin(), drawn.end(), port) != drawn.end()) return false;
    if (!is_port_free(state_, agent, port, app_.id, is_fixed, now_)) return false;
    drawn.push_back(port);
    return true;
  };
  // Fixed ports first, so that no random draw takes one of them away.
  std::vector<std::pair<std::size_t, int>> fixed;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (!ports_[i].host_port || *ports_[i].host_port == 0) continue;
    const int port = *ports_[i].host_port;  // one number may be wanted twice, by TCP and by UDP
    const bool again = std::find(drawn.begin(), drawn.end(), port) != drawn.end();
    if (!again && !take(port, true)) return std::nullopt;
    fixed.emplace_back(i, port);
  }
  std::vector<int> result(ports_.size(), 0);
  for (auto [index, port] : fixed) result[index] = port;
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    if (!ports_[i].host_port || *ports_[i].host_port != 0) continue;
    if (size <= 0) return std::nullopt;
    bool done = false;
    for (int attempt = 0; attempt < kRandomDraws && !done; ++attempt) {
      done = take(range.first + static_cast<int>(random.below(static_cast<std::uint64_t>(size))), false);
    }
    const int offset = done ? 0 : static_cast<int>(random.below(static_cast<std::uint64_t>(size)));
    for (int step = 0; step < size && !done; ++step) done = take(range.first + (offset + step) % size, false);
    if (!done) return std::nullopt;
    result[i] = drawn.back();
  }
  return result;
}

std::vector<std::pair<model::AgentId, std::string>> explain_agents(const State& state, const model::App& app,
                                                                   Instant now, std::size_t most) {
  ConstraintCheck constraints(app.constraints, app.instances);
  feed(constraints, state, app);
  const Resources needed = resources_of(app);
  const std::vector<model::AppPort> ports = model::ports_of(app);
  std::vector<std::pair<model::AgentId, std::string>> reasons;
  for (const auto& [id, agent] : state.agents) {
    if (reasons.size() == most) break;
    std::string reason(obstacle(agent, app, needed));
    if (reason.empty() && !constraints.allows(agent.registration)) reason = "UnfulfilledConstraint";
    if (reason.empty() && !has_free_ports(state, agent, app, ports, now)) reason = "InsufficientPorts";
    reasons.emplace_back(id, std::move(reason));
  }
  return reasons;
}

std::map<std::string, int> explain_placement(const State& state, const model::App& app, Instant now) {
  std::map<std::string, int> reasons;
  for (const auto& [id, reason] : explain_agents(state, app, now, state.agents.size())) ++reasons[reason];
  return reasons;
}

}  // namespace lotse::scheduler

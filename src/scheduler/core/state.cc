#include "scheduler/core/state.h"

#include <algorithm>
#include <cmath>

namespace lotse::scheduler {

Resources& Resources::operator+=(const Resources& other) {
  micro_cpus += other.micro_cpus;
  mem_kib += other.mem_kib;
  disk_kib += other.disk_kib;
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  micro_cpus -= other.micro_cpus;
  mem_kib -= other.mem_kib;
  disk_kib -= other.disk_kib;
  return *this;
}

Resources make_resources(double cpus, double mem_mib, double disk_mib) {
  // Clamped far above any machine, so that no definition overflows a sum.
  auto whole = [](double value, double unit) { return std::llround(std::clamp(value, 0.0, 1e9) * unit); };
  return {whole(cpus, 1e6), whole(mem_mib, 1024), whole(disk_mib, 1024)};
}

namespace {

void index(State& state, Agent& agent) {
  const std::int64_t free = agent.total.micro_cpus - agent.used.micro_cpus;
  if (agent.indexed_free == free) return;
  forget_resources(state, agent);
  state.agents_by_free_cpus.emplace(free, agent.registration.id);
  agent.indexed_free = free;
}

}  // namespace

void set_total(State& state, Agent& agent, const Resources& total) {
  agent.total = total;
  index(state, agent);
}

void take_resources(State& state, Agent& agent, const Resources& resources) {
  agent.used += resources;
  index(state, agent);
}

void give_back_resources(State& state, Agent& agent, const Resources& resources) {
  agent.used -= resources;
  index(state, agent);
}

void forget_resources(State& state, Agent& agent) {
  if (agent.indexed_free) state.agents_by_free_cpus.erase({*agent.indexed_free, agent.registration.id});
  agent.indexed_free.reset();
}

Resources resources_of(const model::App& app) { return make_resources(app.cpus, app.mem_mib, app.disk_mib); }

const App* find_app(const State& state, const model::AppId& id) {
  auto found = state.apps.find(id);
  return found == state.apps.end() || found->second.is_removed ? nullptr : &found->second;
}

const Task* find_task(const State& state, const model::TaskId& id) {
  auto found = state.tasks.find(id);
  return found == state.tasks.end() || found->second.is_zombie ? nullptr : &found->second;
}

model::TaskState shown_state(const Task& task) {
  return task.leaving == Leaving::no || task.is_zombie ? task.state : model::TaskState::killing;
}

bool is_healthy(const Task& task) {
  if (task.state != model::TaskState::running) return false;
  const model::App& app = *task.definition;
  if (!app.health_checks.empty() && !task.alive.value_or(false)) return false;
  // Without ports and checks there is nothing an agent could wait for: running is all.
  return task.is_ready || (app.health_checks.empty() && task.host_ports.empty());
}

}  // namespace lotse::scheduler

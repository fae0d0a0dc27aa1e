#include "scheduler/core/barrier.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace lotse::scheduler {
namespace {

bool has_applied(const State& state, const Proxy& proxy, std::uint64_t revision) {
  return proxy.applied && proxy.applied->epoch == state.term && proxy.applied->number >= revision;
}

constexpr double kDrainSecondsMax = 24 * 3600;

}  // namespace

bool all_applied(const State& state, std::uint64_t revision) {
  return std::all_of(state.proxies.begin(), state.proxies.end(),
                     [&](const auto& entry) { return has_applied(state, entry.second, revision); });
}

DrainProgress drain_progress(const State& state, const Task& task) {
  DrainProgress progress{.all_applied = all_applied(state, task.draining_revision)};
  for (const auto& [key, proxy] : state.proxies) {
    if (auto found = proxy.in_flight.find(task.id); found != proxy.in_flight.end()) progress.in_flight += found->second;
  }
  return progress;
}

bool is_usable_by_all_proxies(const State& state, const Task& task) {
  if (!std::any_of(task.host_ports.begin(), task.host_ports.end(), [](int port) { return port != 0; })) return true;
  if (task.up_revision == 0) return false;
  return std::all_of(state.proxies.begin(), state.proxies.end(), [&](const auto& entry) {
    const Proxy& proxy = entry.second;
    return has_applied(state, proxy, task.up_revision) && !proxy.pending.contains(task.id);
  });
}

Duration drain_deadline_of(const Settings& settings, const model::App& app) {
  if (app.drain_time) return std::chrono::duration_cast<Duration>(*app.drain_time);
  auto label = app.labels.find("lotse.drainSeconds");
  if (label == app.labels.end() || label->second.empty()) return settings.drain_deadline;
  char* end = nullptr;
  const double seconds = std::strtod(label->second.c_str(), &end);
  if (end != label->second.c_str() + label->second.size()) return settings.drain_deadline;
  if (!std::isfinite(seconds) || seconds < 0) return settings.drain_deadline;
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(seconds, kDrainSecondsMax)));
}

bool is_quarantine_over(const State& state, const PortRelease& release, Instant now) {
  return now >= release.released_instant + state.settings.port_quarantine && all_applied(state, release.revision);
}

}  // namespace lotse::scheduler

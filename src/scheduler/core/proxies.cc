// Proxies: leases per boot, acknowledgements, and the drains that wait for them (design section 4) and for DNS.
#include <algorithm>
#include <utility>

#include "scheduler/core/barrier.h"
#include "scheduler/core/handlers.h"
#include "scheduler/core/records.h"
#include "scheduler/core/tasks.h"

namespace lotse::scheduler {
namespace {

Proxy& renew_lease(Turn& turn, const std::string& id, const std::string& boot) {
  State& state = turn.state;
  auto [entry, is_new] = state.proxies.try_emplace(ProxyKey{id, boot});
  Proxy& proxy = entry->second;
  if (is_new) {
    proxy.id = id;
    proxy.boot = boot;
    turn.records[proxy_key(id, boot)] = encode_proxy(proxy);
    turn.drains_due = true;  // what was acknowledged by all is not any more
  }
  proxy.lease_until = turn.now.instant + state.settings.proxy_lease + state.settings.proxy_lease_margin;
  state.timers.arm({TimerKey::Kind::proxy, ""}, proxy.lease_until);
  return proxy;
}

// Reports are whole, so the newest one counts; one that was overtaken on its way says less than we know.
void take_report(Turn& turn, Proxy& proxy, const model::ProxyReport& report) {
  proxy.address = report.address;
  proxy.requests_per_second = report.requests_per_second;
  if (report.applied.epoch != turn.state.term) {  // it still follows our predecessor
    if (!proxy.applied && report.applied.epoch < turn.state.term) proxy.applied = report.applied;
    return;
  }
  if (proxy.applied && report.applied < *proxy.applied) return;
  std::set<model::TaskId> pending(report.pending.begin(), report.pending.end());
  std::map<model::TaskId, std::uint64_t> in_flight;
  for (const auto& draining : report.draining) in_flight[draining.task] += draining.in_flight;
  if (proxy.applied == report.applied && proxy.pending == pending && proxy.in_flight == in_flight) return;
  proxy.applied = report.applied;
  proxy.pending = std::move(pending);
  proxy.in_flight = std::move(in_flight);
  turn.proxies_changed = true;
}

// Clients keep an answer of DNS for its TTL, and nobody can ask them whether they still use it.
bool is_forgotten(Turn& turn, const Task& task) {
  const Duration ttl = turn.state.settings.dns_ttl;
  if (ttl == Duration{}) return true;
  if (!task.left_dns) return false;  // DnsFollowed is on its way
  if (turn.now.instant >= *task.left_dns + ttl) return true;
  turn.state.timers.arm({TimerKey::Kind::task, task.id}, *task.left_dns + ttl);
  return false;
}

void go_on_with(Turn& turn, Task& task) {
  if (task.draining_revision == 0) return;  // to be published first
  const DrainProgress progress = drain_progress(turn.state, task);
  if (!progress.all_applied) {
    task.drain_acknowledged.reset();
    return;
  }
  const Instant now = turn.now.instant;
  if (!task.drain_acknowledged) task.drain_acknowledged = now;
  const Instant deadline = *task.drain_acknowledged + drain_deadline_of(turn.state.settings, *task.definition);
  const bool is_served = progress.in_flight > 0 && now < deadline;
  if (!is_served && is_forgotten(turn, task)) {
    begin_killing(turn, task);
  } else if (is_served) {
    turn.state.timers.arm({TimerKey::Kind::task, task.id}, deadline);
  }
}

}  // namespace

void handle(Turn& turn, const ProxyJoined& event) { renew_lease(turn, event.proxy, event.boot); }

void handle(Turn& turn, const ProxyReported& event) {
  const State& state = turn.state;
  if (event.report.term > state.term) {
    turn.refuse(event.token, 409,
                "This scheduler's term is " + std::to_string(state.term) + ", but the proxy has seen term " +
                    std::to_string(event.report.term) + ": another scheduler has taken over.");
    return;
  }
  take_report(turn, renew_lease(turn, event.proxy, event.report.boot), event.report);
  const double lease = std::chrono::duration<double>(state.settings.proxy_lease).count();
  turn.reply(event.token,
             model::ProxyReportAnswer{.term = state.term, .cluster = state.cluster, .lease_seconds = lease});
}

void handle(Turn& turn, const DnsFollowed& event) {
  for (const model::TaskId& id : turn.state.draining) {
    Task& task = turn.state.tasks.at(id);
    const bool has_left = task.draining_revision != 0 && task.draining_revision <= event.revision;
    if (has_left && !task.left_dns) task.left_dns = turn.now.instant;
  }
  turn.drains_due = true;
}

void on_lease_timer(Turn& turn) {
  State& state = turn.state;
  for (auto proxy = state.proxies.begin(); proxy != state.proxies.end();) {
    if (proxy->second.lease_until > turn.now.instant) {
      state.timers.arm({TimerKey::Kind::proxy, ""}, proxy->second.lease_until);
      ++proxy;
      continue;
    }
    turn.records[proxy_key(proxy->first.first, proxy->first.second)] = std::nullopt;
    turn.proxies_changed = true;
    proxy = state.proxies.erase(proxy);
  }
}

void go_on_with_drains(Turn& turn) {
  const std::vector<model::TaskId> draining(turn.state.draining.begin(), turn.state.draining.end());
  for (const model::TaskId& id : draining) go_on_with(turn, turn.state.tasks.at(id));
}

}  // namespace lotse::scheduler

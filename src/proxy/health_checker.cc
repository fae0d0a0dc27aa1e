#include "proxy/health_checker.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "net/loop.h"

namespace lotse::proxy {

using Verdict = ActiveHealth::Verdict;

HealthChecker::HealthChecker(net::Loop& loop, EndpointRegistry& registry, Random random,
                             std::function<void()> on_verdict)
    : loop_(loop),
      registry_(registry),
      random_(random),
      on_verdict_(std::move(on_verdict)),
      client_(loop, {.idle_connections_max = 0, .user_agent = "lotse-health"}) {}
HealthChecker::~HealthChecker() = default;

void HealthChecker::stop() {
  queue_.clear();
  entries_.clear();
  under_way_ = 0;
}

void HealthChecker::on_change(const RoutingUpdate& update) {
  for (const RoutingUpdate::RecordChange& change : update.records) {
    const bool is_leaving = change.is_removed || change.state == model::EndpointState::draining;
    is_leaving ? forget(*change.record) : watch(change.record);
  }
}

void HealthChecker::on_config(std::size_t checks_max) {
  checks_max_ = std::max<std::size_t>(checks_max, 1);
  std::vector<std::shared_ptr<EndpointRecord>> all;
  registry_.for_each([&](const EndpointRegistry::Known& known) {
    if (known.endpoint.state != model::EndpointState::draining) all.push_back(known.record);
  });
  for (const auto& record : all) watch(record);
  begin_queued();
}

// Whatever it was checked by before.
void HealthChecker::watch(const std::shared_ptr<EndpointRecord>& record) {
  const std::optional<HealthCheck>& check = registry_.app_config(record->endpoint.app).health;
  if (record->endpoint.is_udp || !check) {
    forget(*record);
    if (record->active.verdict == Verdict::unchecked) return;
    record->active = {};
    registry_.mark(record->endpoint.app);
    return on_verdict_();
  }
  std::unique_ptr<Entry>& entry = entries_[record.get()];
  if (entry && entry->check == *check) return;
  if (!entry) {
    entry = std::make_unique<Entry>();
    entry->record = record;
    entry->next = std::make_unique<net::Timer>(loop_.timers(), [this, raw = entry.get()] { begin(*raw); });
  }
  entry->check = *check;
  if (record->active.verdict == Verdict::pending) pending_.insert(record.get());
  // The first one soon: traffic may be waiting for it. A table of thousands is spread by the bound on checks.
  if (!entry->probe && !entry->is_queued) entry->next->start(Duration::zero());
}

void HealthChecker::forget(const EndpointRecord& record) {
  auto place = entries_.find(&record);
  if (place == entries_.end()) return;
  if (place->second->probe) --under_way_;
  if (pending_.erase(&record) > 0) pending_changed_ = true;
  entries_.erase(place);
  begin_queued();
}

void HealthChecker::begin(Entry& entry) {
  if (under_way_ >= checks_max_) {
    counts_.delayed += 1;
    entry.is_queued = true;
    return queue_.push_back(entry.record.get());
  }
  ++under_way_;
  entry.probe = start_probe(client_, *entry.record, entry.check,
                            [this, &entry](std::string problem) { finish(entry, std::move(problem)); });
}

void HealthChecker::finish(Entry& entry, std::string problem) {
  auto ended = std::move(entry.probe);  // it is calling us
  --under_way_;
  entry.next->start(interval_of(entry));
  judge(entry, std::move(problem));
  begin_queued();
}

void HealthChecker::begin_queued() {
  while (under_way_ < checks_max_ && !queue_.empty()) {
    auto place = entries_.find(queue_.front());
    queue_.pop_front();
    if (place == entries_.end() || !std::exchange(place->second->is_queued, false)) continue;
    begin(*place->second);
  }
}

void HealthChecker::judge(Entry& entry, std::string problem) {
  EndpointRecord& record = *entry.record;
  ActiveHealth& health = record.active;
  const bool has_passed = problem.empty();
  health.problem = std::move(problem);
  health.passes = has_passed ? health.passes + 1 : 0;
  health.failures = has_passed ? 0 : health.failures + 1;
  has_passed ? ++counts_.passed : ++counts_.failed;
  switch (health.verdict) {
    case Verdict::unchecked:  // the first word counts: nothing is known that it could be weighed against
    case Verdict::pending:
      if (has_passed) return set(record, Verdict::up);
      if (health.verdict == Verdict::unchecked) return set(record, Verdict::down);
      return;
    case Verdict::up:
      if (health.failures >= entry.check.unhealthy_after) set(record, Verdict::down);
      return;
    case Verdict::down:
      if (health.passes >= entry.check.healthy_after) set(record, Verdict::up);
      return;
  }
}

void HealthChecker::set(EndpointRecord& record, Verdict verdict) {
  const Verdict before = std::exchange(record.active.verdict, verdict);
  if (pending_.erase(&record) > 0) pending_changed_ = true;
  if (verdict == Verdict::down) {
    log::warn("proxy", "endpoint {} (task {}) of app {} is unhealthy: {}", record.address_text, record.endpoint.task,
              record.endpoint.app, record.active.problem);
  } else if (before != Verdict::unchecked) {
    log::info("proxy", "endpoint {} (task {}) of app {} has passed its check", record.address_text,
              record.endpoint.task, record.endpoint.app);
  }
  if (before == Verdict::unchecked && verdict == Verdict::up) return;  // no set says anything else now
  registry_.mark(record.endpoint.app);
  on_verdict_();
}

// A tenth more or less, so that endpoints that came together are not checked together for ever.
Duration HealthChecker::interval_of(const Entry& entry) {
  const auto tenth = static_cast<std::uint64_t>(std::max<std::int64_t>(entry.check.interval.count() / 10, 1));
  return entry.check.interval - Duration(static_cast<std::int64_t>(tenth)) +
         Duration(static_cast<std::int64_t>(random_.below(2 * tenth)));
}

std::vector<model::TaskId> HealthChecker::pending_tasks() const {
  std::set<model::TaskId> tasks;
  for (const EndpointRecord* record : pending_) tasks.insert(record->endpoint.task);
  return {tasks.begin(), tasks.end()};
}

}  // namespace lotse::proxy

#include "proxy/outlier_detector.h"

#include <algorithm>
#include <utility>

namespace lotse::proxy {

namespace {

int threshold_of(const OutlierDetection& policy, std::size_t kind) {
  switch (static_cast<FailureKind>(kind)) {
    case FailureKind::status_5xx:
      return policy.consecutive_5xx;
    case FailureKind::gateway:
      return policy.consecutive_gateway_failures;
    case FailureKind::connect:
      return policy.consecutive_connect_failures;
  }
  return 0;
}

}  // namespace

RoutingUpdate OutlierDetector::on_failures(const std::vector<FailureReport>& reports, Instant now) {
  for (const FailureReport& report : reports) {
    EndpointRecord& record = *report.record;
    const EndpointRegistry::Known* known = registry_.find(record);
    if (known == nullptr) continue;  // removed meanwhile
    count(record.passive, report);
    if (record.passive.is_ejected || known->endpoint.state != model::EndpointState::up) continue;
    const OutlierDetection& policy = registry_.app_config(known->endpoint.app).outlier_detection;
    auto kind = over_threshold(record.passive, report.runs, policy);
    if (!kind) continue;
    if (!may_eject(record, policy)) {
      ++registry_.stats_for(known->endpoint.app).ejections_refused;
      continue;
    }
    const auto index = static_cast<std::size_t>(*kind);
    eject(report.record, *kind, std::max(record.passive.run[index], report.runs.longest[index]), now);
  }
  return registry_.take_marked();
}

// Answers that were good have no report of their own: a count that has moved says that the run is over. What this
// report itself saw after its last good answer begins the next one.
void OutlierDetector::count(PassiveHealth& health, const FailureReport& report) const {
  std::uint64_t good = 0;
  for (const EndpointState& state : report.record->states) good += state.good_answers.get();
  const bool others_were_good = std::exchange(health.good_answers_seen, good) != good;
  for (std::size_t i = 0; i < kFailureKinds; ++i) {
    const bool is_new = others_were_good || report.runs.is_broken[i];
    health.run[i] = is_new ? report.runs.run[i] : health.run[i] + report.runs.run[i];
  }
}

std::optional<FailureKind> OutlierDetector::over_threshold(const PassiveHealth& health, const FailureRuns& runs,
                                                           const OutlierDetection& policy) const {
  for (std::size_t i = kFailureKinds; i-- > 0;) {  // the most telling one first
    const auto threshold = static_cast<std::uint32_t>(std::max(threshold_of(policy, i), 0));
    if (threshold > 0 && std::max(health.run[i], runs.longest[i]) >= threshold) return static_cast<FailureKind>(i);
  }
  return std::nullopt;
}

OutlierDetector::Siblings OutlierDetector::siblings_of(const EndpointRecord& record) const {
  Siblings siblings;
  registry_.for_each_of(record.endpoint.app, [&](const EndpointRegistry::Known& known) {
    if (known.endpoint.port != record.endpoint.port || known.endpoint.state != model::EndpointState::up) return;
    ++siblings.up;
    if (known.record->passive.is_ejected) ++siblings.ejected;
  });
  return siblings;
}

// At least one may go where there are several, however small the share; one always stays in.
bool OutlierDetector::may_eject(const EndpointRecord& record, const OutlierDetection& policy) const {
  const Siblings siblings = siblings_of(record);
  if (policy.ejected_percent_max == 0 || siblings.ejected + 1 >= siblings.up) return false;
  const std::size_t share = siblings.up * static_cast<std::size_t>(policy.ejected_percent_max) / 100;
  return siblings.ejected < std::max<std::size_t>(share, 1);
}

// The time grows with each ejection and is forgotten at the pace it grew: one step per base time spent in.
void OutlierDetector::eject(const std::shared_ptr<EndpointRecord>& record, FailureKind kind, std::uint32_t failures,
                            Instant now) {
  PassiveHealth& health = record->passive;
  const model::AppId& app = record->endpoint.app;
  const OutlierDetection& policy = registry_.app_config(app).outlier_detection;
  const Duration base = std::max<Duration>(policy.ejection_time_base, std::chrono::milliseconds(1));
  const auto forgotten = static_cast<int>(std::min<std::int64_t>((now - health.returned_at) / base, 1 << 20));
  health.ejections_of_late = std::max(health.ejections_of_late - forgotten, 0) + 1;
  const Duration longest = std::max(policy.ejection_time_max, base);
  const Duration time = health.ejections_of_late > longest / base ? longest : base * health.ejections_of_late;
  health.is_ejected = true;
  health.ejected_until = now + time;
  ++health.ejections;
  returns_.emplace(health.ejected_until, record);
  ++registry_.stats_for(app).ejections[static_cast<std::size_t>(kind)];
  registry_.mark(app);
  listener_.on_ejected({*record, kind, failures, time});
}

RoutingUpdate OutlierDetector::let_back(Instant now) {
  while (!returns_.empty() && returns_.begin()->first <= now) {
    auto record = returns_.begin()->second.lock();
    returns_.erase(returns_.begin());
    if (record) take_back(*record, now);
  }
  return registry_.take_marked();
}

void OutlierDetector::take_back(EndpointRecord& record, Instant now) {
  PassiveHealth& health = record.passive;
  health.is_ejected = false;
  health.run = {};
  health.returned_at = now;
  if (registry_.find(record) == nullptr) return;  // removed meanwhile
  registry_.mark(record.endpoint.app);
  listener_.on_returned(record);
}

RoutingUpdate OutlierDetector::on_config(Instant now) {
  for (auto place = returns_.begin(); place != returns_.end();) {
    auto here = place++;
    auto record = here->second.lock();
    if (record && registry_.app_config(record->endpoint.app).outlier_detection.is_on()) continue;
    returns_.erase(here);
    if (record) take_back(*record, now);
  }
  return registry_.take_marked();
}

std::optional<Instant> OutlierDetector::next_return() const {
  if (returns_.empty()) return std::nullopt;
  return returns_.begin()->first;
}

std::vector<std::shared_ptr<EndpointRecord>> OutlierDetector::ejected() const {
  std::vector<std::shared_ptr<EndpointRecord>> found;
  for (const auto& [until, weak] : returns_) {
    if (auto record = weak.lock(); record && registry_.find(*record) != nullptr) found.push_back(std::move(record));
  }
  return found;
}

}  // namespace lotse::proxy

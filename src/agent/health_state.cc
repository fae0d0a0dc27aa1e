#include "agent/health_state.h"

#include <algorithm>

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kEarlyInterval = 1s;   // until the first success, when the interval is longer
constexpr Duration kFirstProbes = 100ms;  // nothing is ready at once; most things are ready soon
constexpr Duration kIntervalMin = 10ms;   // an interval of 0 must not become a busy loop
constexpr double kSecondsMax = 1e7;

Duration to_duration(model::Seconds seconds) {
  double count = seconds.count();
  if (!(count > 0)) return Duration::zero();
  return std::chrono::duration_cast<Duration>(model::Seconds(std::min(count, kSecondsMax)));
}

}  // namespace

HealthState::HealthState(const model::HealthCheck& check, Instant running_since)
    : grace_(to_duration(check.grace_period)),
      interval_(std::max(to_duration(check.interval), kIntervalMin)),
      timeout_(std::max(to_duration(check.timeout), kIntervalMin)),
      failures_max_(check.max_consecutive_failures),
      running_since_(running_since) {}

void HealthState::restore(const model::HealthResult& result) {
  result_ = result;
  has_result_ = !result.first_success.empty() || !result.last_failure.empty();
}

bool HealthState::on_success(Now now) {
  bool changed = !has_result_ || !result_.alive || result_.consecutive_failures != 0;
  has_result_ = true;
  result_.alive = true;
  result_.consecutive_failures = 0;
  result_.last_success = format_timestamp(now.wall);
  if (result_.first_success.empty()) result_.first_success = result_.last_success;
  return changed;
}

bool HealthState::on_failure(Now now, std::string cause) {
  if (!has_succeeded()) {
    if (now.instant < running_since_ + grace_) return false;
    // A timer may come a little early by the kernel's count; a tenth of the interval is close enough.
    if (last_counted_ && now.instant - *last_counted_ < interval_ - interval_ / 10) return false;
  }
  last_counted_ = now.instant;
  has_result_ = true;
  result_.alive = false;
  ++result_.consecutive_failures;
  result_.last_failure = format_timestamp(now.wall);
  result_.last_failure_cause = std::move(cause);
  return true;
}

Duration HealthState::first_delay() const { return has_succeeded() ? interval_ : std::min(interval_, kFirstProbes); }

Duration HealthState::next_delay() const { return has_succeeded() ? interval_ : std::min(interval_, kEarlyInterval); }

std::optional<bool> alive_of(const std::vector<HealthState>& checks) {
  bool is_complete = !checks.empty();
  for (const HealthState& check : checks) {
    if (!check.has_result()) is_complete = false;
    if (check.has_result() && !check.result().alive) return false;
  }
  if (!is_complete) return std::nullopt;
  return true;
}

}  // namespace lotse::agent

// One health check of one task as a state machine: probe results in, Marathon's verdict out (MARATHON.md section 3,
// "Semantics"). Pure: time is an argument. Says when to probe next, too.
//
// Failures count only after the first success or when the grace period since running is over. Until the first success
// we probe more often than the interval, so that a deploy is fast, but such an extra probe can only succeed: failures
// count at most once per interval. `delaySeconds` is not waited for: an early probe can do no harm for that reason.
#pragma once

#include <string>

#include "base/clock.h"
#include "model/app.h"
#include "model/task.h"

namespace lotse::agent {

class HealthState {
 public:
  HealthState(const model::HealthCheck& check, Instant running_since);

  // Takes over what an earlier life of the agent knew, so that its restart changes no verdict.
  void restore(const model::HealthResult& result);

  // Both return true when what is to be reported changed (not for every repeated success).
  bool on_success(Now now);
  bool on_failure(Now now, std::string cause);

  Duration first_delay() const;  // from running to the first probe
  Duration next_delay() const;   // from one probe's end to the next
  Duration timeout() const { return timeout_; }

  bool has_result() const { return has_result_; }
  bool has_succeeded() const { return !result_.first_success.empty(); }
  bool wants_kill() const { return failures_max_ > 0 && result_.consecutive_failures >= failures_max_; }
  const model::HealthResult& result() const { return result_; }

 private:
  Duration grace_, interval_, timeout_;
  int failures_max_;
  Instant running_since_;
  std::optional<Instant> last_counted_;
  bool has_result_ = false;
  model::HealthResult result_;
};

// All of a task's checks taken together, as reported: `alive` once every check has a result or one has failed.
std::optional<bool> alive_of(const std::vector<HealthState>& checks);

}  // namespace lotse::agent

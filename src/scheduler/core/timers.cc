#include "scheduler/core/timers.h"

namespace lotse::scheduler {

void Timers::arm(TimerKey key, Instant at) {
  auto armed = armed_.find(key);
  if (armed != armed_.end()) {
    if (armed->second <= at) return;  // it will fire, look, and be armed anew
    by_time_.erase({armed->second, key});
    armed->second = at;
  } else {
    armed_.emplace(key, at);
  }
  by_time_.emplace(at, std::move(key));
}

std::optional<Instant> Timers::next() const {
  if (by_time_.empty()) return std::nullopt;
  return by_time_.begin()->first;
}

std::optional<TimerKey> Timers::take_due(Instant now) {
  if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
  TimerKey key = by_time_.begin()->second;
  by_time_.erase(by_time_.begin());
  armed_.erase(key);
  return key;
}

void Timers::clear() {
  by_time_.clear();
  armed_.clear();
}

}  // namespace lotse::scheduler

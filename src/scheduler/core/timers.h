// The instants at which the core wants to look at something again. One timer a subject, lazy: a timer that fires too
// early is harmless, its subject looks at the clock and arms it anew. Values only, part of State, never stored.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"

namespace lotse::scheduler {

struct TimerKey {
  enum class Kind : std::uint8_t {
    agent,       // suspect, lost
    task,        // unreachable for so long; drain deadline
    proxy,       // lease
    backoff,     // an app may launch again
    quarantine,  // an agent's ports
    deployment,  // does it get anywhere?
  };
  Kind kind = Kind::agent;
  std::string id;
  auto operator<=>(const TimerKey&) const = default;
};

class Timers {
 public:
  void arm(TimerKey key, Instant at);  // an earlier instant already armed for the key stays
  std::optional<Instant> next() const;
  std::optional<TimerKey> take_due(Instant now);  // removes it
  void clear();

 private:
  std::set<std::pair<Instant, TimerKey>> by_time_;
  std::map<TimerKey, Instant> armed_;
};

}  // namespace lotse::scheduler

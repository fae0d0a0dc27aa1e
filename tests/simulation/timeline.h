// Simulated time: what happens when. Events at one instant happen in the order in which they were planned, so a run
// depends on nothing but its seed.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <utility>

#include "base/clock.h"
#include "base/random.h"

namespace lotse::simulation {

using namespace std::chrono_literals;

class Timeline {
 public:
  Instant now{std::chrono::hours(1000)};
  WallTime wall() const {
    return WallTime(std::chrono::milliseconds(1'700'000'000'000)) +
           std::chrono::duration_cast<WallTime::duration>(now.time_since_epoch() - std::chrono::hours(1000));
  }
  Now both() const { return {now, wall()}; }

  void at(Instant when, std::function<void()> what) { plan_.emplace(std::max(when, now), std::move(what)); }
  void after(Duration delay, std::function<void()> what) { at(now + delay, std::move(what)); }
  bool run_next(Instant end) {  // false: nothing is planned until `end`
    if (plan_.empty() || plan_.begin()->first > end) {
      now = std::max(now, end);
      return false;
    }
    auto next = plan_.extract(plan_.begin());
    now = next.key();
    next.mapped()();
    return true;
  }

 private:
  std::multimap<Instant, std::function<void()>> plan_;
};

// Chance with words.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  bool once_in(std::uint64_t n) { return random_.below(n) == 0; }
  Duration between(Duration least, Duration most) {
    const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
    return least + Duration(static_cast<Duration::rep>(random_.below(span)));
  }
  std::size_t index(std::size_t size) { return static_cast<std::size_t>(random_.below(size)); }

 private:
  Random random_;
};

}  // namespace lotse::simulation

// A timer wheel per loop (one uv_timer_t, 1 ms ticks while anything is due soon, none when idle). Arming and re-arming
// are a few stores: a timer that is moved to a later time stays in its slot and is looked at again when the slot comes.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace lotse::net {

class Timers;

// Owned by whoever waits; destroying it cancels. Must not move. The callback may destroy the timer.
class Timer {
 public:
  Timer(Timers& timers, std::function<void()> on_expired) : timers_(timers), on_expired_(std::move(on_expired)) {}
  ~Timer() { stop(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(Duration delay);  // from the loop's now(); again: moves it. Fires once, never early, at most 2 ms late + lag
  void stop();
  bool is_armed() const { return armed_; }
  Instant deadline() const { return deadline_; }

 private:
  friend class Timers;
  Timers& timers_;
  std::function<void()> on_expired_;
  Instant deadline_{};
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points at us in our slot; null: in no slot
  Instant slot_time_{};     // when our slot is looked at; <= deadline_
  bool armed_ = false;
};

}  // namespace lotse::net

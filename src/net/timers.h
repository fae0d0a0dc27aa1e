// A timer wheel per loop (one uv_timer_t, 1 ms ticks while anything is due soon, none when idle). Arming and re-arming
// are a few stores: a timer that is moved to a later time stays in its slot and is looked at again when the slot comes.
// The wheel itself knows no loop: tests drive one with a FakeClock. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/clock.h"

namespace lotse::net {

class Timers;

// Owned by whoever waits; destroying it cancels. Must not move. The callback may destroy the timer.
class Timer {
 public:
  Timer(Timers& timers, std::function<void()> on_expired) : timers_(timers), on_expired_(std::move(on_expired)) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void start(
      Duration delay);  // from the loop's now(); again: moves it. Fires once, never early, at most 2 ms late + lag
  void stop();
  bool is_armed() const { return armed_; }
  Instant deadline() const { return deadline_; }

 private:
  friend class Timers;
  Timers& timers_;
  std::function<void()> on_expired_;
  Instant deadline_{};
  Timer* next_ = nullptr;
  Timer** link_ =
      nullptr;           // what points at us in our slot; null: in no slot. A stopped timer stays until its slot comes
  Instant slot_time_{};  // when our slot is looked at; <= deadline_ while armed
  bool armed_ = false;
};

// Where a wheel gets its time from, and who wakes it: the loop, or a test.
class TimerDriver {
 public:
  virtual Instant now() = 0;
  virtual void wake_at(Instant time) = 0;  // call run_due() then; replaces the last wish
  virtual void wake_never() = 0;
  virtual void on_armed(bool any) = 0;  // the first timer was armed, or none is any more

 protected:
  ~TimerDriver() = default;
};

class Timers {
 public:
  explicit Timers(TimerDriver& driver);
  explicit Timers(const Clock& clock);  // nobody wakes it: the caller moves the clock and calls run_due()
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;

  void run_due();  // fires everything whose time has come, in order of its millisecond
  std::size_t armed() const { return armed_; }
  Instant now() const { return driver_ != nullptr ? driver_->now() : clock_->now(); }

 private:
  friend class Timer;
  using Tick = std::uint64_t;  // milliseconds since base_
  static constexpr int kLevels = 4, kSlotBits = 8;
  static constexpr Tick kSlots = Tick(1) << kSlotBits;  // level n holds what is due within 256^(n+1) ms: 49 days in all
  static constexpr Tick kNever = ~Tick(0);
  struct Level {
    std::array<Timer*, kSlots> slots{};
    std::array<std::uint64_t, kSlots / 64> occupied{};  // a set bit may be out of date (a timer left), a clear one not
  };

  Tick tick_not_before(Instant time) const;
  Instant time_of(Tick tick) const { return base_ + std::chrono::milliseconds(tick); }
  void start(Timer& timer, Duration delay);
  void stop(Timer& timer);
  void forget(Timer& timer);
  Tick insert(Timer& timer);  // when its slot will be looked at
  static void unlink(Timer& timer);
  Tick next_occupied() const;
  void look_at_slots_of(Tick tick);
  void empty_slot(Timer*& head);
  void fire(Timer& timer);
  void wake_at(Tick tick);

  TimerDriver* driver_ = nullptr;
  const Clock* clock_ = nullptr;
  Instant base_;
  Tick current_ = 0;    // every slot up to here was looked at
  Tick wake_ = kNever;  // what the driver was asked for
  std::size_t armed_ = 0;
  Timer* firing_ = nullptr;
  bool is_running_ = false;
  std::array<Level, kLevels> levels_{};
};

}  // namespace lotse::net

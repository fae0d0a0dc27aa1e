#include <algorithm>
#include <bit>

#include "base/check.h"
#include "net/timers.h"

namespace lotse::net {
namespace {

// Far enough to mean never, near enough that adding it to an Instant cannot overflow.
constexpr Duration kLongest = std::chrono::hours(24 * 365 * 10);

}  // namespace

Timer::~Timer() { timers_.forget(*this); }
void Timer::start(Duration delay) { timers_.start(*this, delay); }
void Timer::stop() { timers_.stop(*this); }

Timers::Timers(TimerDriver& driver) : driver_(&driver), base_(driver.now()) {}
Timers::Timers(const Clock& clock) : clock_(&clock), base_(clock.now()) {}

void Timers::start(Timer& timer, Duration delay) {
  timer.deadline_ = now() + std::clamp(delay, Duration::zero(), kLongest);
  if (!timer.armed_) {
    timer.armed_ = true;
    if (++armed_ == 1 && driver_ != nullptr) driver_->on_armed(true);
  }
  if (timer.link_ != nullptr) {
    if (timer.slot_time_ <= timer.deadline_) return;  // the slot comes first and moves it on
    unlink(timer);
  }
  Tick looked_at = insert(timer);
  if (!is_running_ && looked_at < wake_) wake_at(looked_at);
}

// The timer stays in its slot: stopping and starting again, as for every request, touches no list.
void Timers::stop(Timer& timer) {
  if (!timer.armed_) return;
  timer.armed_ = false;
  if (--armed_ == 0 && driver_ != nullptr) driver_->on_armed(false);
}

void Timers::forget(Timer& timer) {
  stop(timer);
  unlink(timer);
  if (firing_ == &timer) firing_ = nullptr;
}

void Timers::run_due() {
  if (is_running_) return;  // from a timer's callback: the outer call goes on
  is_running_ = true;
  Duration since_base = std::max(now() - base_, Duration::zero());
  Tick now_tick = static_cast<Tick>(std::chrono::floor<std::chrono::milliseconds>(since_base).count());
  for (;;) {
    Tick next = next_occupied();
    if (next > now_tick) break;
    current_ = next;
    look_at_slots_of(next);
  }
  current_ = std::max(current_, now_tick);
  is_running_ = false;
  wake_at(next_occupied());
}

// A slot of level n is looked at when the lower n * 8 bits of the tick are zero. Highest level first: what it holds for
// this very tick moves down or fires.
void Timers::look_at_slots_of(Tick tick) {
  for (int level = kLevels - 1; level >= 0; --level) {
    int shift = level * kSlotBits;
    if ((tick & ((Tick(1) << shift) - 1)) != 0) continue;
    Tick slot = (tick >> shift) % kSlots;
    Level& wheel = levels_[static_cast<std::size_t>(level)];
    std::uint64_t bit = std::uint64_t(1) << (slot % 64);
    if ((wheel.occupied[slot / 64] & bit) == 0) continue;
    wheel.occupied[slot / 64] &= ~bit;
    empty_slot(wheel.slots[slot]);
  }
}

// The list moves to a local head, so that callbacks may start, stop and destroy any timer: one that waits here unlinks
// itself from the local list, and one that is started goes to a later slot.
void Timers::empty_slot(Timer*& head) {
  Timer* due = std::exchange(head, nullptr);
  if (due != nullptr) due->link_ = &due;
  while (due != nullptr) {
    Timer& timer = *due;
    unlink(timer);
    if (!timer.armed_) continue;
    if (tick_not_before(timer.deadline_) > current_) {
      insert(timer);
    } else {
      fire(timer);
    }
  }
}

// The callback may destroy its timer, and with it the std::function that runs: so it runs from here.
void Timers::fire(Timer& timer) {
  stop(timer);
  firing_ = &timer;
  std::function<void()> callback = std::move(timer.on_expired_);
  callback();
  if (firing_ != nullptr) timer.on_expired_ = std::move(callback);
  firing_ = nullptr;
}

Timers::Tick Timers::insert(Timer& timer) {
  Tick tick = std::max(tick_not_before(timer.deadline_), current_ + 1);
  tick = std::min(tick, current_ + (Tick(1) << (kLevels * kSlotBits)) - 1);  // further: looked at again on the way
  int level = 0;
  while (tick - current_ >= Tick(1) << ((level + 1) * kSlotBits)) ++level;
  int shift = level * kSlotBits;
  Tick slot = (tick >> shift) % kSlots;
  Level& wheel = levels_[static_cast<std::size_t>(level)];
  wheel.occupied[slot / 64] |= std::uint64_t(1) << (slot % 64);
  Timer*& head = wheel.slots[slot];
  timer.next_ = head;
  timer.link_ = &head;
  if (head != nullptr) head->link_ = &timer.next_;
  head = &timer;
  Tick looked_at = (tick >> shift) << shift;
  timer.slot_time_ = time_of(looked_at);
  return looked_at;
}

void Timers::unlink(Timer& timer) {
  if (timer.link_ == nullptr) return;
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  timer.next_ = nullptr;
  timer.link_ = nullptr;
}

Timers::Tick Timers::next_occupied() const {
  Tick earliest = kNever;
  for (int level = 0; level < kLevels; ++level) {
    const Level& wheel = levels_[static_cast<std::size_t>(level)];
    int shift = level * kSlotBits;
    Tick here = current_ >> shift;
    // The slots after ours, round the wheel, end with our own, which stands for a whole round later.
    for (Tick distance = 1; distance <= kSlots;) {
      Tick slot = (here + distance) % kSlots;
      std::uint64_t bits = wheel.occupied[slot / 64] >> (slot % 64);
      Tick left_in_word = 64 - slot % 64;
      if (bits == 0) {
        distance += left_in_word;
        continue;
      }
      distance += static_cast<Tick>(std::countr_zero(bits));
      if (distance <= kSlots) earliest = std::min(earliest, (here + distance) << shift);
      break;
    }
  }
  return earliest;
}

void Timers::wake_at(Tick tick) {
  wake_ = tick;
  if (driver_ == nullptr) return;
  tick == kNever ? driver_->wake_never() : driver_->wake_at(time_of(tick));
}

Timers::Tick Timers::tick_not_before(Instant time) const {
  if (time <= base_) return 0;
  return static_cast<Tick>(std::chrono::ceil<std::chrono::milliseconds>(time - base_).count());
}

}  // namespace lotse::net

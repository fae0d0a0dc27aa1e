// A point in time that moves with every request while its timer stays where it is: setting a later deadline is one
// store, and the timer looks at the deadline when it fires and goes back to sleep if that has moved. Owned by whoever
// waits; must not move. One loop thread.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>

#include "net/loop.h"
#include "net/timers.h"

namespace lotse::proxy {

class Deadline {
 public:
  Deadline(net::Loop& loop, std::function<void()> on_over)
      : loop_(loop), on_over_(std::move(on_over)), timer_(loop.timers(), [this] { look(); }) {}

  void set(Duration from_now) {
    const Instant now = loop_.now();
    at_ = std::min(now + from_now, latest_);
    if (!timer_.is_armed() || timer_.deadline() > at_) timer_.start(std::max(at_ - now, Duration::zero()));
  }
  // Whatever is set from here on, this comes first. Instant::max(): nothing does.
  void set_latest(Instant latest) { latest_ = latest; }
  bool is_latest_over() const { return loop_.now() >= latest_; }
  void clear() { at_ = Instant::max(); }  // the timer may still fire, and finds nothing to do
  void stop() {                           // for objects about to be kept in a free list or destroyed
    at_ = Instant::max();
    timer_.stop();
  }
  bool is_set() const { return at_ != Instant::max(); }

 private:
  void look() {
    if (at_ == Instant::max()) return;
    Instant now = loop_.now();
    if (now < at_) return timer_.start(at_ - now);
    at_ = Instant::max();
    std::function<void()> over = on_over_;  // it may destroy us, and with us what it is running from
    over();
  }

  net::Loop& loop_;
  std::function<void()> on_over_;
  Instant at_ = Instant::max(), latest_ = Instant::max();
  net::Timer timer_;
};

}  // namespace lotse::proxy

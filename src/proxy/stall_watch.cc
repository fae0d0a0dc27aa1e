#include "proxy/stall_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

constexpr Duration kWindow = std::chrono::seconds(30);
constexpr Duration kIntervalMin = std::chrono::milliseconds(1);

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

StallWatch::StallWatch(net::Loop& main_loop, const std::vector<std::unique_ptr<Worker>>& workers)
    : loop_(main_loop), workers_(workers), timer_(main_loop.timers(), [this] { look(); }) {}

void StallWatch::start(Duration threshold) {
  threshold_ = threshold;
  watched_.resize(workers_.size());
  last_look_ = window_began_ = loop_.now();
  timer_.start(std::max(threshold_ / 4, kIntervalMin));
}

void StallWatch::stop() { timer_.stop(); }

void StallWatch::look() {
  const Instant now = loop_.clock().now();
  const Duration interval = std::max(threshold_ / 4, kIntervalMin);
  // Late ourselves (stopped, suspended, starved): the workers were, too. Their answers get the time to come in.
  const bool may_judge = now - last_look_ < 2 * interval + std::chrono::milliseconds(100);
  last_look_ = now;
  turn_windows(now);
  for (std::size_t i = 0; i < watched_.size(); ++i) look_at(i, now, may_judge);
  timer_.start(interval);
}

void StallWatch::look_at(std::size_t index, Instant now, bool may_judge) {
  Watched& one = watched_[index];
  one.turn_max[0] = std::max(one.turn_max[0], workers_[index]->load().take_longest());
  if (one.is_asked) {
    if (std::int64_t at = one.answer->at_ns.load(std::memory_order_acquire); at != 0) {
      on_answer(index, Instant(Duration(at)) - one.asked);
    } else if (!may_judge && !one.is_stalled) {
      one.asked = now;
    }
  }
  if (!one.is_asked) return ask(index, now);
  if (one.is_stalled || now - one.asked < threshold_) return;
  one.is_stalled = true;
  ++one.stalls;
  log::error("proxy", "worker {} is stalled: its loop has not turned for {:.3f} s", index, seconds(now - one.asked));
}

void StallWatch::ask(std::size_t index, Instant now) {
  Watched& one = watched_[index];
  one.asked = now;
  one.is_asked = true;
  one.answer->at_ns.store(0, std::memory_order_relaxed);
  workers_[index]->post([answer = one.answer](Worker& worker) {
    answer->at_ns.store(worker.loop().clock().now().time_since_epoch().count(), std::memory_order_release);
  });
}

void StallWatch::on_answer(std::size_t index, Duration lag) {
  Watched& one = watched_[index];
  one.is_asked = false;
  one.lag = lag;
  one.lag_max[0] = std::max(one.lag_max[0], lag);
  if (std::exchange(one.is_stalled, false))
    log::warn("proxy", "worker {} turns again: its loop stood still for {:.3f} s", index, seconds(lag));
}

void StallWatch::turn_windows(Instant now) {
  if (now - window_began_ < kWindow) return;
  window_began_ = now;
  for (Watched& one : watched_) {
    one.lag_max[1] = std::exchange(one.lag_max[0], {});
    one.turn_max[1] = std::exchange(one.turn_max[0], {});
  }
}

StallWatch::Sight StallWatch::sight(std::size_t worker) const {
  if (worker >= watched_.size()) return {};
  const Watched& one = watched_[worker];
  Sight sight{.is_stalled = one.is_stalled, .stalls = one.stalls, .lag = one.lag};
  if (one.is_stalled) sight.silent = loop_.clock().now() - one.asked;
  sight.lag_max = std::max({one.lag_max[0], one.lag_max[1], sight.silent});
  sight.turn_max = std::max({one.turn_max[0], one.turn_max[1], sight.silent});
  return sight;
}

std::string StallWatch::stalled_for(Duration at_least) const {
  std::string text;
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    Sight one = sight(i);
    if (!one.is_stalled || one.silent < at_least) continue;
    fmt::format_to(std::back_inserter(text), "{}worker {} is stalled: its loop has not turned for {:.1f} s",
                   text.empty() ? "" : "; ", i, seconds(one.silent));
  }
  return text;
}

}  // namespace lotse::proxy

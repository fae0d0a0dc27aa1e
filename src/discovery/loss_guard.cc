#include "discovery/loss_guard.h"

#include <algorithm>

namespace lotse::discovery {

bool LossGuard::allows(std::size_t lost, std::size_t endpoints, Instant now) {
  while (!losses_.empty() && losses_.front().when + options_.window <= now) losses_.pop_front();
  std::size_t in_window = lost, base = endpoints;
  for (const Loss& loss : losses_) {
    in_window += loss.count;
    if (loss.has_gone) base += loss.count;
  }
  std::size_t by_percent = base * static_cast<std::size_t>(options_.max_removal_percent) / 100;
  bool is_allowed = in_window <= std::max(options_.always_allowed, by_percent);
  if (!losses_.empty() && losses_.back().when == now && losses_.back().has_gone == is_allowed) {
    losses_.back().count += lost;
  } else {
    losses_.push_back({now, lost, is_allowed});
  }
  return is_allowed;
}

}  // namespace lotse::discovery

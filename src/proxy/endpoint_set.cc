#include "proxy/endpoint_set.h"

#include <algorithm>
#include <utility>

namespace lotse::proxy {

namespace {

// A share of `bound` without division: the high half of the 128 bit product.
std::uint64_t scaled(std::uint64_t point, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(point) * bound) >> 64);
}

}  // namespace

EndpointSet::EndpointSet(model::AppTarget for_target, Balance by, AppStats& counted_in, std::vector<Member> members,
                         int panic_threshold_percent)
    : target(std::move(for_target)), balance(by), stats(counted_in), members_(std::move(members)) {
  std::size_t all_up = 0;
  for (const Member& member : members_) {
    if (member.is_pending) continue;
    if (member.state != model::EndpointState::draining) ++usable_count_;
    if (member.state != model::EndpointState::up) continue;
    ++all_up;
    if (!member.is_ejected) ++up_count_;
  }
  if (up_count_ < all_up && up_count_ * 100 < all_up * static_cast<std::size_t>(panic_threshold_percent)) {
    is_panic_ = true;
    up_count_ = all_up;
    for (Member& member : members_) member.is_ejected = false;
  }
  auto rank = [](const Member& member) {
    constexpr int kLast = 5;
    if (member.is_pending) return kLast;
    return static_cast<int>(member.state) * 2 + (member.state == model::EndpointState::up && member.is_ejected ? 1 : 0);
  };
  std::stable_sort(members_.begin(), members_.end(),
                   [&](const Member& a, const Member& b) { return rank(a) < rank(b); });
  bool is_even = true;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < up_count_; ++i) {
    is_even = is_even && members_[i].weight == members_[0].weight;
    total += members_[i].weight;
  }
  if (is_even || total == 0) return;  // all zero: nobody asked for a share, so all get the same
  cumulative_weights_.reserve(up_count_);
  total = 0;
  for (std::size_t i = 0; i < up_count_; ++i) cumulative_weights_.push_back(total += members_[i].weight);
}

std::size_t EndpointSet::up_member_at(std::uint64_t point) const {
  if (cumulative_weights_.empty()) return scaled(point, up_count_);
  std::uint64_t share = scaled(point, cumulative_weights_.back());
  auto place = std::upper_bound(cumulative_weights_.begin(), cumulative_weights_.end(), share);
  return static_cast<std::size_t>(place - cumulative_weights_.begin());
}

}  // namespace lotse::proxy

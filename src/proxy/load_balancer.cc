#include "proxy/load_balancer.h"

#include <algorithm>

namespace lotse::proxy {

Pick LoadBalancer::pick(const EndpointSet& set, std::uint64_t& cursor, const PickOptions& options) {
  if (set.up_count() > 0) {
    const EndpointSet::Member& drawn = draw(set, cursor);
    if (is_fit(drawn, options)) return {Pick::Outcome::picked, &drawn};
  }
  return search(set, cursor++, options);
}

const EndpointSet::Member& LoadBalancer::draw(const EndpointSet& set, std::uint64_t& cursor) {
  const auto& members = set.members();
  if (set.up_count() == 1) return members[0];
  if (set.balance == Balance::p2c) {
    std::size_t first = set.up_member_at(random_.next()), second = set.up_member_at(random_.next());
    if (first == second) second = (first + 1) % set.up_count();
    return less_busy(members[first], members[second]);
  }
  if (set.is_evenly_weighted()) return members[cursor++ % set.up_count()];
  // Steps of the golden ratio spread the turns as evenly as the weights allow, without any state but the count.
  return members[set.up_member_at(cursor++ * 0x9E3779B97F4A7C15U)];
}

// Busy in proportion to its weight: a / weight_a < b / weight_b without dividing.
const EndpointSet::Member& LoadBalancer::less_busy(const EndpointSet::Member& a, const EndpointSet::Member& b) const {
  std::uint64_t weight_a = std::max<std::uint32_t>(a.weight, 1), weight_b = std::max<std::uint32_t>(b.weight, 1);
  return state_of(b).in_flight.get() * weight_a < state_of(a).in_flight.get() * weight_b ? b : a;
}

bool LoadBalancer::is_fit(const EndpointSet::Member& member, const PickOptions& options) const {
  const EndpointState& state = state_of(member);
  if (state.suspect_until > options.now || (state.is_out && options.is_stale)) return false;
  if (is_full(state)) return false;
  return std::find(options.avoid.begin(), options.avoid.end(), member.record.get()) == options.avoid.end();
}

// The drawn one will not do. From the cursor on, the first of the best kind there is: up; up but suspect (a connection
// to it failed a moment ago); ejected; down; avoided.
Pick LoadBalancer::search(const EndpointSet& set, std::uint64_t cursor, const PickOptions& options) const {
  enum Kind { up, suspect, ejected, down, avoided, kinds };
  const EndpointSet::Member* best[kinds] = {};
  bool some_are_full = false;
  const std::size_t count = set.usable_count();
  for (std::size_t i = 0; i < count; ++i) {
    const EndpointSet::Member& member = set.members()[(cursor + i) % count];
    const EndpointState& state = state_of(member);
    if (state.is_out && options.is_stale) continue;
    bool is_avoided = std::find(options.avoid.begin(), options.avoid.end(), member.record.get()) != options.avoid.end();
    if (is_avoided && !options.may_repeat) continue;
    if (is_full(state)) {
      some_are_full = true;
      continue;
    }
    Kind kind = is_avoided                                   ? avoided
                : member.state == model::EndpointState::down ? down
                : member.is_ejected                          ? ejected
                : state.suspect_until > options.now          ? suspect
                                                             : up;
    if (best[kind] == nullptr) best[kind] = &member;
    if (kind == up) break;
  }
  if (some_are_full && best[up] == nullptr && best[suspect] == nullptr) return {Pick::Outcome::full, nullptr};
  for (const EndpointSet::Member* member : best) {
    if (member != nullptr) return {Pick::Outcome::picked, member};
  }
  return {};
}

}  // namespace lotse::proxy

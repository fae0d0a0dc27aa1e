#include "proxy/routing_state.h"

#include <algorithm>
#include <array>

namespace lotse::proxy {

namespace {
constexpr std::size_t kSegmentsMax = 16;  // of a path, looked at for an exposed app id
}

void RoutingState::apply(const RoutingUpdate& update) {
  for (const auto& change : update.slots) {
    if (change.slot.index >= slots_.size()) slots_.resize(change.slot.index + 1);
    Slot& slot = slots_[change.slot.index];
    if (slot.generation != change.slot.generation) slot = Slot{.generation = change.slot.generation};
    slot.set = change.set;
  }
  if (update.table) table_ = update.table;
  if (update.expose_hosts_are_new) by_host_.clear();
  for (const auto& change : update.exposed) expose(change);
}

void RoutingState::expose(const RoutingUpdate::ExposeChange& change) {
  if (change.is_removed) {
    by_app_.erase(change.app);
    if (auto place = by_host_.find(change.host); place != by_host_.end() && place->second == change.slot) {
      by_host_.erase(place);
    }
    return;
  }
  by_app_[change.app] = change.slot;
  if (!change.host.empty()) by_host_[change.host] = change.slot;
  auto segments = static_cast<std::size_t>(std::count(change.app.begin(), change.app.end(), '/'));
  app_segments_max_ = std::min(std::max(app_segments_max_, segments), kSegmentsMax);
}

RoutingState::Found RoutingState::find(std::string_view host, std::string_view path, std::string_view listener,
                                       std::uint64_t draw) const {
  if (!table_) return {};
  if (const Route* route = table_->find(host, path, listener)) {
    const Route::Target& target = choose(*route, draw);
    return {.route = route, .slot = target.slot, .is_found = true, .app = target.app.app, .by = Found::By::route};
  }
  if (!table_->expose().host.empty()) {
    if (auto place = by_host_.find(host); place != by_host_.end()) {
      const Slot& slot = slots_[place->second];
      std::string_view app = slot.set ? std::string_view(slot.set->target.app) : std::string_view();
      return {.slot = place->second, .is_found = true, .app = app, .by = Found::By::exposed_host};
    }
  }
  if (table_->expose().path) return find_exposed_path(path);
  return {};
}

RoutingState::Found RoutingState::find_tcp(std::string_view listener, std::string_view server_name,
                                           std::uint64_t draw) const {
  const Route* route = table_ ? table_->tcp().find(listener, server_name) : nullptr;
  if (route == nullptr) return {};
  const Route::Target& target = choose(*route, draw);
  return {.route = route, .slot = target.slot, .is_found = true, .app = target.app.app, .by = Found::By::route};
}

// A target without endpoints leaves its share to the others; if none has any, the first answers for all.
const Route::Target& RoutingState::choose(const Route& route, std::uint64_t draw) const {
  if (route.targets.size() == 1) return route.targets.front();
  auto weight_of = [&](const Route::Target& target) -> std::uint64_t {
    const auto& set = slots_[target.slot].set;
    return set && set->has_usable() ? target.weight : 0;
  };
  std::uint64_t total = 0;
  for (const Route::Target& target : route.targets) total += weight_of(target);
  if (total == 0) return route.targets.front();
  std::uint64_t share = draw % total;  // weights are small: the bias is below 2^-40
  for (const Route::Target& target : route.targets) {
    std::uint64_t weight = weight_of(target);
    if (share < weight) return target;
    share -= weight;
  }
  return route.targets.front();
}

RoutingState::Found RoutingState::find_exposed_path(std::string_view path) const {
  std::array<std::size_t, kSegmentsMax> ends{};  // where the first n + 1 segments end
  std::size_t count = 0;
  for_each_segment(path, [&](std::string_view segment) {
    ends[count++] = static_cast<std::size_t>(segment.data() + segment.size() - path.data());
    return count < app_segments_max_;
  });
  if (app_segments_max_ == 0) return {};
  while (count > 0) {  // the longest app id wins
    --count;
    auto place = by_app_.find(path.substr(0, ends[count]));
    if (place == by_app_.end()) continue;
    return {.slot = place->second,
            .is_found = true,
            .strip_segments = static_cast<int>(count + 1),
            .app = place->first,
            .by = Found::By::exposed_path};
  }
  return {};
}

}  // namespace lotse::proxy

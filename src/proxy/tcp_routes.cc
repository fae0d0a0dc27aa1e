#include "proxy/tcp_routes.h"

#include <utility>

namespace lotse::proxy {

TcpRoutes::TcpRoutes(const Config& config, const SlotOf& slot_of) {
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.tcp) continue;
    Route route;
    route.targets = compile_targets(listener.tcp->to, slot_of);
    route.listeners = {listener.name};
    route.where = listener.where;
    by_listener_.emplace(listener.name, static_cast<std::uint32_t>(routes_.size()));
    routes_.push_back(std::move(route));
  }
}

const Route* TcpRoutes::find(std::string_view listener) const {
  auto place = by_listener_.find(listener);
  return place == by_listener_.end() ? nullptr : &routes_[place->second];
}

}  // namespace lotse::proxy

#include "proxy/tcp_routes.h"

#include <utility>

namespace lotse::proxy {

TcpRoutes::TcpRoutes(const Config& config, const SlotOf& slot_of) {
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.is_tcp()) continue;
    Names& names = by_listener_[listener.name];
    if (listener.tcp) names.other = add(listener, {}, listener.tcp->to, slot_of);
    if (!listener.tls_passthrough) continue;
    for (const TlsPassthroughConfig::Name& name : listener.tls_passthrough->names) {
      auto& map = name.host.is_wildcard ? names.wildcard : names.exact;
      map[name.host.text] = add(listener, name.host, name.to, slot_of);
    }
    const auto& other = listener.tls_passthrough->other;
    if (!other.empty()) names.other = add(listener, {}, other, slot_of);
  }
}

std::uint32_t TcpRoutes::add(const ListenerConfig& listener, const HostPattern& host,
                             const std::vector<WeightedTarget>& to, const SlotOf& slot_of) {
  Route route;
  route.targets = compile_targets(to, slot_of);
  route.listeners = {listener.name};
  route.host = host;
  route.where = listener.where;
  routes_.push_back(std::move(route));
  return static_cast<std::uint32_t>(routes_.size() - 1);
}

const Route* TcpRoutes::find(std::string_view listener, std::string_view server_name) const {
  auto place = by_listener_.find(listener);
  if (place == by_listener_.end()) return nullptr;
  const Names& names = place->second;
  if (auto exact = names.exact.find(server_name); exact != names.exact.end()) return &routes_[exact->second];
  // The longest suffix first; a wildcard stands for one label or more, as in routes.
  for (std::size_t dot = server_name.find('.', 1); dot != server_name.npos; dot = server_name.find('.', dot + 1)) {
    auto found = names.wildcard.find(server_name.substr(dot));
    if (found != names.wildcard.end()) return &routes_[found->second];
  }
  return names.other ? &routes_[*names.other] : nullptr;
}

}  // namespace lotse::proxy

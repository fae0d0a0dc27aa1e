// Which apps get the connections of each TCP listener, by the name that the client asks for where TLS is passed
// through: the part of a RouteTable that knows no requests. Immutable; shared by all workers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "proxy/route.h"

namespace lotse::proxy {

class TcpRoutes {
 public:
  TcpRoutes(const Config& config, const SlotOf& slot_of);

  // Of a listener, by its name: the exact server name, else the longest wildcard, else the default. A listener with
  // `tcp` has nothing but a default. Null: nobody.
  const Route* find(std::string_view listener, std::string_view server_name) const;
  const std::vector<Route>& all() const { return routes_; }

 private:
  struct Names {
    TextMap<std::uint32_t> exact, wildcard;  // wildcard by suffix: ".example.com"
    std::optional<std::uint32_t> other;
  };
  std::uint32_t add(const ListenerConfig& listener, const HostPattern& host, const std::vector<WeightedTarget>& to,
                    const SlotOf& slot_of);

  std::vector<Route> routes_;
  TextMap<Names> by_listener_;
};

}  // namespace lotse::proxy

// Which apps get the connections of each TCP listener: the part of a RouteTable that knows no requests. Immutable;
// shared by all workers.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "proxy/route.h"

namespace lotse::proxy {

class TcpRoutes {
 public:
  TcpRoutes(const Config& config, const SlotOf& slot_of);

  const Route* find(std::string_view listener) const;  // by its name; null: it is none of ours
  const std::vector<Route>& all() const { return routes_; }

 private:
  std::vector<Route> routes_;
  TextMap<std::uint32_t> by_listener_;
};

}  // namespace lotse::proxy

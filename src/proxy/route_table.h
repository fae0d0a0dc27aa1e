// The routes of one configuration, compiled: hosts -> tree of path segments -> route with weighted targets. Immutable
// and shared by all workers; a reload makes a new one. Names its targets by slot (RoutingState), so that endpoint
// changes do not touch it. Knows nothing of endpoints; `expose` is in ExposeIndex.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/config.h"
#include "proxy/route.h"
#include "proxy/tcp_routes.h"

namespace lotse::proxy {

class RouteTable {
 public:
  // `slot_of` finds or makes the slot of a target.
  RouteTable(const Config& config, const SlotOf& slot_of);

  // The most specific route: exact host, longest wildcard, any host; within each the longest path. `host` is lower case
  // without port, `path` normalised. Null: none.
  const Route* find(std::string_view host, std::string_view path, std::string_view listener) const;

  const std::vector<Route>& routes() const { return routes_; }
  const TcpRoutes& tcp() const { return tcp_; }
  const ExposeConfig& expose() const { return expose_; }
  bool knows_host(std::string_view host) const;  // for telling which step of routing ended a request

 private:
  struct Node {
    std::vector<std::pair<std::string, std::uint32_t>> children;  // by segment, sorted
    std::vector<std::uint32_t> routes;  // indices into routes_, those bound to listeners first
  };
  struct Tree {
    std::vector<Node> nodes{Node{}};  // 0 is "/"
  };
  void add(Tree& tree, std::uint32_t route);
  const Route* find_in(const Tree& tree, std::string_view path, std::string_view listener) const;
  const Route* first_for(const Node& node, std::string_view listener) const;

  std::vector<Route> routes_;
  TextMap<Tree> exact_, wildcard_;  // wildcard_ by suffix: ".example.com"
  Tree any_host_;
  TcpRoutes tcp_;
  ExposeConfig expose_;
};

// Calls `take(segment)` for each non-empty segment of a path until it answers false.
template <typename Take>
void for_each_segment(std::string_view path, Take take) {
  std::size_t place = 0;
  while (place < path.size()) {
    std::size_t end = std::min(path.find('/', place), path.size());
    if (end > place && !take(path.substr(place, end - place))) return;
    place = end + 1;
  }
}

}  // namespace lotse::proxy

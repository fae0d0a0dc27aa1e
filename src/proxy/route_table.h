// The routes of one configuration, compiled: hosts -> tree of path segments -> route with weighted targets. Immutable
// and shared by all workers; a reload makes a new one. Names its targets by slot (RoutingState), so that endpoint
// changes do not touch it. Knows nothing of endpoints; `expose` is in ExposeIndex.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/app_id.h"
#include "proxy/config.h"

namespace lotse::proxy {

using SlotIndex = std::uint32_t;

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;  // looked up by view: no allocation

// RetryPolicy in a form that an exchange can copy: it outlives the table.
struct RetryRules {
  int attempts = 0;  // 0: only the free retries
  bool when_connect = false, when_refused = false;
  std::bitset<100> when_statuses;  // 500 + index
  std::bitset<17> when_grpc;       // by grpc-status
  int budget_percent = 0;
  Duration per_try{};  // zero: none
  bool takes(int status) const {
    return status >= 500 && status < 600 && when_statuses[static_cast<std::size_t>(status - 500)];
  }
};

struct Route {
  struct Target {
    SlotIndex slot = 0;
    std::uint32_t weight = 1;
    model::AppTarget app;
  };
  std::vector<Target> targets;
  std::vector<std::string> listeners;  // names; empty: all
  RetryRules retry;
  HostPattern host;
  std::string path;
  std::string where;
};

class RouteTable {
 public:
  // `slot_of` finds or makes the slot of a target.
  RouteTable(const Config& config, const std::function<SlotIndex(const model::AppTarget&)>& slot_of);

  // The most specific route: exact host, longest wildcard, any host; within each the longest path. `host` is lower case
  // without port, `path` normalised. Null: none.
  const Route* find(std::string_view host, std::string_view path, std::string_view listener) const;

  const std::vector<Route>& routes() const { return routes_; }
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

// One route as it is compiled: what it matches, and its targets named by slot. Values; RouteTable and TcpRoutes find
// them.
#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

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

using SlotOf = std::function<SlotIndex(const model::AppTarget&)>;  // finds or makes the slot of a target
std::vector<Route::Target> compile_targets(const std::vector<WeightedTarget>& to, const SlotOf& slot_of);

}  // namespace lotse::proxy

// One replica of the routing state: the RouteTable, the endpoint sets by slot, and the `expose` index. Each worker has
// its own, and the main thread has one for explain and the admin pages. Changed only by RoutingUpdates, which reach
// every replica in one order; a change costs what it changes. One thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/endpoint_set.h"
#include "proxy/route_table.h"

namespace lotse::proxy {

// A slot is used again for another target once every worker has dropped the table that named it; the generation tells
// an exchange that was under way meanwhile.
struct SlotRef {
  SlotIndex index = 0;
  std::uint32_t generation = 0;
};

struct RoutingUpdate {
  struct SlotChange {
    SlotRef slot;
    std::shared_ptr<const EndpointSet> set;  // null: the slot is free
  };
  struct ExposeChange {
    model::AppId app;
    std::string host;  // empty: not exposed by host
    SlotIndex slot = 0;
    bool is_removed = false;
  };
  struct RecordChange {
    std::shared_ptr<EndpointRecord> record;
    model::EndpointState state = model::EndpointState::up;
    bool is_removed = false;
    std::uint32_t preconnect = 0;
    std::optional<net::ProxyVersion> proxy_protocol;
    bool speaks_h2 = false;
    std::shared_ptr<const UpstreamTls> tls;  // null: plain
  };
  std::shared_ptr<const RouteTable> table;  // null: unchanged
  std::vector<SlotChange> slots;
  std::vector<ExposeChange> exposed;
  bool expose_hosts_are_new = false;  // the pattern changed: `exposed` has all of them
  std::vector<RecordChange> records;

  bool empty() const { return !table && slots.empty() && exposed.empty() && !expose_hosts_are_new && records.empty(); }
};

struct Slot {
  std::shared_ptr<const EndpointSet> set;
  std::uint32_t generation = 0;
  std::uint64_t cursor = 0;        // of the balancer
  std::uint32_t waiting = 0;       // exchanges that wait for a connection
  std::uint64_t full_in_pass = 0;  // of Worker::serve_waiting(): whoever waits behind need not look again
};

class RoutingState {
 public:
  struct Found {
    const Route* route = nullptr;  // null: exposed, or not found
    SlotIndex slot = 0;
    bool is_found = false;
    int strip_segments = 0;  // of the path, for `expose: path`
    std::string_view app;    // valid until the next update
    enum class By : std::uint8_t { nothing, route, exposed_host, exposed_path } by = By::nothing;
  };

  void apply(const RoutingUpdate& update);

  // `host` is lower case without port, `path` normalised. `draw` (any 64 bits) decides between weighted targets.
  Found find(std::string_view host, std::string_view path, std::string_view listener, std::uint64_t draw) const;

  // Of a connection to a TCP listener.
  Found find_tcp(std::string_view listener, std::string_view server_name, std::uint64_t draw) const;

  Slot* slot(SlotRef ref) {
    if (ref.index >= slots_.size()) return nullptr;
    Slot& found = slots_[ref.index];
    return found.generation == ref.generation && found.set ? &found : nullptr;
  }
  Slot& slot_at(SlotIndex index) { return slots_[index]; }
  const Slot& slot_at(SlotIndex index) const { return slots_[index]; }
  std::size_t slot_count() const { return slots_.size(); }
  const RouteTable* table() const { return table_.get(); }

 private:
  void expose(const RoutingUpdate::ExposeChange& change);
  const Route::Target& choose(const Route& route, std::uint64_t draw) const;
  Found find_exposed_path(std::string_view path) const;

  std::shared_ptr<const RouteTable> table_;
  std::vector<Slot> slots_;
  TextMap<SlotIndex> by_app_, by_host_;
  std::size_t app_segments_max_ = 0;  // of any exposed app id: bounds the look-ups for one path
};

}  // namespace lotse::proxy

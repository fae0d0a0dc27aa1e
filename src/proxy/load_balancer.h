// Picks an endpoint of a set: by turns, or the less busy of two drawn ones. Prefers up ones; an ejected or down one is
// better than a 503 only when no up one is left (panic), and a draining one gets nothing at all. Knows nothing of
// connections. One per worker; one loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/random.h"
#include "proxy/endpoint_set.h"

namespace lotse::proxy {

struct PickOptions {
  std::span<const EndpointRecord* const> avoid;  // they have just failed this request
  bool may_repeat = false;                       // an avoided one is taken when there is nothing else
  bool is_stale = false;                         // the table may be old: those that are out stay out (P2)
  Instant now;
};

struct Pick {
  enum class Outcome : std::uint8_t {
    picked,
    none,  // no endpoint, or only draining, avoided or unconfirmed ones
    full,  // there are some, and each has all the connections it may have: wait
  };
  Outcome outcome = Outcome::none;
  const EndpointSet::Member* member = nullptr;
};

class LoadBalancer {
 public:
  LoadBalancer(std::size_t worker, Random random) : worker_(worker), random_(random) {}
  void set_connections_max(std::size_t per_endpoint) { connections_max_ = per_endpoint; }

  // `cursor` belongs to the worker's slot: where round robin stands.
  Pick pick(const EndpointSet& set, std::uint64_t& cursor, const PickOptions& options);
  Random& random() { return random_; }

 private:
  const EndpointSet::Member& draw(const EndpointSet& set, std::uint64_t& cursor);
  const EndpointSet::Member& less_busy(const EndpointSet::Member& a, const EndpointSet::Member& b) const;
  bool is_fit(const EndpointSet::Member& member, const PickOptions& options) const;
  Pick search(const EndpointSet& set, std::uint64_t cursor, const PickOptions& options) const;
  bool is_full(const EndpointState& state) const {
    return state.in_flight.get() >= (state.speaks_h2 ? state.h2.requests_max() : connections_max_);
  }
  EndpointState& state_of(const EndpointSet::Member& member) const { return member.record->states[worker_]; }

  std::size_t worker_;
  Random random_;
  std::size_t connections_max_ = 512;
};

}  // namespace lotse::proxy

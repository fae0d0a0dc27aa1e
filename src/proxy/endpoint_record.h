// One endpoint identity, (app, port, task, host:port), as the proxy holds it: what never changes, and one EndpointState
// per worker that survives every change of the table (counts, passive health, pool). Made by the EndpointRegistry on
// the main thread; shared by the sets that name it and by the workers, until each of them has let its connections go.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/routes.h"
#include "net/address.h"
#include "net/proxy_protocol.h"
#include "proxy/active_health.h"
#include "proxy/counter.h"
#include "proxy/h2_pool.h"
#include "proxy/passive_health.h"
#include "proxy/upstream_pool.h"
#include "proxy/upstream_tls.h"

namespace lotse::proxy {

struct alignas(64) EndpointState {
  // Written by the worker, read by the main thread.
  Counter in_flight;  // requests that are picked for it, on a connection, or tunnels
  Counter requests;
  Counter connects;
  Counter connect_failures;
  Counter good_answers;  // below 500

  // The worker's thread only.
  UpstreamPool pool;  // HTTP/1.1
  H2Pool h2;
  bool speaks_h2 = false;
  model::EndpointState state = model::EndpointState::up;
  bool is_removed = false;
  std::uint32_t preconnect = 0;
  std::optional<net::ProxyVersion> proxy_protocol;  // a connection begins by telling whose it is
  bool has_failures = false;                        // in `failures`, to be reported (FailureReporter)
  FailureRuns failures;
  Instant suspect_until{};                 // after a failed connection: only when nothing better is there
  std::shared_ptr<const UpstreamTls> tls;  // how to speak to it; null: plain
  net::TlsSessionSlot tls_session;         // of the last connection, for the next one
  std::uint8_t large_answers = 0;          // 0..3: of late, that had a body worth splicing; see UpstreamConnection
  // Freshness (P2), see freshness.h.
  Instant confirmed_until{};
  bool is_confirming = false;
  bool is_kept_unconfirmed = false;  // its agent was silent: out at the first connect failure
  bool is_out = false;               // until the table is known to be current again
  // The host is a name: its address, looked up again when this is over.
  net::Address resolved;
  Instant resolved_until{};
  std::size_t resolve_turn = 0;  // which of a name's addresses
};

struct EndpointRecord : std::enable_shared_from_this<EndpointRecord> {
  EndpointRecord(model::Endpoint identity, std::size_t workers)
      : endpoint(std::move(identity)),
        address_text(endpoint.host + ":" + std::to_string(endpoint.host_port)),
        states(workers) {
    if (auto parsed = net::Address::from_ip(endpoint.host, endpoint.host_port)) address = *parsed;
  }

  const model::Endpoint endpoint;     // as first seen: of what can change, only the registry's own copy counts
  const std::string address_text;     // for logs and messages
  net::Address address;               // empty: the host is a name
  std::vector<EndpointState> states;  // by worker, never resized
  PassiveHealth passive;              // the main thread's, as is:
  ActiveHealth active;

  std::uint64_t in_flight() const {
    std::uint64_t sum = 0;
    for (const EndpointState& state : states) sum += state.in_flight.get();
    return sum;
  }
};

}  // namespace lotse::proxy

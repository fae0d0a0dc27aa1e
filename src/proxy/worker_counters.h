// What a worker counts outside of apps and endpoints; names follow the metrics in proxy_metrics.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "http/h2_flood.h"
#include "proxy/counter.h"

namespace lotse::proxy {

enum class TunnelKind : std::uint8_t { websocket, other, tcp };  // other: any other protocol upgraded to
inline constexpr std::size_t kTunnelKinds = 3;

struct TunnelCounters {
  Counter total, open;
  Counter bytes_in, bytes_out;  // from clients, to clients
};

struct alignas(64) WorkerCounters {
  Counter requests;
  Counter bad_requests;                        // that did not parse
  Counter oversized_heads, oversized_targets;  // of these: 431, 414
  Counter downstream_accepted, downstream_open;
  Counter downstream_bytes_in;  // of all kinds, as read
  Counter downstream_body_bytes_in, downstream_body_bytes_out;
  Counter upstream_bytes_in, upstream_bytes_out;
  Counter spliced_bytes;            // of bodies, in both directions, that went from socket to socket inside the kernel
  Counter splice_refusals;          // a body was copied because every pipe was in use
  Counter pool_reuses, pool_drops;  // dropped: unread bytes in an idle connection or after an answer
  Counter connect_failures;         // not a byte was sent
  Counter connect_timeouts;         // of these
  Counter upstream_failures;        // lost or broken after that
  Counter unprocessed_retries;      // REFUSED_STREAM, or above what a GOAWAY named
  Counter retries, replays;         // on another endpoint; on a fresh connection after a dead pooled one
  std::array<TunnelCounters, kTunnelKinds> tunnels;  // by kind
  Counter header_timeouts, request_timeouts, idle_timeouts, stream_timeouts, tunnel_timeouts;
  Counter first_byte_timeouts, queue_timeouts;
  Counter linger_timeouts;                  // clients that went on sending what nobody wants
  Counter grpc_deadlines;                   // calls that were over before their answer was
  Counter queue_waits, queue_refusals;      // requests that had to wait; the app's queue was full
  Counter retry_refusals;                   // the budget was spent
  Counter accept_pauses;                    // at the bound of downstream connections
  Counter request_pauses, response_pauses;  // a side is not read until the other has taken what is buffered
  Counter memory_evictions;                 // connections that went because they held the most
  Counter upstream_open;
  Counter upstream_goaways;                        // HTTP/2 connections that an endpoint began to end
  Counter upstream_pings, upstream_ping_timeouts;  // sent to silent endpoints; not answered
  Counter tls12_handshakes, tls13_handshakes;      // that were done
  Counter tls_resumptions;                         // of both
  Counter tls_failures;
  Counter upstream_tls_handshakes, upstream_tls_resumptions, upstream_tls_failures;
  Counter h2_connections, h2_streams;                // of clients
  Counter h2_stream_errors, h2_connection_errors;    // that clients made
  std::array<Counter, http::kH2Floods> h2_floods;    // connections that ended because of one, by kind
  Counter upstream_idle_closes, upstream_evictions;  // idle too long; made room for another endpoint's
};

}  // namespace lotse::proxy

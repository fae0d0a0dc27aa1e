// What is counted per app, a part per worker so that no two workers write one cache line. Made by the main thread and
// kept as long as the process: the number of apps with a record of their own is bounded (EndpointRegistry), the rest
// share one. Workers write their part, the main thread reads all.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/counter.h"
#include "proxy/latency_histogram.h"
#include "proxy/passive_health.h"

namespace lotse::proxy {

struct alignas(64) AppWorkerStats {
  std::array<Counter, 6> requests_by_class;  // index: status / 100; 0: no status was sent
  Counter retries;
  Counter body_bytes_in, body_bytes_out;
  Counter waiting;  // now, for a connection
  Counter queue_refusals;
  Counter connect_failures;
  std::array<Counter, 17> grpc_statuses;               // of calls, by grpc-status as the client got it
  Counter tunnels, tunnel_bytes_in, tunnel_bytes_out;  // upgrades and connections of TCP listeners

  LatencyHistogram total;          // end of the request head to end of the response
  LatencyHistogram first_byte;     // of the last try: request handed to the connection to response head
  CoarseLatencyHistogram connect;  // of a new connection to an endpoint
};

struct AppStats {
  AppStats(std::string name, std::size_t workers) : app(std::move(name)), per_worker(workers) {}
  std::string app;
  std::vector<AppWorkerStats> per_worker;  // never resized
  // Main thread only.
  std::array<std::uint64_t, kFailureKinds> ejections{};  // by what they were for
  std::uint64_t ejections_refused = 0;                   // too many were out already
};

}  // namespace lotse::proxy

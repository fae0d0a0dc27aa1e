// What the scheduler tells proxies: endpoints, and the deltas between two revisions of them (design section 3, "Route
// stream"). The codec is used by both sides. SSE events: `snapshot` (chunked), `update`; ids "<epoch>-<revision>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/app.h"
#include "model/task.h"

namespace lotse::model {

enum class EndpointState : std::uint8_t {
  up,        // may get new requests
  down,      // a failed health check: no new requests while another is up
  draining,  // about to be stopped: no new requests, those under way finish
};
std::string_view to_string(EndpointState state);

// One host:port of one task. Its identity is (app, port, task, host:host_port); health, pools and counters hang on it.
struct Endpoint {
  AppId app;
  int port = 0;             // index into the app's ports
  std::string port_name;    // may be empty
  bool is_default = false;  // what "/app" without ":port" means
  bool is_udp = false;      // never enters HTTP sets
  TaskId task;
  Version version;
  std::string host;  // an IP address or a name
  std::uint16_t host_port = 0;
  EndpointState state = EndpointState::up;
  int weight = 100;  // relative to the app's other endpoints; 0..1000
  std::string zone;
  std::string agent;  // "host:port" of the agent's API, to confirm the task; empty: nobody to ask
  Labels labels;      // the app's labels that begin with "lotse."
  bool operator==(const Endpoint&) const = default;
  bool same_identity(const Endpoint& other) const {
    return app == other.app && port == other.port && task == other.task && host == other.host &&
           host_port == other.host_port;
  }
};

enum class GoneWhy : std::uint8_t { asked, lost };  // P3: a mass loss is held back, a removal that was asked for is not
struct GoneTask {
  TaskId task;
  GoneWhy why = GoneWhy::asked;
  bool operator==(const GoneTask&) const = default;
};

// A revision's place in history. The epoch is new at every scheduler start (it is the term).
struct Revision {
  std::uint64_t epoch = 0, number = 0;
  auto operator<=>(const Revision&) const = default;
};
std::string to_string(Revision revision);  // "7-1234", the SSE id
std::optional<Revision> parse_revision(std::string_view text);

struct RouteUpdate {  // event `update`: turns revision `from` into `to`
  std::uint64_t term = 0;
  std::uint64_t from = 0, to = 0;
  std::vector<Endpoint> set;   // replaces the endpoint of the same identity, or adds it
  std::vector<GoneTask> gone;  // every endpoint of the task
  bool operator==(const RouteUpdate&) const = default;
};

// Event `snapshot`: chunks 0..n-1 of one revision, each at most 256 KiB; to be applied as a difference once `last`
// came.
struct SnapshotChunk {
  std::uint64_t term = 0;
  std::uint64_t revision = 0;
  std::uint32_t index = 0;
  bool last = false;
  std::vector<Endpoint> set;
  bool operator==(const SnapshotChunk&) const = default;
};
inline constexpr std::size_t kSnapshotChunkBytesMax = 256 * 1024;

// JSON on one line. {"term":7,"from":1,"to":2,"set":[{"app","port","portName","default","udp","task","version","host",
// "hostPort","state","weight","zone","agent","labels"}],"gone":[{"task","why"}]}; members at their default are left
// out.
std::string serialize(const RouteUpdate& update);
std::string serialize(const SnapshotChunk& chunk);
std::string serialize(const Endpoint& endpoint);
Result<RouteUpdate, Problem> parse_route_update(std::string_view json);
Result<SnapshotChunk, Problem> parse_snapshot_chunk(std::string_view json);
Result<Endpoint, Problem> parse_endpoint(std::string_view json);

// PUT /v1/proxies/{id}: the lease and the acknowledgements. Stateless: each report says all there is to say.
struct ProxyReport {
  std::string boot;             // a uuid, new at each process start: leases are per boot, so a takeover counts both
  std::uint64_t term = 0;       // the highest seen; a scheduler with a lower one is refused
  Revision applied;             // on all workers
  std::vector<TaskId> pending;  // applied, but this proxy's own health check has not passed yet: not usable
  struct Draining {
    TaskId task;
    std::uint64_t in_flight = 0;  // picked, queued or on a connection, over all workers and all its endpoints
    bool operator==(const Draining&) const = default;
  };
  std::vector<Draining> draining;  // those with in_flight > 0; a draining task that is absent has none
  std::string address;             // of its listeners, for DNS and LOTSE_PROXY_URL; may be empty
  double requests_per_second = 0;
  bool operator==(const ProxyReport&) const = default;
};
struct ProxyReportAnswer {
  std::uint64_t term = 0;
  std::string cluster;
  double lease_seconds = 10;
};
std::string serialize(const ProxyReport& report);
std::string serialize(const ProxyReportAnswer& answer);
Result<ProxyReport, Problem> parse_proxy_report(std::string_view json);
Result<ProxyReportAnswer, Problem> parse_proxy_report_answer(std::string_view json);

}  // namespace lotse::model

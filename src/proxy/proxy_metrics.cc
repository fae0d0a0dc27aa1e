// What /metrics says of the data path: the workers' counters, summed when somebody asks.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "proxy/prometheus_label.h"
#include "proxy/proxy_impl.h"

namespace lotse::proxy {

namespace {

class Text {
 public:
  explicit Text(std::string& out) : out_(out) {}

  void head(std::string_view name, std::string_view type, std::string_view help) {
    fmt::format_to(std::back_inserter(out_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  template <typename Value>
  void line(std::string_view name, std::string_view labels, Value value) {
    if (labels.empty()) {
      fmt::format_to(std::back_inserter(out_), "{} {}\n", name, value);
    } else {
      fmt::format_to(std::back_inserter(out_), "{}{{{}}} {}\n", name, labels, value);
    }
  }
  // Bounds are whole octaves of microseconds, `step` apart, so that no count is an estimate; the finer buckets inside
  // are for the percentiles of /v1/stats.
  template <std::size_t SplitBits>
  void histogram(std::string_view name, std::string_view labels, const LatencyMerge<SplitBits>& merged,
                 std::size_t step = 1) {
    for (std::size_t octave = kFirstBound; octave <= kLastBound; octave += step)
      bucket(name, labels, static_cast<double>(std::uint64_t{1} << octave) / 1e6, merged.count_below(octave));
    end_histogram(name, labels, merged.sum_seconds(), merged.count());
  }
  void bucket(std::string_view name, std::string_view labels, double bound, std::uint64_t count);
  void end_histogram(std::string_view name, std::string_view labels, double sum, std::uint64_t count);

 private:
  static constexpr std::size_t kFirstBound = 8, kLastBound = 24;  // 256 µs to 16.8 s
  std::string& out_;
};

void Text::bucket(std::string_view name, std::string_view labels, double bound, std::uint64_t count) {
  fmt::format_to(std::back_inserter(out_), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, labels.empty() ? "" : ",",
                 bound, count);
}

void Text::end_histogram(std::string_view name, std::string_view labels, double sum, std::uint64_t count) {
  fmt::format_to(std::back_inserter(out_), "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, labels.empty() ? "" : ",",
                 count);
  const std::string braces = labels.empty() ? "" : "{" + std::string(labels) + "}";
  fmt::format_to(std::back_inserter(out_), "{}_sum{} {}\n{}_count{} {}\n", name, braces, sum, name, braces, count);
}

struct CounterMetric {
  const char* name;
  const char* help;
  Counter WorkerCounters::*counter;
  const char* type = "counter";
};

constexpr CounterMetric kCounters[] = {
    {"lotse_downstream_connections", "Connections of clients that are open.", &WorkerCounters::downstream_open,
     "gauge"},
    {"lotse_downstream_accepted_total", "Connections of clients that were accepted.",
     &WorkerCounters::downstream_accepted},
    {"lotse_downstream_bytes_in_total", "Bytes read from clients.", &WorkerCounters::downstream_bytes_in},
    {"lotse_downstream_body_bytes_in_total", "Bytes of request bodies.", &WorkerCounters::downstream_body_bytes_in},
    {"lotse_downstream_body_bytes_out_total", "Bytes of response bodies.", &WorkerCounters::downstream_body_bytes_out},
    {"lotse_bad_requests_total", "Requests that did not parse.", &WorkerCounters::bad_requests},
    {"lotse_oversized_heads_total", "Of these: heads over a bound (431).", &WorkerCounters::oversized_heads},
    {"lotse_oversized_targets_total", "Of these: request lines over the bound (414).",
     &WorkerCounters::oversized_targets},
    {"lotse_upstream_connections", "Connections to endpoints that are open.", &WorkerCounters::upstream_open, "gauge"},
    {"lotse_upstream_bytes_in_total", "Bytes read from endpoints.", &WorkerCounters::upstream_bytes_in},
    {"lotse_upstream_body_bytes_out_total", "Body bytes sent to endpoints.", &WorkerCounters::upstream_bytes_out},
    {"lotse_spliced_bytes_total", "Bytes of bodies that passed inside the kernel.", &WorkerCounters::spliced_bytes},
    {"lotse_splice_refusals_total", "Bodies that were copied because every pipe was in use.",
     &WorkerCounters::splice_refusals},
    {"lotse_upstream_connect_failures_total", "Connections to endpoints that failed.",
     &WorkerCounters::connect_failures},
    {"lotse_upstream_connect_timeouts_total", "Of these: those that were not made in time.",
     &WorkerCounters::connect_timeouts},
    {"lotse_upstream_idle_closes_total", "Pooled connections closed because nobody had used them for a while.",
     &WorkerCounters::upstream_idle_closes},
    {"lotse_upstream_evictions_total", "Pooled connections closed to make room for one to another endpoint.",
     &WorkerCounters::upstream_evictions},
    {"lotse_upstream_goaways_total", "HTTP/2 connections that an endpoint began to end (GOAWAY).",
     &WorkerCounters::upstream_goaways},
    {"lotse_upstream_pings_total", "Silent HTTP/2 endpoints that were asked for a sign of life.",
     &WorkerCounters::upstream_pings},
    {"lotse_upstream_ping_timeouts_total", "Of these: those that gave none.", &WorkerCounters::upstream_ping_timeouts},
    {"lotse_upstream_unprocessed_retries_total", "Tries after an endpoint had said that it had not begun to work.",
     &WorkerCounters::unprocessed_retries},
    {"lotse_upstream_failures_total", "Exchanges lost after the request was sent.", &WorkerCounters::upstream_failures},
    {"lotse_upstream_pool_reuses_total", "Exchanges on a pooled connection.", &WorkerCounters::pool_reuses},
    {"lotse_upstream_pool_drops_total", "Pooled connections dropped for unread bytes.", &WorkerCounters::pool_drops},
    {"lotse_retries_total", "Tries on another endpoint.", &WorkerCounters::retries},
    {"lotse_replays_total", "Fresh connections after a dead pooled one.", &WorkerCounters::replays},
    {"lotse_header_timeouts_total", "Request heads that did not come in time.", &WorkerCounters::header_timeouts},
    {"lotse_request_timeouts_total", "Request bodies that took too long as a whole.",
     &WorkerCounters::request_timeouts},
    {"lotse_idle_timeouts_total", "Idle connections of clients that were closed.", &WorkerCounters::idle_timeouts},
    {"lotse_stream_timeouts_total", "Exchanges in which one side stood still.", &WorkerCounters::stream_timeouts},
    {"lotse_linger_timeouts_total", "Clients that sent on after their last answer until they were cut off.",
     &WorkerCounters::linger_timeouts},
    {"lotse_first_byte_timeouts_total", "Tries whose answer did not begin in time.",
     &WorkerCounters::first_byte_timeouts},
    {"lotse_tunnel_timeouts_total", "Tunnels that were idle too long.", &WorkerCounters::tunnel_timeouts},
    {"lotse_queue_waits_total", "Requests that waited for a connection.", &WorkerCounters::queue_waits},
    {"lotse_queue_timeouts_total", "Requests that waited for a connection in vain.", &WorkerCounters::queue_timeouts},
    {"lotse_queue_refusals_total", "Requests refused because their app's queue was full.",
     &WorkerCounters::queue_refusals},
    {"lotse_grpc_deadlines_total", "gRPC calls that were over before their answer was.",
     &WorkerCounters::grpc_deadlines},
    {"lotse_h2_connections_total", "HTTP/2 connections of clients.", &WorkerCounters::h2_connections},
    {"lotse_h2_streams_total", "Requests that came over HTTP/2, malformed ones included.", &WorkerCounters::h2_streams},
    {"lotse_h2_stream_errors_total", "HTTP/2 streams that were reset for what the client did.",
     &WorkerCounters::h2_stream_errors},
    {"lotse_h2_connection_errors_total", "HTTP/2 connections that ended for what the client did.",
     &WorkerCounters::h2_connection_errors},
    {"lotse_tls_failures_total", "TLS handshakes that failed or were too slow.", &WorkerCounters::tls_failures},
    {"lotse_tls_resumptions_total", "TLS handshakes that resumed a session.", &WorkerCounters::tls_resumptions},
    {"lotse_upstream_tls_handshakes_total", "TLS handshakes with endpoints that were done.",
     &WorkerCounters::upstream_tls_handshakes},
    {"lotse_upstream_tls_resumptions_total", "Of these, those that resumed a session.",
     &WorkerCounters::upstream_tls_resumptions},
    {"lotse_upstream_tls_failures_total", "Connections to endpoints that TLS ended.",
     &WorkerCounters::upstream_tls_failures},
    {"lotse_retry_refusals_total", "Retries that were not made because the budget was spent.",
     &WorkerCounters::retry_refusals},
    {"lotse_request_pauses_total", "Times a client was not read until its endpoint had taken what was buffered.",
     &WorkerCounters::request_pauses},
    {"lotse_response_pauses_total", "Times an endpoint was not read until its client had taken what was buffered.",
     &WorkerCounters::response_pauses},
    {"lotse_memory_evictions_total", "Connections of clients closed because they held the most memory.",
     &WorkerCounters::memory_evictions},
    {"lotse_accept_pauses_total", "Times a worker stopped accepting at the bound.", &WorkerCounters::accept_pauses},
};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

template <std::size_t SplitBits>
LatencyMerge<SplitBits> merge(const AppStats& stats, BasicLatencyHistogram<SplitBits> AppWorkerStats::*histogram) {
  LatencyMerge<SplitBits> merged;
  for (const AppWorkerStats& part : stats.per_worker) merged.add(part.*histogram);
  return merged;
}

void write_requests(Text& text, const AppStats& stats) {
  constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  const std::string app = "app=\"" + escaped(stats.app) + "\",code=\"";
  for (std::size_t i = 0; i < std::size(kClasses); ++i) {
    std::uint64_t sum = 0;
    for (const AppWorkerStats& part : stats.per_worker) sum += part.requests_by_class[i].get();
    if (sum > 0) text.line("lotse_requests_total", app + kClasses[i] + "\"", sum);
  }
}

struct AppMetric {
  const char* name;
  const char* help;
  Counter AppWorkerStats::*counter;
  const char* type = "counter";
};

constexpr AppMetric kAppCounters[] = {
    {"lotse_app_body_bytes_in_total", "Bytes of request bodies, by app.", &AppWorkerStats::body_bytes_in},
    {"lotse_app_body_bytes_out_total", "Bytes of response bodies, by app.", &AppWorkerStats::body_bytes_out},
    {"lotse_app_retries_total", "Tries on another endpoint, by app.", &AppWorkerStats::retries},
    {"lotse_app_connect_failures_total", "Connections to the app's endpoints that failed.",
     &AppWorkerStats::connect_failures},
    {"lotse_app_requests_waiting", "Requests that wait for a connection to the app.", &AppWorkerStats::waiting,
     "gauge"},
    {"lotse_app_tunnels_total", "Upgrades and TCP connections, by app.", &AppWorkerStats::tunnels},
    {"lotse_app_tunnel_bytes_in_total", "Bytes from clients through them, by app.", &AppWorkerStats::tunnel_bytes_in},
    {"lotse_app_tunnel_bytes_out_total", "Bytes to clients through them, by app.", &AppWorkerStats::tunnel_bytes_out},
    {"lotse_app_queue_refusals_total", "Requests refused because the app's queue was full.",
     &AppWorkerStats::queue_refusals},
};

using Stats = std::map<model::AppId, std::unique_ptr<AppStats>>;

void write_calls(Text& text, const Stats& apps) {
  text.head("lotse_app_grpc_calls_total", "counter", "gRPC calls by app and grpc-status, as their clients got it.");
  for (const auto& [id, stats] : apps) {
    for (std::size_t status = 0; status < std::tuple_size_v<decltype(AppWorkerStats::grpc_statuses)>; ++status) {
      std::uint64_t sum = 0;
      for (const AppWorkerStats& part : stats->per_worker) sum += part.grpc_statuses[status].get();
      if (sum == 0) continue;
      text.line("lotse_app_grpc_calls_total", fmt::format("app=\"{}\",status=\"{}\"", escaped(id), status), sum);
    }
  }
}

template <std::size_t SplitBits>
void write_histogram(Text& text, const Stats& apps, const char* name, const char* help,
                     BasicLatencyHistogram<SplitBits> AppWorkerStats::*histogram, std::size_t step) {
  text.head(name, "histogram", help);
  for (const auto& [id, stats] : apps) {
    auto merged = merge(*stats, histogram);
    if (merged.count() > 0) text.histogram(name, "app=\"" + escaped(id) + "\"", merged, step);
  }
}

// An app that has had no traffic has no lines: most have none of most.
void write_apps(Text& text, const Stats& apps) {
  write_histogram(text, apps, "lotse_request_seconds",
                  "From the end of the request head to the end of the response, by app.", &AppWorkerStats::total, 1);
  write_histogram(text, apps, "lotse_upstream_first_byte_seconds",
                  "From the request's start towards the endpoint to the response head, by app.",
                  &AppWorkerStats::first_byte, 1);
  write_histogram(text, apps, "lotse_upstream_connect_seconds", "New connections to endpoints, by app.",
                  &AppWorkerStats::connect, 2);
  for (const AppMetric& metric : kAppCounters) {
    text.head(metric.name, metric.type, metric.help);
    for (const auto& [id, stats] : apps) {
      std::uint64_t sum = 0;
      for (const AppWorkerStats& part : stats->per_worker) sum += (part.*metric.counter).get();
      if (sum > 0) text.line(metric.name, "app=\"" + escaped(id) + "\"", sum);
    }
  }
}

struct AppNow {
  std::uint64_t in_flight = 0;
  std::array<std::size_t, 3> endpoints{};  // by state
};

constexpr model::EndpointState kStates[] = {model::EndpointState::up, model::EndpointState::down,
                                            model::EndpointState::draining};

// From the book of endpoints rather than from counters: nothing to keep up per request. Apps beyond the bound of those
// with a label of their own (EndpointRegistry) are "other" here, too.
void write_endpoints(Text& text, const EndpointRegistry& registry) {
  std::map<model::AppId, AppNow> apps;
  registry.for_each([&](const EndpointRegistry::Known& known) {
    const model::AppId& id = known.endpoint.app;
    AppNow& app = apps[registry.stats().contains(id) ? id : "other"];
    app.in_flight += known.record->in_flight();
    ++app.endpoints[static_cast<std::size_t>(std::find(std::begin(kStates), std::end(kStates), known.endpoint.state) -
                                             std::begin(kStates))];
  });
  text.head("lotse_app_requests_in_flight", "gauge", "Requests on an endpoint of the app, tunnels too.");
  for (const auto& [id, app] : apps)
    text.line("lotse_app_requests_in_flight", "app=\"" + escaped(id) + "\"", app.in_flight);
  text.head("lotse_app_endpoints", "gauge", "Endpoints of the app in the table, by state.");
  for (const auto& [id, app] : apps) {
    for (std::size_t i = 0; i < app.endpoints.size(); ++i) {
      if (app.endpoints[i] == 0 && kStates[i] != model::EndpointState::up) continue;
      text.line("lotse_app_endpoints",
                fmt::format("app=\"{}\",state=\"{}\"", escaped(id), model::to_string(kStates[i])), app.endpoints[i]);
    }
  }
}

using Workers = std::vector<std::unique_ptr<Worker>>;

template <typename Get>
void write_per_worker(Text& text, const Workers& workers, const char* name, const char* type, const char* help,
                      Get get) {
  text.head(name, type, help);
  for (const auto& worker : workers) text.line(name, fmt::format("worker=\"{}\"", worker->index()), get(*worker));
}

void write_workers(Text& text, const Workers& workers, const StallWatch& watch) {
  write_per_worker(text, workers, "lotse_worker_requests_total", "counter", "Requests, by worker.",
                   [](Worker& worker) { return worker.counters().requests.get(); });
  write_per_worker(text, workers, "lotse_worker_downstream_connections", "gauge", "Open connections of clients.",
                   [](Worker& worker) { return worker.counters().downstream_open.get(); });
  write_per_worker(text, workers, "lotse_worker_busy_seconds_total", "counter",
                   "Time in which the loop did something other than wait.",
                   [](Worker& worker) { return seconds(worker.load().busy()); });
  text.head("lotse_worker_turn_seconds", "histogram", "Turns of the loop: what everything else on it had to wait.");
  for (const auto& worker : workers) {
    const std::string labels = fmt::format("worker=\"{}\"", worker->index());
    const net::LoopLoad& load = worker->load();
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i + 1 < net::LoopLoad::kBuckets; ++i) {
      sum += load.turns_in(i);
      text.bucket("lotse_worker_turn_seconds", labels, seconds(net::LoopLoad::bound(i)), sum);
    }
    sum += load.turns_in(net::LoopLoad::kBuckets - 1);
    text.end_histogram("lotse_worker_turn_seconds", labels, seconds(load.busy()), sum);
  }
  write_per_worker(text, workers, "lotse_worker_loop_busy_seconds_max", "gauge",
                   "The longest turn of the last half to whole minute.",
                   [&](Worker& worker) { return seconds(watch.sight(worker.index()).turn_max); });
  write_per_worker(text, workers, "lotse_worker_lag_seconds", "gauge",
                   "How long the last sample waited for its turn on the loop.",
                   [&](Worker& worker) { return seconds(watch.sight(worker.index()).lag); });
  write_per_worker(text, workers, "lotse_worker_lag_seconds_max", "gauge",
                   "The longest wait of the last half to whole minute.",
                   [&](Worker& worker) { return seconds(watch.sight(worker.index()).lag_max); });
  write_per_worker(text, workers, "lotse_worker_stalled", "gauge", "1 while the loop does not turn.",
                   [&](Worker& worker) { return watch.sight(worker.index()).is_stalled ? 1 : 0; });
  write_per_worker(text, workers, "lotse_worker_stalls_total", "counter", "Times the loop did not turn for so long.",
                   [&](Worker& worker) { return watch.sight(worker.index()).stalls; });
}

struct TunnelMetric {
  const char* name;
  const char* help;
  Counter TunnelCounters::*counter;
  const char* type = "counter";
};

constexpr TunnelMetric kTunnelMetrics[] = {
    {"lotse_tunnels_total", "Upgrades (101) and connections of TCP listeners that have reached an endpoint.",
     &TunnelCounters::total},
    {"lotse_tunnels", "Of these: open ones.", &TunnelCounters::open, "gauge"},
    {"lotse_tunnel_bytes_in_total", "Bytes from clients through them.", &TunnelCounters::bytes_in},
    {"lotse_tunnel_bytes_out_total", "Bytes to clients through them.", &TunnelCounters::bytes_out},
};

void write_tunnels(Text& text, const Workers& workers) {
  constexpr const char* kProtocols[kTunnelKinds] = {"websocket", "other", "tcp"};
  for (const TunnelMetric& metric : kTunnelMetrics) {
    text.head(metric.name, metric.type, metric.help);
    for (std::size_t i = 0; i < kTunnelKinds; ++i) {
      std::uint64_t sum = 0;
      for (const auto& worker : workers) sum += (worker->counters().tunnels[i].*metric.counter).get();
      text.line(metric.name, fmt::format("protocol=\"{}\"", kProtocols[i]), sum);
    }
  }
}

void write_floods(Text& text, const Workers& workers) {
  text.head("lotse_h2_floods_total", "counter", "HTTP/2 connections that ended because of too many frames of a kind.");
  static constexpr const char* kFloods[http::kH2Floods] = {"kind=\"resets\"",       "kind=\"pings\"",
                                                           "kind=\"settings\"",     "kind=\"window_updates\"",
                                                           "kind=\"empty_frames\"", "kind=\"other_frames\""};
  for (std::size_t kind = 0; kind < http::kH2Floods; ++kind) {
    std::uint64_t sum = 0;
    for (const auto& worker : workers) sum += worker->counters().h2_floods[kind].get();
    text.line("lotse_h2_floods_total", kFloods[kind], sum);
  }
}

void write_ejections(Text& text, const EndpointRegistry& registry, const OutlierDetector& detector,
                     const RoutingState& replica) {
  text.head("lotse_ejections_total", "counter", "Endpoints ejected by passive health, by app and reason.");
  constexpr const char* kWhy[] = {"5xx", "gateway", "connect"};
  for (const auto& [id, stats] : registry.stats()) {
    for (std::size_t i = 0; i < std::size(kWhy); ++i) {
      if (stats->ejections[i] == 0) continue;
      text.line("lotse_ejections_total", "app=\"" + escaped(stats->app) + "\",why=\"" + kWhy[i] + "\"",
                stats->ejections[i]);
    }
  }
  text.head("lotse_ejections_refused_total", "counter",
            "Reports of failing endpoints that stayed in: too many of the app are out, or it is the last.");
  for (const auto& [id, stats] : registry.stats()) {
    if (stats->ejections_refused == 0) continue;
    text.line("lotse_ejections_refused_total", "app=\"" + escaped(stats->app) + "\"", stats->ejections_refused);
  }
  text.head("lotse_endpoints_ejected", "gauge", "Endpoints that are ejected now, by app.");
  std::map<std::string_view, std::size_t> ejected;
  for (const auto& [id, stats] : registry.stats()) {
    const bool was_any = stats->ejections != std::array<std::uint64_t, kFailureKinds>{};
    if (was_any) ejected[stats->app] = 0;
  }
  for (const auto& record : detector.ejected()) {
    auto place = ejected.find(record->endpoint.app);
    ++(place != ejected.end() ? place->second : ejected["other"]);  // beyond the bound on apps with counts of their own
  }
  for (const auto& [app, count] : ejected) {
    text.line("lotse_endpoints_ejected", "app=\"" + escaped(app) + "\"", count);
  }
  std::size_t panics = 0;
  for (std::size_t i = 0; i < replica.slot_count(); ++i) {
    const auto& set = replica.slot_at(static_cast<SlotIndex>(i)).set;
    if (set && set->ignores_ejections()) ++panics;
  }
  text.head("lotse_ejections_ignored", "gauge", "App ports whose ejections are ignored: too few are left in.");
  text.line("lotse_ejections_ignored", "", panics);
}

void write_health(Text& text, const EndpointRegistry& registry, const HealthChecker& checker) {
  const HealthChecker::Counts& counts = checker.counts();
  text.head("lotse_health_checks_total", "counter", "Checks of endpoints by the proxy itself, by what came of them.");
  text.line("lotse_health_checks_total", "result=\"passed\"", counts.passed);
  text.line("lotse_health_checks_total", "result=\"failed\"", counts.failed);
  text.head("lotse_health_checks_delayed_total", "counter", "Checks that had to wait for others to end.");
  text.line("lotse_health_checks_delayed_total", "", counts.delayed);
  std::size_t pending = 0, unhealthy = 0;
  registry.for_each([&](const EndpointRegistry::Known& known) {
    if (known.record->active.verdict == ActiveHealth::Verdict::pending) ++pending;
    if (known.record->active.verdict == ActiveHealth::Verdict::down) ++unhealthy;
  });
  text.head("lotse_endpoints_pending", "gauge", "Endpoints that get nothing before their first passed check.");
  text.line("lotse_endpoints_pending", "", pending);
  text.head("lotse_endpoints_unhealthy", "gauge", "Endpoints that fail the proxy's own checks.");
  text.line("lotse_endpoints_unhealthy", "", unhealthy);
}

}  // namespace

void Proxy::Impl::write_metrics(std::string& out) const {
  Text text(out);
  text.head("lotse_workers", "gauge", "Loop threads.");
  text.line("lotse_workers", "", workers.size());
  text.head("lotse_config_applied", "gauge", "1 when every worker has the newest configuration.");
  text.line("lotse_config_applied", "", is_config_applied ? 1 : 0);
  text.head("lotse_draining", "gauge", "1 from the beginning of a graceful stop.");
  text.line("lotse_draining", "", is_draining ? 1 : 0);
  text.head("lotse_takeovers_total", "counter",
            "Times that a process took over from the one before, over all of them.");
  text.line("lotse_takeovers_total", "", takeovers);
  text.head("lotse_takeover_failures_total", "counter", "New processes that did not take over from this one.");
  text.line("lotse_takeover_failures_total", "", takeover_failures);
  if (workers.empty()) return;

  for (const CounterMetric& metric : kCounters) {
    std::uint64_t sum = 0;
    for (const auto& worker : workers) sum += (worker->counters().*metric.counter).get();
    text.head(metric.name, metric.type, metric.help);
    text.line(metric.name, "", sum);
  }
  text.head("lotse_tls_handshakes_total", "counter", "TLS handshakes that were done, by version.");
  std::uint64_t tls12 = 0, tls13 = 0;
  for (const auto& worker : workers) {
    tls12 += worker->counters().tls12_handshakes.get();
    tls13 += worker->counters().tls13_handshakes.get();
  }
  text.line("lotse_tls_handshakes_total", "version=\"1.2\"", tls12);
  text.line("lotse_tls_handshakes_total", "version=\"1.3\"", tls13);
  write_tunnels(text, workers);
  tls.write_metrics(out);
  upstream_tls.write_metrics(out);
  write_floods(text, workers);
  std::size_t held = 0;
  for (const auto& worker : workers) held += worker->buffered_bytes();
  text.head("lotse_buffered_bytes", "gauge", "Bytes of heads, bodies and answers that wait to be taken.");
  text.line("lotse_buffered_bytes", "", held);
  text.head("lotse_buffered_bytes_max", "gauge", "The most there may be of them: limits.memory_bytes_max.");
  text.line("lotse_buffered_bytes_max", "", memory_bytes_max);
  text.head("lotse_downstream_connections_max", "gauge", "Connections of clients that are accepted at most.");
  text.line("lotse_downstream_connections_max", "", shared->downstream_max.load());
  write_workers(text, workers, stall_watch);
  listener_book.write_metrics(out);
  text.head("lotse_requests_total", "counter", "Requests by app and class of the status; app \"\": none was found.");
  write_requests(text, shared->unrouted);
  for (const auto& [id, stats] : registry->stats()) write_requests(text, *stats);
  write_apps(text, registry->stats());
  write_calls(text, registry->stats());
  write_endpoints(text, *registry);

  write_ejections(text, *registry, *detector, replica);
  write_health(text, *registry, *checker);
  text.head("lotse_endpoints", "gauge", "Endpoints in the table, by state.");
  for (auto state : kStates) {
    text.line("lotse_endpoints", fmt::format("state=\"{}\"", model::to_string(state)), registry->endpoint_count(state));
  }
  text.head("lotse_route_apply_seconds", "histogram", "From a change of the table to the last worker that has it.");
  LatencyMerge<3> applied;
  applied.add(apply_latency);
  text.histogram("lotse_route_apply_seconds", "", applied);
  text.head("lotse_route_apply_max_seconds", "gauge", "The longest of them.");
  text.line("lotse_route_apply_max_seconds", "", seconds(apply_max));
  text.head("lotse_access_log_dropped_total", "counter", "Lines dropped because the log could not be written in time.");
  text.line("lotse_access_log_dropped_total", "", shared->access_log.dropped());
  text.head("lotse_table_is_fresh", "gauge", "1 while the table is known to be current.");
  text.line("lotse_table_is_fresh", "",
            main_loop.clock().now().time_since_epoch().count() < shared->fresh_until.load() ? 1 : 0);
}

// /v1/stats: what nobody wants to compute from buckets by head ------------------------------------------------------

namespace {

using Json = nlohmann::json;

template <std::size_t SplitBits>
Json latency_json(const LatencyMerge<SplitBits>& merged) {
  auto milliseconds = [](double value) { return std::round(value * 1e6) / 1e3; };
  return {{"count", merged.count()},
          {"mean", milliseconds(merged.mean_seconds())},
          {"p50", milliseconds(merged.quantile_seconds(0.5))},
          {"p90", milliseconds(merged.quantile_seconds(0.9))},
          {"p99", milliseconds(merged.quantile_seconds(0.99))},
          {"p999", milliseconds(merged.quantile_seconds(0.999))},
          {"max", milliseconds(merged.quantile_seconds(1))}};
}

Json app_json(const AppStats& stats) {
  constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  Json requests = Json::object();
  auto sum_of = [&](auto get) {
    std::uint64_t sum = 0;
    for (const AppWorkerStats& part : stats.per_worker) sum += get(part).get();
    return sum;
  };
  for (std::size_t i = 0; i < std::size(kClasses); ++i)
    requests[kClasses[i]] =
        sum_of([i](const AppWorkerStats& part) -> const Counter& { return part.requests_by_class[i]; });
  Json out{{"requests", requests}};
  constexpr std::pair<const char*, Counter AppWorkerStats::*> kCounts[] = {
      {"bodyBytesIn", &AppWorkerStats::body_bytes_in}, {"bodyBytesOut", &AppWorkerStats::body_bytes_out},
      {"retries", &AppWorkerStats::retries},           {"connectFailures", &AppWorkerStats::connect_failures},
      {"waiting", &AppWorkerStats::waiting},           {"queueRefusals", &AppWorkerStats::queue_refusals}};
  for (const auto& [name, counter] : kCounts)
    out[name] = sum_of([member = counter](const AppWorkerStats& part) -> const Counter& { return part.*member; });
  out["totalMs"] = latency_json(merge(stats, &AppWorkerStats::total));
  out["firstByteMs"] = latency_json(merge(stats, &AppWorkerStats::first_byte));
  out["connectMs"] = latency_json(merge(stats, &AppWorkerStats::connect));
  return out;
}

}  // namespace

std::string Proxy::Impl::stats_json() const {
  Json apps = Json::object(), loops = Json::array();
  if (registry) {
    for (const auto& [id, stats] : registry->stats()) apps[id] = app_json(*stats);
  }
  for (const auto& worker : workers) {
    StallWatch::Sight sight = stall_watch.sight(worker->index());
    loops.push_back({{"worker", worker->index()},
                     {"requests", worker->counters().requests.get()},
                     {"connections", worker->counters().downstream_open.get()},
                     {"busySeconds", seconds(worker->load().busy())},
                     {"lagMs", seconds(sight.lag) * 1e3},
                     {"lagMaxMs", seconds(sight.lag_max) * 1e3},
                     {"longestTurnMs", seconds(sight.turn_max) * 1e3},
                     {"stalled", sight.is_stalled},
                     {"stalls", sight.stalls}});
  }
  Json out{{"apps", apps}, {"workers", loops}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

double Proxy::Impl::requests_per_second() {
  if (workers.empty()) return 0;
  std::uint64_t total = 0;
  for (const auto& worker : workers) total += worker->counters().requests.get();
  Instant now = main_loop.clock().now();
  constexpr Duration kWindow = std::chrono::seconds(10);
  while (request_samples.size() > 1 && now - request_samples.front().first > kWindow) request_samples.pop_front();
  double rate = 0;
  if (!request_samples.empty()) {
    double seconds = std::chrono::duration<double>(now - request_samples.front().first).count();
    if (seconds > 0.1) rate = static_cast<double>(total - request_samples.front().second) / seconds;
  }
  if (request_samples.empty() || now - request_samples.back().first >= std::chrono::seconds(1)) {
    request_samples.emplace_back(now, total);
  }
  return rate;
}

}  // namespace lotse::proxy

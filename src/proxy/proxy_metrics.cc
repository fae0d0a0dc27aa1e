// What /metrics says of the data path: the workers' counters, summed when somebody asks.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

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
  void histogram(std::string_view name, std::string_view labels, const std::vector<const LatencyHistogram*>& parts);

 private:
  std::string& out_;
};

// Bounds at whole octaves; the finer buckets inside are for our own percentiles.
void Text::histogram(std::string_view name, std::string_view labels,
                     const std::vector<const LatencyHistogram*>& parts) {
  const std::string comma = labels.empty() ? "" : ",";
  std::uint64_t so_far = 0;
  for (std::size_t octave = 0; octave < LatencyHistogram::kOctaves; ++octave) {
    for (const LatencyHistogram* part : parts) {
      for (std::size_t eighth = 0; eighth < 8; ++eighth) so_far += part->count_in(octave * 8 + eighth);
    }
    if (octave + 1 == LatencyHistogram::kOctaves) break;
    double bound = static_cast<double>(std::uint64_t{2} << (octave + LatencyHistogram::kFirstOctave)) / 1e6;
    fmt::format_to(std::back_inserter(out_), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, bound, so_far);
  }
  std::uint64_t micros = 0;
  for (const LatencyHistogram* part : parts) micros += part->sum_micros();
  fmt::format_to(std::back_inserter(out_), "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, so_far);
  const std::string braces = labels.empty() ? "" : "{" + std::string(labels) + "}";
  fmt::format_to(std::back_inserter(out_), "{}_sum{} {}\n{}_count{} {}\n", name, braces,
                 static_cast<double>(micros) / 1e6, name, braces, so_far);
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
    {"lotse_upstream_connections", "Connections to endpoints that are open.", &WorkerCounters::upstream_open, "gauge"},
    {"lotse_upstream_bytes_in_total", "Bytes read from endpoints.", &WorkerCounters::upstream_bytes_in},
    {"lotse_upstream_body_bytes_out_total", "Body bytes sent to endpoints.", &WorkerCounters::upstream_bytes_out},
    {"lotse_upstream_connect_failures_total", "Connections to endpoints that failed.",
     &WorkerCounters::connect_failures},
    {"lotse_upstream_failures_total", "Exchanges lost after the request was sent.", &WorkerCounters::upstream_failures},
    {"lotse_upstream_pool_reuses_total", "Exchanges on a pooled connection.", &WorkerCounters::pool_reuses},
    {"lotse_upstream_pool_drops_total", "Pooled connections dropped for unread bytes.", &WorkerCounters::pool_drops},
    {"lotse_retries_total", "Tries on another endpoint.", &WorkerCounters::retries},
    {"lotse_replays_total", "Fresh connections after a dead pooled one.", &WorkerCounters::replays},
    {"lotse_tunnels_total", "Exchanges that became tunnels (101).", &WorkerCounters::tunnels},
    {"lotse_header_timeouts_total", "Request heads that did not come in time.", &WorkerCounters::header_timeouts},
    {"lotse_idle_timeouts_total", "Idle connections of clients that were closed.", &WorkerCounters::idle_timeouts},
    {"lotse_stream_timeouts_total", "Exchanges in which one side stood still.", &WorkerCounters::stream_timeouts},
    {"lotse_linger_timeouts_total", "Clients that sent on after their last answer until they were cut off.",
     &WorkerCounters::linger_timeouts},
    {"lotse_queue_timeouts_total", "Requests that waited for a connection in vain.", &WorkerCounters::queue_timeouts},
    {"lotse_queue_refusals_total", "Requests refused because their app's queue was full.",
     &WorkerCounters::queue_refusals},
    {"lotse_tls_failures_total", "TLS handshakes that failed or were too slow.", &WorkerCounters::tls_failures},
    {"lotse_tls_resumptions_total", "TLS handshakes that resumed a session.", &WorkerCounters::tls_resumptions},
    {"lotse_accept_pauses_total", "Times a worker stopped accepting at the bound.", &WorkerCounters::accept_pauses},
};

std::string escaped(std::string_view label) {
  std::string out;
  for (char c : label) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

void write_app(Text& text, const AppStats& stats, bool is_histogram) {
  const std::string app = "app=\"" + escaped(stats.app) + "\"";
  if (is_histogram) {
    std::vector<const LatencyHistogram*> parts;
    for (const AppWorkerStats& part : stats.per_worker) parts.push_back(&part.latency);
    return text.histogram("lotse_request_seconds", app, parts);
  }
  constexpr const char* kClasses[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (std::size_t i = 0; i < std::size(kClasses); ++i) {
    std::uint64_t sum = 0;
    for (const AppWorkerStats& part : stats.per_worker) sum += part.requests_by_class[i].get();
    if (sum > 0) text.line("lotse_requests_total", app + ",code=\"" + kClasses[i] + "\"", sum);
  }
}

}  // namespace

void Proxy::Impl::write_metrics(std::string& out) const {
  Text text(out);
  text.head("lotse_workers", "gauge", "Loop threads.");
  text.line("lotse_workers", "", workers.size());
  text.head("lotse_config_applied", "gauge", "1 when every worker has the newest configuration.");
  text.line("lotse_config_applied", "", is_config_applied ? 1 : 0);
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
  text.head("lotse_worker_loop_busy_seconds_max", "gauge",
            "The longest turn of a worker's loop since the last scrape.");
  for (const auto& worker : workers) {
    text.line("lotse_worker_loop_busy_seconds_max", fmt::format("worker=\"{}\"", worker->index()),
              std::chrono::duration<double>(worker->load().take_longest()).count());
  }
  text.head("lotse_requests_total", "counter", "Requests by app and class of the status; app \"\": none was found.");
  write_app(text, shared->unrouted, false);
  for (const auto& [id, stats] : registry->stats()) write_app(text, *stats, false);
  text.head("lotse_request_seconds", "histogram", "From the end of the request head to the end of the response.");
  for (const auto& [id, stats] : registry->stats()) write_app(text, *stats, true);
  text.head("lotse_app_retries_total", "counter", "Tries on another endpoint, by app.");
  for (const auto& [id, stats] : registry->stats()) {
    std::uint64_t sum = 0;
    for (const AppWorkerStats& part : stats->per_worker) sum += part.retries.get();
    if (sum > 0) text.line("lotse_app_retries_total", "app=\"" + escaped(id) + "\"", sum);
  }

  text.head("lotse_endpoints", "gauge", "Endpoints in the table, by state.");
  for (auto state : {model::EndpointState::up, model::EndpointState::down, model::EndpointState::draining}) {
    text.line("lotse_endpoints", fmt::format("state=\"{}\"", model::to_string(state)), registry->endpoint_count(state));
  }
  text.head("lotse_route_apply_seconds", "histogram", "From a change of the table to the last worker that has it.");
  text.histogram("lotse_route_apply_seconds", "", {&apply_latency});
  text.head("lotse_route_apply_max_seconds", "gauge", "The longest of them.");
  text.line("lotse_route_apply_max_seconds", "", std::chrono::duration<double>(apply_max).count());
  text.head("lotse_access_log_dropped_total", "counter", "Lines dropped because the log could not be written in time.");
  text.line("lotse_access_log_dropped_total", "", shared->access_log.dropped());
  text.head("lotse_table_is_fresh", "gauge", "1 while the table is known to be current.");
  text.line("lotse_table_is_fresh", "",
            main_loop.clock().now().time_since_epoch().count() < shared->fresh_until.load() ? 1 : 0);
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

#include "proxy/listener_stats.h"

#include <fmt/format.h>

#include <iterator>

#include "proxy/prometheus_label.h"

namespace lotse::proxy {

namespace {

struct ListenerMetric {
  const char* name;
  const char* help;
  Counter ListenerWorkerStats::*counter;
  const char* type = "counter";
};

constexpr ListenerMetric kMetrics[] = {
    {"lotse_listener_accepted_total", "Connections that were accepted, by listener.", &ListenerWorkerStats::accepted},
    {"lotse_listener_tcp_connections", "Connections of TCP listeners that are open.", &ListenerWorkerStats::open,
     "gauge"},
    {"lotse_listener_tcp_bytes_in_total", "Bytes from clients of TCP listeners to endpoints.",
     &ListenerWorkerStats::bytes_in},
    {"lotse_listener_tcp_bytes_out_total", "Bytes from endpoints to clients of TCP listeners.",
     &ListenerWorkerStats::bytes_out},
};

}  // namespace

const char* to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::no_endpoint:
      return "no_endpoint";
    case Refusal::full:
      return "full";
    case Refusal::failed:
      return "failed";
    case Refusal::untrusted:
      return "untrusted";
    case Refusal::client_hello:
      return "client_hello";
    case Refusal::unknown_name:
      return "unknown_name";
    case Refusal::proxy_header:
      return "proxy_header";
  }
  return "";
}

ListenerStats& ListenerBook::stats_for(const std::string& name, std::size_t workers) {
  const std::string key = stats_.contains(name) || stats_.size() < kListenersMax ? name : "other";
  auto& stats = stats_[key];
  if (!stats) stats = std::make_unique<ListenerStats>(key, workers);
  return *stats;
}

void ListenerBook::write_metrics(std::string& out) const {
  auto into = std::back_inserter(out);
  auto sum_of = [](const ListenerStats& stats, auto get) {
    std::uint64_t sum = 0;
    for (const ListenerWorkerStats& part : stats.per_worker) sum += get(part).get();
    return sum;
  };
  for (const ListenerMetric& metric : kMetrics) {
    fmt::format_to(into, "# HELP {} {}\n# TYPE {} {}\n", metric.name, metric.help, metric.name, metric.type);
    for (const auto& [name, stats] : stats_) {
      auto count =
          sum_of(*stats, [&](const ListenerWorkerStats& part) -> const Counter& { return part.*metric.counter; });
      fmt::format_to(into, "{}{{listener=\"{}\"}} {}\n", metric.name, escaped(name), count);
    }
  }
  constexpr const char* kRefused = "lotse_listener_refusals_total";
  fmt::format_to(into, "# HELP {} Connections closed before an endpoint had them, by listener and reason.\n", kRefused);
  fmt::format_to(into, "# TYPE {} counter\n", kRefused);
  for (const auto& [name, stats] : stats_) {
    for (std::size_t i = 0; i < kRefusals; ++i) {
      auto count = sum_of(*stats, [&](const ListenerWorkerStats& part) -> const Counter& { return part.refusals[i]; });
      if (count == 0) continue;
      fmt::format_to(into, "{}{{listener=\"{}\",why=\"{}\"}} {}\n", kRefused, escaped(name),
                     to_string(static_cast<Refusal>(i)), count);
    }
  }
}

}  // namespace lotse::proxy

#include "proxy/config_json.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "proxy/grpc.h"

namespace lotse::proxy {
namespace {

using Json = nlohmann::ordered_json;

std::string percent(int value) { return fmt::format("{}%", value); }

Json to_json(const RouteMatch& match) {
  Json json = Json::object();
  if (!match.host.text.empty()) json["host"] = (match.host.is_wildcard ? "*" : "") + match.host.text;
  json["path"] = match.path;
  if (!match.listeners.empty()) json["listeners"] = match.listeners;
  return json;
}

Json to_json(const RetryPolicy& retry) {
  Json when = Json::array();
  if (retry.when_connect) when.push_back("connect");
  if (retry.when_refused) when.push_back("refused");
  for (const auto& range : retry.when_statuses) {
    when.push_back(range.first == range.last ? fmt::format("{}", range.first)
                                             : fmt::format("{}-{}", range.first, range.last));
  }
  for (const int status : retry.when_grpc) when.push_back(fmt::format("grpc-{}", grpc_status_name(status)));
  Json json = {{"attempts", retry.attempts}, {"when", when}, {"budget", percent(retry.budget_percent)}};
  if (retry.per_try) json["per_try"] = format_duration(*retry.per_try);
  return json;
}

Json to_json(const std::vector<WeightedTarget>& targets) {
  Json to = Json::array();
  for (const WeightedTarget& target : targets) {
    std::string app = target.app.app + (target.app.port.empty() ? "" : ":" + target.app.port);
    to.push_back({{"app", app}, {"weight", target.weight}});
  }
  return to;
}

Json to_json(const RouteConfig& route) {
  Json json = {{"match", to_json(route.match)}, {"to", to_json(route.to)}};
  if (route.retry) json["retry"] = to_json(*route.retry);
  return json;
}

Json to_json(const std::vector<Cidr>& networks) {
  Json json = Json::array();
  for (const Cidr& cidr : networks) json.push_back(fmt::format("{}/{}", cidr.network.ip(), cidr.prefix_bits));
  return json;
}

Json to_json(const ListenerConfig& listener) {
  Json json = {{"name", listener.name}, {"address", listener.address}, {"http2", listener.http2}};
  if (listener.tls_passthrough) {
    Json names = Json::object();
    for (const auto& name : listener.tls_passthrough->names)
      names[(name.host.is_wildcard ? "*" : "") + name.host.text] = to_json(name.to);
    json["tls_passthrough"]["names"] = names;
    if (!listener.tls_passthrough->other.empty())
      json["tls_passthrough"]["default"] = to_json(listener.tls_passthrough->other);
  }
  if (listener.proxy_protocol) json["proxy_protocol"] = {{"from", to_json(listener.proxy_protocol->from)}};
  if (listener.tcp) json["tcp"] = {{"to", to_json(listener.tcp->to)}};
  if (!listener.tls) return json;
  Json certificates = Json::array();
  for (const CertificateConfig& one : listener.tls->certificates)
    certificates.push_back({{"cert", one.cert}, {"key", one.key}});
  json["tls"] = {{"certificates", certificates},
                 {"policy", listener.tls->policy == net::TlsPolicy::modern ? "modern" : "intermediate"},
                 {"min_version", listener.tls->min_version == net::TlsVersion::tls1_2 ? "1.2" : "1.3"}};
  if (!listener.tls->client_ca.empty()) {
    json["tls"]["client_ca"] = listener.tls->client_ca;
    json["tls"]["client_certificate"] =
        listener.tls->client_certificate == ClientCertificate::required ? "required" : "optional";
  }
  return json;
}

Json to_json(const HealthCheck& check) {
  constexpr const char* kBy[] = {"http", "tcp", "grpc"};
  Json json = {{"by", kBy[static_cast<std::size_t>(check.by)]}, {"start", check.starts_down ? "down" : "up"}};
  if (check.by == HealthCheck::By::http) json["path"] = check.path;
  if (!check.host.empty()) json["host"] = check.host;
  if (check.by == HealthCheck::By::grpc) json["service"] = check.service;
  json["interval"] = format_duration(check.interval);
  json["timeout"] = format_duration(check.timeout);
  json["healthy_after"] = check.healthy_after;
  json["unhealthy_after"] = check.unhealthy_after;
  return json;
}

Json to_json(const OutlierDetection& policy) {
  return {{"consecutive_5xx", policy.consecutive_5xx},
          {"consecutive_gateway_failures", policy.consecutive_gateway_failures},
          {"consecutive_connect_failures", policy.consecutive_connect_failures},
          {"ejection_time_base", format_duration(policy.ejection_time_base)},
          {"ejection_time_max", format_duration(policy.ejection_time_max)},
          {"ejected_percent_max", percent(policy.ejected_percent_max)},
          {"panic_threshold", percent(policy.panic_threshold_percent)}};
}

Json to_json(const UpstreamTlsConfig& tls) {
  Json json = {{"verify", tls.verify}, {"min_version", tls.min_version == net::TlsVersion::tls1_2 ? "1.2" : "1.3"}};
  if (!tls.ca.empty()) json["ca"] = tls.ca;
  if (!tls.server_name.empty()) json["server_name"] = tls.server_name;
  if (tls.certificate) json["certificate"] = {{"cert", tls.certificate->cert}, {"key", tls.certificate->key}};
  return json;
}

Json to_json(const DiscoveryConfig& discovery) {
  Json sources = Json::array();
  for (const SourceConfig& source : discovery.sources) {
    if (!source.scheduler.empty())
      sources.push_back({{"scheduler", source.scheduler}});
    else
      sources.push_back({{"static", source.fixed}});
  }
  return {{"sources", sources}, {"on_loss", "keep"}, {"max_removal", percent(discovery.max_removal_percent)}};
}

Json to_json(const TimeoutsConfig& timeouts) {
  return {
      {"header", format_duration(timeouts.header)},
      {"request", timeouts.request == Duration::zero() ? "off" : format_duration(timeouts.request)},
      {"downstream_idle", format_duration(timeouts.downstream_idle)},
      {"stream_idle", format_duration(timeouts.stream_idle)},
      {"tunnel_idle", format_duration(timeouts.tunnel_idle)},
      {"connect", format_duration(timeouts.connect)},
      {"first_byte", format_duration(timeouts.first_byte)},
      {"upstream_ping", timeouts.upstream_ping == Duration::zero() ? "off" : format_duration(timeouts.upstream_ping)},
      {"upstream_idle", format_duration(timeouts.upstream_idle)},
      {"queue", format_duration(timeouts.queue)},
      {"linger", format_duration(timeouts.linger)},
      {"drain", format_duration(timeouts.drain)},
      {"takeover", format_duration(timeouts.takeover)},
      {"worker_stall", format_duration(timeouts.worker_stall)}};
}

Json to_json(const LimitsConfig& limits) {
  return {{"head_bytes_max", limits.http.head_bytes_max},
          {"fields_max", limits.http.fields_max},
          {"request_line_bytes_max", limits.http.request_line_bytes_max},
          {"chunk_extension_line_bytes_max", limits.http.chunk_extension_line_bytes_max},
          {"chunk_extensions_bytes_max", limits.http.chunk_extensions_bytes_max},
          {"trailer_bytes_max", limits.http.trailer_bytes_max},
          {"client_hello_bytes_max", limits.client_hello_bytes_max},
          {"proxy_header_bytes_max", limits.proxy_header_bytes_max},
          {"buffer_bytes_max", limits.buffer_bytes_max},
          {"upstream_connections_per_endpoint_max", limits.upstream_connections_per_endpoint_max},
          {"upstream_h2_connections_per_endpoint_max", limits.upstream_h2_connections_per_endpoint_max},
          {"upstream_h2_streams_max", limits.upstream_h2_streams_max},
          {"upstream_connections_max", limits.upstream_connections_max},
          {"downstream_connections_max", limits.downstream_connections_max},
          {"splice_pipes_max", limits.splice_pipes_max},
          {"requests_waiting_per_app_max", limits.requests_waiting_per_app_max},
          {"health_checks_max", limits.health_checks_max},
          {"h2_streams_max", limits.h2_streams_max},
          {"h2_stream_window_bytes", limits.h2_stream_window_bytes},
          {"h2_connection_window_bytes", limits.h2_connection_window_bytes},
          {"h2_header_table_bytes", limits.h2_header_table_bytes},
          {"h2_continuations_max", limits.h2_continuations_max},
          {"h2_resets_max", limits.h2_resets_max},
          {"h2_pings_max", limits.h2_pings_max},
          {"h2_settings_max", limits.h2_settings_max},
          {"h2_window_updates_max", limits.h2_window_updates_max},
          {"h2_empty_frames_max", limits.h2_empty_frames_max},
          {"h2_other_frames_max", limits.h2_other_frames_max},
          {"memory_bytes_max", limits.memory_bytes_max == 0 ? Json("auto") : Json(limits.memory_bytes_max)}};
}

Json to_json(const ConfigTest& test) {
  Json expect = Json::object();
  if (!test.expect_apps.empty()) expect["app"] = test.expect_apps;
  if (test.expect_status != 0) expect["status"] = test.expect_status;
  Json json = {{"get", test.get}, {"expect", expect}};
  if (!test.listener.empty()) json["listener"] = test.listener;
  return json;
}

}  // namespace

std::string to_json_text(const Config& config) {
  Json json = {{"version", config.version}};
  if (config.workers == 0)
    json["workers"] = "auto";
  else
    json["workers"] = config.workers;
  json["admin"] = {{"address", config.admin.address}};
  if (config.access_log)
    json["access_log"] = {{"path", config.access_log->path},
                          {"format", "json"},
                          {"queued_bytes_max", config.access_log->queued_bytes_max}};
  json["listeners"] = Json::array();
  for (const ListenerConfig& listener : config.listeners) {
    json["listeners"].push_back(to_json(listener));
  }
  json["routes"] = Json::array();
  for (const RouteConfig& route : config.routes) json["routes"].push_back(to_json(route));
  json["expose"] = Json::object();
  if (!config.expose.host.empty()) json["expose"]["host"] = config.expose.host;
  json["expose"]["path"] = config.expose.path;
  json["apps"] = Json::object();
  for (const auto& [id, app] : config.apps) {
    Json& json_of_app = json["apps"][id];
    json_of_app = {{"balance", app.balance == Balance::p2c ? "p2c" : "round_robin"},
                   {"preconnect", app.preconnect},
                   {"outlier_detection", to_json(app.outlier_detection)}};
    if (app.proxy_protocol) json_of_app["proxy_protocol"] = *app.proxy_protocol == net::ProxyVersion::v1 ? "v1" : "v2";
    if (app.health) json_of_app["health"] = to_json(*app.health);
    if (app.protocol) json_of_app["protocol"] = *app.protocol == AppProtocol::h2 ? "h2" : "h1";
    if (app.tls) json_of_app["tls"] = to_json(*app.tls);
  }
  json["discovery"] = to_json(config.discovery);
  json["http"] = {{"trusted_proxies", to_json(config.http.trusted_proxies)},
                  {"keep_underscore_fields", config.http.keep_underscore_fields},
                  {"abort_on_half_close", config.http.abort_on_half_close}};
  json["timeouts"] = to_json(config.timeouts);
  json["limits"] = to_json(config.limits);
  json["tests"] = Json::array();
  for (const ConfigTest& test : config.tests) json["tests"].push_back(to_json(test));
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace lotse::proxy

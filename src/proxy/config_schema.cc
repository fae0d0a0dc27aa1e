#include "proxy/config_schema.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "model/app_id.h"
#include "proxy/config_tcp.h"
#include "proxy/grpc.h"

namespace lotse::proxy {
namespace {

using R = ConfigReader;

// ---- values with a grammar of their own

void read_workers(R& reader, const Located& at, Config& into) {
  if (at.node.kind == YamlNode::Kind::scalar && at.node.text == "auto") {
    into.workers = 0;
  } else if (auto value = reader.integer(at, {1, 256})) {
    into.workers = static_cast<int>(*value);
  }
}

void read_listener_address(R& reader, const Located& at, ListenerConfig& into) {
  auto text = reader.text(at);
  if (!text) return;
  into.address = *text;
  auto parsed = net::Address::parse(*text);
  if (!parsed) return reader.problem(at, parsed.error().what);
  if (parsed->is_unix()) return reader.problem(at, "a listener needs an IP address and a port");
  into.parsed_address = *parsed;
}

void read_admin_address(R& reader, const Located& at, AdminConfig& into) {
  auto text = reader.text(at);
  if (!text) return;
  if (auto parsed = net::Address::parse(*text); !parsed) return reader.problem(at, parsed.error().what);
  into.address = *text;
}

std::optional<model::AppId> read_app_id(R& reader, const Located& at, std::string_view text) {
  auto id = model::resolve_app_id(text);
  if (!id) {
    reader.problem(at, id.error().what);
    return std::nullopt;
  }
  if (*id != text) {
    reader.problem(at, fmt::format("an app id is written \"{}\"", *id));
    return std::nullopt;
  }
  return *id;
}

void read_target(R& reader, const Located& at, WeightedTarget& into) {
  auto text = reader.text(at);
  if (!text) return;
  auto target = model::parse_app_target(*text);
  if (!target) return reader.problem(at, target.error().what);
  into.app = *target;
}

void read_host(R& reader, const Located& at, RouteMatch& into) {
  auto text = reader.text(at);
  if (!text) return;
  into.host = parse_host_pattern(*text);
}

void read_path(R& reader, const Located& at, RouteMatch& into) {
  auto text = reader.text(at);
  if (!text) return;
  while (text->size() > 1 && text->ends_with('/')) text->pop_back();  // "/api/" and "/api" are the same segments
  into.path = *text;
}

void read_names(R& reader, const Located& at, RouteMatch& into) {
  for (const Located& item : reader.items(at)) {
    if (auto name = reader.text(item)) into.listeners.push_back(*name);
  }
}

// ---- routes[].retry

void read_when(R& reader, const Located& at, RetryPolicy& into) {
  into.when_connect = into.when_refused = false;
  for (const Located& item : reader.items(at)) {
    auto text = reader.text(item);
    if (!text) continue;
    if (*text == "connect") {
      into.when_connect = true;
    } else if (*text == "refused") {
      into.when_refused = true;
    } else if (text->starts_with("grpc-")) {
      const int status = grpc_status_from_name(std::string_view(*text).substr(5));
      if (status > kGrpcOk) {
        into.when_grpc.push_back(status);
      } else {
        reader.problem(item, "no status of gRPC that can be tried again; as in grpc-unavailable");
      }
    } else {
      auto status = [](std::string_view digits) -> int {  // 0: not a 5xx
        if (digits.size() != 3 || digits[0] != '5') return 0;
        if (!std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); })) return 0;
        return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
      };
      auto dash = text->find('-');
      int first = status(std::string_view(*text).substr(0, dash));
      int last = dash == std::string::npos ? first : status(std::string_view(*text).substr(dash + 1));
      if (first == 0 || last < first) {
        reader.problem(
            item,
            "must be connect, refused, a status like 503, a range like 502-504 or one of gRPC's like grpc-unavailable");
      } else {
        into.when_statuses.push_back({first, last});
      }
    }
  }
}

void read_per_try(R& reader, const Located& at, RetryPolicy& into) {
  if (auto value = reader.duration(at)) into.per_try = *value;
}

constexpr Key<RetryPolicy> kRetryKeys[] = {
    {"attempts", int_field<&RetryPolicy::attempts, 1, 10>},
    {"when", read_when},
    {"budget", percent_field<&RetryPolicy::budget_percent>},
    {"per_try", read_per_try},
};

// ---- routes[]

constexpr Key<RouteMatch> kMatchKeys[] = {
    {"host", read_host},
    {"path", read_path},
    {"listeners", read_names},
};

constexpr Key<WeightedTarget> kTargetKeys[] = {
    {"app", read_target, true},
    {"weight", int_field<&WeightedTarget::weight, 0, 1000>},
};

void read_match(R& reader, const Located& at, RouteConfig& into) { reader.map<RouteMatch>(at, into.match, kMatchKeys); }

void read_to(R& reader, const Located& at, RouteConfig& into) { read_targets(reader, at, into.to); }

constexpr Key<RouteConfig> kRouteKeys[] = {
    {"match", read_match, true},
    {"to", read_to, true},
    {"retry", map_field<&RouteConfig::retry, kRetryKeys>},
};

void read_routes(R& reader, const Located& at, Config& into) {
  for (const Located& item : reader.items(at)) {
    RouteConfig route;
    reader.map<RouteConfig>(item, route, kRouteKeys);
    route.where = reader.report().where(item.key);
    into.routes.push_back(std::move(route));
  }
}

// ---- listeners[].tls

template <auto member>
void file_field(R& reader, const Located& at, OwnerOf<member>& into) {
  if (auto text = reader.text(at)) into.*member = reader.report().file_beside(*text);
}

constexpr Key<CertificateConfig> kCertificateKeys[] = {
    {"cert", file_field<&CertificateConfig::cert>, true},
    {"key", file_field<&CertificateConfig::key>, true},
};

void read_certificates(R& reader, const Located& at, ListenerTlsConfig& into) {
  for (const Located& item : reader.items(at)) {
    CertificateConfig certificate;
    reader.map<CertificateConfig>(item, certificate, kCertificateKeys);
    into.certificates.push_back(std::move(certificate));
  }
  if (into.certificates.empty()) reader.problem(at, "needs at least one");
}

void read_policy(R& reader, const Located& at, ListenerTlsConfig& into) {
  if (auto choice = reader.one_of(at, {"modern", "intermediate"})) into.policy = static_cast<net::TlsPolicy>(*choice);
}

template <typename T>
void read_min_version(R& reader, const Located& at, T& into) {
  if (auto choice = reader.one_of(at, {"1.2", "1.3"})) into.min_version = static_cast<net::TlsVersion>(*choice);
}

void read_client_certificate(R& reader, const Located& at, ListenerTlsConfig& into) {
  if (auto choice = reader.one_of(at, {"required", "optional"}))
    into.client_certificate = static_cast<ClientCertificate>(*choice);
}

constexpr Key<ListenerTlsConfig> kListenerTlsKeys[] = {
    {"certificates", read_certificates, true},
    {"policy", read_policy},
    {"min_version", read_min_version<ListenerTlsConfig>},
    {"client_ca", file_field<&ListenerTlsConfig::client_ca>},
    {"client_certificate", read_client_certificate},
};

void read_listener_tls(R& reader, const Located& at, ListenerConfig& into) {
  map_field<&ListenerConfig::tls, kListenerTlsKeys>(reader, at, into);
  if (into.tls->client_ca.empty() && into.tls->client_certificate == ClientCertificate::optional)
    reader.problem(at, "client_certificate needs client_ca: who vouches for clients?");
}

// ---- listeners[], admin, access_log, expose

constexpr Key<ListenerConfig> kListenerKeys[] = {
    {"name", text_field<&ListenerConfig::name>, true},
    {"address", read_listener_address, true},
    {"tls", read_listener_tls},
    {"tcp", read_tcp},
    {"tls_passthrough", read_tls_passthrough},
    {"proxy_protocol", read_proxy_protocol},
    {"http2", bool_field<&ListenerConfig::http2>},
};

void read_listeners(R& reader, const Located& at, Config& into) {
  for (const Located& item : reader.items(at)) {
    ListenerConfig listener;
    reader.map<ListenerConfig>(item, listener, kListenerKeys);
    listener.where = reader.report().where(item.key);
    into.listeners.push_back(std::move(listener));
  }
}

constexpr Key<AdminConfig> kAdminKeys[] = {{"address", read_admin_address}};

void read_log_format(R& reader, const Located& at, AccessLogConfig&) { (void)reader.one_of(at, {"json"}); }

constexpr Key<AccessLogConfig> kAccessLogKeys[] = {
    {"path", text_field<&AccessLogConfig::path>},
    {"queued_bytes_max", bytes_field<&AccessLogConfig::queued_bytes_max>},
    {"format", read_log_format},
};

constexpr Key<ExposeConfig> kExposeKeys[] = {
    {"host", text_field<&ExposeConfig::host>},
    {"path", bool_field<&ExposeConfig::path>},
};

// ---- apps

void read_balance(R& reader, const Located& at, AppConfig& into) {
  if (auto choice = reader.one_of(at, {"round_robin", "p2c"})) into.balance = static_cast<Balance>(*choice);
}

void read_protocol(R& reader, const Located& at, AppConfig& into) {
  if (auto choice = reader.one_of(at, {"h1", "h2"})) into.protocol = static_cast<AppProtocol>(*choice);
}

constexpr int kFailuresMax = 1000;  // in a row: more would be waiting for something else
constexpr Key<OutlierDetection> kOutlierKeys[] = {
    {"consecutive_5xx", int_field<&OutlierDetection::consecutive_5xx, 0, kFailuresMax>},
    {"consecutive_gateway_failures", int_field<&OutlierDetection::consecutive_gateway_failures, 0, kFailuresMax>},
    {"consecutive_connect_failures", int_field<&OutlierDetection::consecutive_connect_failures, 0, kFailuresMax>},
    {"ejection_time_base", duration_field<&OutlierDetection::ejection_time_base>},
    {"ejection_time_max", duration_field<&OutlierDetection::ejection_time_max>},
    {"ejected_percent_max", percent_field<&OutlierDetection::ejected_percent_max>},
    {"panic_threshold", percent_field<&OutlierDetection::panic_threshold_percent>},
};

void read_outlier_detection(R& reader, const Located& at, AppConfig& into) {
  if (at.node.kind == YamlNode::Kind::scalar && at.node.text == "off") {
    OutlierDetection& policy = into.outlier_detection;
    policy.consecutive_5xx = policy.consecutive_gateway_failures = policy.consecutive_connect_failures = 0;
    return;
  }
  reader.map<OutlierDetection>(at, into.outlier_detection, kOutlierKeys);
}

void read_health_by(R& reader, const Located& at, HealthCheck& into) {
  if (auto choice = reader.one_of(at, {"http", "tcp", "grpc"})) into.by = static_cast<HealthCheck::By>(*choice);
}

void read_health_start(R& reader, const Located& at, HealthCheck& into) {
  if (auto choice = reader.one_of(at, {"up", "down"})) into.starts_down = *choice == 1;
}

constexpr Key<HealthCheck> kHealthKeys[] = {
    {"by", read_health_by},
    {"path", text_field<&HealthCheck::path>},
    {"host", text_field<&HealthCheck::host>},
    {"service", text_field<&HealthCheck::service>},
    {"start", read_health_start},
    {"interval", duration_field<&HealthCheck::interval>},
    {"timeout", duration_field<&HealthCheck::timeout>},
    {"healthy_after", int_field<&HealthCheck::healthy_after, 1, 100>},
    {"unhealthy_after", int_field<&HealthCheck::unhealthy_after, 1, 100>},
};

constexpr Key<UpstreamTlsConfig> kUpstreamTlsKeys[] = {
    {"ca", file_field<&UpstreamTlsConfig::ca>},
    {"server_name", text_field<&UpstreamTlsConfig::server_name>},
    {"verify", bool_field<&UpstreamTlsConfig::verify>},
    {"certificate", map_field<&UpstreamTlsConfig::certificate, kCertificateKeys>},
    {"min_version", read_min_version<UpstreamTlsConfig>},
};

constexpr Key<AppConfig> kAppKeys[] = {
    {"balance", read_balance},
    {"preconnect", int_field<&AppConfig::preconnect, 0, 100>},
    {"protocol", read_protocol},
    {"proxy_protocol", read_app_proxy_protocol},
    {"outlier_detection", read_outlier_detection},
    {"health", map_field<&AppConfig::health, kHealthKeys>},
    {"tls", map_field<&AppConfig::tls, kUpstreamTlsKeys>},
};

void read_apps(R& reader, const Located& at, Config& into) {
  for (const Located& entry : reader.entries(at, nullptr)) {
    auto id = read_app_id(reader, entry, R::last_name(entry.key, at.key));
    AppConfig app;
    reader.map<AppConfig>(entry, app, kAppKeys);
    if (id) into.apps[*id] = app;
  }
}

// ---- discovery

void read_static(R& reader, const Located& at, SourceConfig& into) {
  for (const Located& entry : reader.entries(at, nullptr)) {
    auto id = read_app_id(reader, entry, R::last_name(entry.key, at.key));
    std::vector<std::string> endpoints;
    for (const Located& item : reader.items_or_one(entry)) {
      if (auto text = reader.text(item)) endpoints.push_back(*text);
    }
    if (id) into.fixed[*id] = std::move(endpoints);
  }
}

constexpr Key<SourceConfig> kSourceKeys[] = {
    {"scheduler", text_field<&SourceConfig::scheduler>},
    {"static", read_static},
};

void read_sources(R& reader, const Located& at, DiscoveryConfig& into) {
  for (const Located& item : reader.items(at)) {
    SourceConfig source;
    reader.map<SourceConfig>(item, source, kSourceKeys);
    if (item.node.kind == YamlNode::Kind::map && item.node.keys.size() != 1) {
      reader.problem(item, "a source is one of scheduler, static");
    }
    into.sources.push_back(std::move(source));
  }
}

void read_on_loss(R& reader, const Located& at, DiscoveryConfig&) { (void)reader.one_of(at, {"keep"}); }

constexpr Key<DiscoveryConfig> kDiscoveryKeys[] = {
    {"sources", read_sources},
    {"on_loss", read_on_loss},
    {"max_removal", percent_field<&DiscoveryConfig::max_removal_percent>},
};

// ---- http, timeouts, limits

void read_trusted(R& reader, const Located& at, HttpConfig& into) { read_networks(reader, at, into.trusted_proxies); }

constexpr Key<HttpConfig> kHttpKeys[] = {
    {"trusted_proxies", read_trusted},
    {"keep_underscore_fields", bool_field<&HttpConfig::keep_underscore_fields>},
    {"abort_on_half_close", bool_field<&HttpConfig::abort_on_half_close>},
};

void read_request_timeout(R& reader, const Located& at, TimeoutsConfig& into) {
  if (at.node.kind == YamlNode::Kind::scalar && at.node.text == "off") {
    into.request = Duration::zero();
  } else {
    duration_field<&TimeoutsConfig::request>(reader, at, into);
  }
}

void read_upstream_ping(R& reader, const Located& at, TimeoutsConfig& into) {
  if (at.node.kind == YamlNode::Kind::scalar && at.node.text == "off") {
    into.upstream_ping = Duration::zero();
  } else {
    duration_field<&TimeoutsConfig::upstream_ping>(reader, at, into);
  }
}

constexpr Key<TimeoutsConfig> kTimeoutKeys[] = {
    {"header", duration_field<&TimeoutsConfig::header>},
    {"request", read_request_timeout},
    {"downstream_idle", duration_field<&TimeoutsConfig::downstream_idle>},
    {"stream_idle", duration_field<&TimeoutsConfig::stream_idle>},
    {"tunnel_idle", duration_field<&TimeoutsConfig::tunnel_idle>},
    {"connect", duration_field<&TimeoutsConfig::connect>},
    {"first_byte", duration_field<&TimeoutsConfig::first_byte>},
    {"upstream_ping", read_upstream_ping},
    {"upstream_idle", duration_field<&TimeoutsConfig::upstream_idle>},
    {"queue", duration_field<&TimeoutsConfig::queue>},
    {"linger", duration_field<&TimeoutsConfig::linger>},
    {"drain", duration_field<&TimeoutsConfig::drain>},
    {"takeover", duration_field<&TimeoutsConfig::takeover>},
    {"worker_stall", duration_field<&TimeoutsConfig::worker_stall>},
};

template <auto member>
void http_limit_bytes(R& reader, const Located& at, LimitsConfig& into) {
  bytes_field<member>(reader, at, into.http);
}
void read_fields_max(R& reader, const Located& at, LimitsConfig& into) {
  int_field<&http::Limits::fields_max, 1, 10'000>(reader, at, into.http);
}

void read_memory_max(R& reader, const Located& at, LimitsConfig& into) {
  if (at.node.kind == YamlNode::Kind::scalar && at.node.text == "auto") {
    into.memory_bytes_max = 0;
  } else {
    bytes_field<&LimitsConfig::memory_bytes_max>(reader, at, into);
  }
}

// Within what HTTP/2 can say and what makes sense of it.
template <auto Member, std::size_t Least, std::size_t Most>
void h2_bytes_field(R& reader, const Located& at, LimitsConfig& into) {
  bytes_field<Member>(reader, at, into);
  if (into.*Member < Least || into.*Member > Most)
    reader.problem(at, fmt::format("must be between {} and {} bytes", Least, Most));
}

constexpr int kMany = 10'000'000;  // above any fd limit we will meet
constexpr Key<LimitsConfig> kLimitKeys[] = {
    {"head_bytes_max", http_limit_bytes<&http::Limits::head_bytes_max>},
    {"fields_max", read_fields_max},
    {"request_line_bytes_max", http_limit_bytes<&http::Limits::request_line_bytes_max>},
    {"chunk_extension_line_bytes_max", http_limit_bytes<&http::Limits::chunk_extension_line_bytes_max>},
    {"chunk_extensions_bytes_max", http_limit_bytes<&http::Limits::chunk_extensions_bytes_max>},
    {"trailer_bytes_max", http_limit_bytes<&http::Limits::trailer_bytes_max>},
    {"client_hello_bytes_max", bytes_field<&LimitsConfig::client_hello_bytes_max>},
    {"proxy_header_bytes_max", bytes_field<&LimitsConfig::proxy_header_bytes_max>},
    {"buffer_bytes_max", bytes_field<&LimitsConfig::buffer_bytes_max>},
    {"upstream_connections_per_endpoint_max",
     int_field<&LimitsConfig::upstream_connections_per_endpoint_max, 1, kMany>},
    {"upstream_h2_connections_per_endpoint_max",
     int_field<&LimitsConfig::upstream_h2_connections_per_endpoint_max, 1, 1000>},
    {"upstream_h2_streams_max", int_field<&LimitsConfig::upstream_h2_streams_max, 1, 100'000>},
    {"upstream_connections_max", int_field<&LimitsConfig::upstream_connections_max, 0, kMany>},
    {"downstream_connections_max", int_field<&LimitsConfig::downstream_connections_max, 1, kMany>},
    {"splice_pipes_max", int_field<&LimitsConfig::splice_pipes_max, 0, kMany>},
    {"requests_waiting_per_app_max", int_field<&LimitsConfig::requests_waiting_per_app_max, 0, kMany>},
    {"health_checks_max", int_field<&LimitsConfig::health_checks_max, 1, 10'000>},
    {"h2_streams_max", int_field<&LimitsConfig::h2_streams_max, 1, 1000>},
    {"h2_stream_window_bytes", h2_bytes_field<&LimitsConfig::h2_stream_window_bytes, 1024, 2147483647>},
    {"h2_connection_window_bytes", h2_bytes_field<&LimitsConfig::h2_connection_window_bytes, 65535, 2147483647>},
    {"h2_header_table_bytes", h2_bytes_field<&LimitsConfig::h2_header_table_bytes, 0, 1024 * 1024>},
    {"h2_continuations_max", int_field<&LimitsConfig::h2_continuations_max, 0, 1000>},
    {"h2_resets_max", int_field<&LimitsConfig::h2_resets_max, 1, kMany>},
    {"h2_pings_max", int_field<&LimitsConfig::h2_pings_max, 1, kMany>},
    {"h2_settings_max", int_field<&LimitsConfig::h2_settings_max, 1, kMany>},
    {"h2_window_updates_max", int_field<&LimitsConfig::h2_window_updates_max, 1, kMany>},
    {"h2_empty_frames_max", int_field<&LimitsConfig::h2_empty_frames_max, 1, kMany>},
    {"h2_other_frames_max", int_field<&LimitsConfig::h2_other_frames_max, 1, kMany>},
    {"memory_bytes_max", read_memory_max},
};

// ---- tests[]

void read_expect_app(R& reader, const Located& at, ConfigTest& into) {
  for (const Located& item : reader.items_or_one(at)) {
    if (auto text = reader.text(item)) {
      if (auto id = read_app_id(reader, item, *text)) into.expect_apps.push_back(*id);
    }
  }
}

constexpr Key<ConfigTest> kExpectKeys[] = {
    {"app", read_expect_app},
    {"status", int_field<&ConfigTest::expect_status, 100, 599>},
};

void read_expect(R& reader, const Located& at, ConfigTest& into) {
  reader.map<ConfigTest>(at, into, kExpectKeys);
  if (at.node.kind != YamlNode::Kind::map || at.node.keys.empty()) reader.problem(at, "expects nothing");
}

constexpr Key<ConfigTest> kTestKeys[] = {
    {"get", text_field<&ConfigTest::get>, true},
    {"listener", text_field<&ConfigTest::listener>},
    {"expect", read_expect, true},
};

void read_tests(R& reader, const Located& at, Config& into) {
  for (const Located& item : reader.items(at)) {
    ConfigTest test;
    reader.map<ConfigTest>(item, test, kTestKeys);
    test.where = reader.report().where(item.key);
    into.tests.push_back(std::move(test));
  }
}

// ---- the whole

template <auto member, const auto& keys>
void section(R& reader, const Located& at, Config& into) {
  using Value = typename MemberOf<decltype(member)>::Value;
  reader.map<Value>(at, into.*member, keys);
}

constexpr Key<Config> kConfigKeys[] = {
    {"version", int_field<&Config::version, 1, 1>, true},
    {"workers", read_workers},
    {"admin", section<&Config::admin, kAdminKeys>},
    {"access_log", map_field<&Config::access_log, kAccessLogKeys>},
    {"listeners", read_listeners},
    {"routes", read_routes},
    {"expose", section<&Config::expose, kExposeKeys>},
    {"apps", read_apps},
    {"discovery", section<&Config::discovery, kDiscoveryKeys>},
    {"http", section<&Config::http, kHttpKeys>},
    {"timeouts", section<&Config::timeouts, kTimeoutKeys>},
    {"limits", section<&Config::limits, kLimitKeys>},
    {"tests", read_tests},
};

}  // namespace

HostPattern parse_host_pattern(std::string_view text) {
  HostPattern host;
  host.is_wildcard = text.starts_with("*.");
  host.text = host.is_wildcard ? text.substr(1) : text;
  std::transform(host.text.begin(), host.text.end(), host.text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return host;
}

void read_targets(ConfigReader& reader, const Located& at, std::vector<WeightedTarget>& into) {
  for (const Located& item : reader.items_or_one(at)) {
    WeightedTarget target;
    if (item.node.kind == YamlNode::Kind::scalar)
      read_target(reader, item, target);
    else
      reader.map<WeightedTarget>(item, target, kTargetKeys);
    into.push_back(std::move(target));
  }
}

void read_networks(ConfigReader& reader, const Located& at, std::vector<Cidr>& into) {
  for (const Located& item : reader.items(at)) {
    auto text = reader.text(item);
    if (!text) continue;
    auto slash = text->find('/');
    auto network = net::Address::from_ip(text->substr(0, slash), 0);
    if (!network) {
      reader.problem(item, "must be an IP address or a network like 10.0.0.0/8");
      continue;
    }
    int bits_max = network->raw()->sa_family == AF_INET ? 32 : 128, bits = bits_max;
    if (slash != std::string::npos) {
      std::string_view digits = std::string_view(*text).substr(slash + 1);
      auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
      if (code != std::errc{} || end != digits.data() + digits.size() || digits.front() == '-') bits = -1;
    }
    if (bits < 0 || bits > bits_max) {
      reader.problem(item, fmt::format("the prefix must be from 0 to {}", bits_max));
      continue;
    }
    into.push_back({*network, bits});
  }
}

void read_config(ConfigReader& reader, const YamlNode& root, Config& into) {
  reader.map<Config>(Located{root, ""}, into, kConfigKeys);
}

}  // namespace lotse::proxy

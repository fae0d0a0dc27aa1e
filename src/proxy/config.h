// The proxy's configuration, frozen: an immutable tree that workers share by pointer. Default, unit and meaning of
// every key stand here and nowhere else (YAML key = member name, path in the comment); config_parser.h reads the file,
// config_loader.h watches it. Values only: no YAML, no I/O. Any thread may read.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "http/h1_parser.h"
#include "model/app.h"
#include "model/app_id.h"
#include "net/address.h"
#include "net/proxy_protocol.h"
#include "net/tls.h"

namespace lotse::proxy {

struct AdminConfig {  // admin
  std::string address = "127.0.0.1:9901";
};

struct AccessLogConfig {   // access_log; absent: off
  std::string path = "-";  // "-": standard output; else a file that is appended to and opened again on SIGHUP
  // format: json is the only one.
  std::size_t queued_bytes_max = std::size_t{4} * 1024 * 1024;  // that wait for the disk; beyond: dropped and counted
};

struct CertificateConfig {  // listeners[].tls.certificates[]; PEM files, relative to the configuration's folder,
                            // watched
  std::string cert;         // the certificate, then its chain
  std::string key;
  bool operator==(const CertificateConfig&) const = default;
};

enum class ClientCertificate : std::uint8_t { required, optional };

struct ListenerTlsConfig {                                // listeners[].tls; absent: plain
  std::vector<CertificateConfig> certificates;            // at least one; the first is for names that no other one has
  net::TlsPolicy policy = net::TlsPolicy::intermediate;   // Mozilla's `modern` or `intermediate`
  net::TlsVersion min_version = net::TlsVersion::tls1_2;  // "1.2" or "1.3"; `modern` is 1.3 in any case
  std::string client_ca;                                  // PEM bundle of those who vouch for clients; empty: not asked
  // `optional`: a client without a certificate may come in, one with a bad one may not. What it showed is told to
  // endpoints in X-Forwarded-Client-Cert.
  ClientCertificate client_certificate = ClientCertificate::required;
};

struct HostPattern {         // lower case, without port
  std::string text;          // as matched: "shop.example.com", or the suffix ".example.com" of "*.example.com"; "": any
  bool is_wildcard = false;  // one or more labels before the suffix
  bool operator==(const HostPattern&) const = default;
};

struct RouteMatch {                    // routes[].match
  HostPattern host;                    // absent: any host
  std::string path = "/";              // a prefix by segment, normalised: "/api" takes /api and /api/x, not /apis
  std::vector<std::string> listeners;  // names; empty: all. For the same host and path, naming some beats all
  bool operator==(const RouteMatch&) const = default;
};

struct WeightedTarget {  // routes[].to[]
  model::AppTarget app;  // "/shop/api" or "/shop/api:port", port by name or index
  int weight = 1;        // 0..1000, relative to the list; an app without endpoints leaves its share to the others
};

struct TcpConfig {                 // listeners[].tcp; absent: HTTP
  std::vector<WeightedTarget> to;  // at least one: who gets the connections, bytes as they come
};

struct TlsPassthroughConfig {  // listeners[].tls_passthrough; absent: TLS is not looked into
  struct Name {                // names.<name>: who gets connections whose client asks for it (SNI)
    HostPattern host;          // "db.example.com", or "*.example.com" for one or more labels before
    std::vector<WeightedTarget> to;
  };
  std::vector<Name> names;
  std::vector<WeightedTarget> other;  // `default`: for no name, and for names that no other one has; empty: closed
};

struct Cidr {
  net::Address network;  // port 0
  int prefix_bits = 0;
  bool contains(const net::Address& address) const;  // an IPv4 address mapped into IPv6 counts as IPv4
};

struct ProxyProtocolConfig {  // listeners[].proxy_protocol; absent: not spoken
  std::vector<Cidr> from;     // at least one: whose connections begin with a header; from others there are none
};

struct ListenerConfig {  // listeners[]
  std::string name;      // unique; routes and metrics name it
  std::string address;   // "0.0.0.0:80", "[::]:80"; unique
  net::Address parsed_address;
  std::optional<ListenerTlsConfig> tls;
  std::optional<TcpConfig> tcp;
  std::optional<TlsPassthroughConfig> tls_passthrough;
  std::optional<ProxyProtocolConfig> proxy_protocol;
  bool http2 = true;  // over TLS by ALPN, else by its preface; false: HTTP/1.1 only
  std::string where;  // "listeners[0] (lb.yaml:4)", for explain and logs

  bool is_tcp() const { return tcp || tls_passthrough; }
  template <typename Visit>
  void for_each_target_list(Visit visit) const {  // of a TCP listener: visit(targets, key under the listener's)
    if (tcp) visit(tcp->to, std::string("tcp.to"));
    if (!tls_passthrough) return;
    for (const auto& one : tls_passthrough->names)
      visit(one.to, std::string("tls_passthrough.names.") + (one.host.is_wildcard ? "*" : "") + one.host.text);
    visit(tls_passthrough->other, std::string("tls_passthrough.default"));
  }
};

struct RetryPolicy {         // routes[].retry; absent: only the free retries (design section 5, "Retries")
  int attempts = 2;          // all tries counted, 1..10
  bool when_connect = true;  // `connect`: the connection could not be made, or timed out
  bool when_refused = true;  // `refused`: the endpoint refused the request before working on it
  struct StatusRange {
    int first = 0, last = 0;  // 500..599 only
    bool operator==(const StatusRange&) const = default;
  };
  std::vector<StatusRange> when_statuses;  // `503` or `502-504`
  // `grpc-unavailable`: calls that were answered with this status and nothing else. Of any method: whoever names a
  // status says that its calls may be sent again.
  std::vector<int> when_grpc;
  int budget_percent = 20;          // `budget: 20%` of requests, above a floor of kRetriesPerSecondMin
  std::optional<Duration> per_try;  // time for one try; absent: timeouts.first_byte alone
};
inline constexpr int kRetriesPerSecondMin = 10;  // retries a second that are always within the budget, per process

struct RouteConfig {  // routes[]; in file order, but the most specific match wins, not the first
  RouteMatch match;
  std::vector<WeightedTarget> to;  // at least one
  std::optional<RetryPolicy> retry;
  std::string where;  // "routes[0] (lb.yaml:12)", for explain, logs and warnings
};

struct ExposeConfig {  // expose; URLs from application ids, without a route. Routes beat it
  std::string host;    // "{app}.apps.example.com": /shop/api -> api.shop.apps.example.com; empty: off
  bool path = false;   // /shop/api/x -> app /shop/api, path /x; the longest app id wins
};

enum class Balance : std::uint8_t { round_robin, p2c };
enum class AppProtocol : std::uint8_t { h1, h2 };  // h2: with prior knowledge; gRPC is h2

struct UpstreamTlsConfig {  // apps.*.tls; absent: plain. Files are relative to the configuration's folder, watched
  std::string ca;           // PEM bundle of those who vouch for endpoints; empty: the system's
  std::string server_name;  // sent (SNI), and what certificates must be for; empty: the endpoint's host
  bool verify = true;       // false: whoever answers is believed
  std::optional<CertificateConfig> certificate;           // ours, for endpoints that ask
  net::TlsVersion min_version = net::TlsVersion::tls1_2;  // "1.2" or "1.3"
  bool operator==(const UpstreamTlsConfig&) const = default;
};

struct OutlierDetection {                // apps.*.outlier_detection; `off`: every check is 0
  int consecutive_5xx = 5;               // failures in a row, over all workers, before ejecting; 0 turns the check off
  int consecutive_gateway_failures = 5;  // 502, 503, 504, no answer in time, connection lost; part of the above
  int consecutive_connect_failures = 5;  // refused, unreachable, timed out; part of both
  Duration ejection_time_base = std::chrono::seconds(30);  // times the ejections of late
  Duration ejection_time_max = std::chrono::seconds(300);
  int ejected_percent_max = 50;      // of the app's up endpoints, at least one; one always stays in
  int panic_threshold_percent = 50;  // `panic_threshold`: fewer up endpoints than this left in: ejections are ignored
  bool is_on() const {
    return consecutive_5xx > 0 || consecutive_gateway_failures > 0 || consecutive_connect_failures > 0;
  }
  bool operator==(const OutlierDetection&) const = default;
};

struct HealthCheck {  // apps.*.health; absent: nothing but what discovery says
  enum class By : std::uint8_t { http, tcp, grpc };
  By by = By::http;         // `http`: GET, 200 to 399; `tcp`: connects; `grpc`: grpc.health.v1 says SERVING
  std::string path = "/";   // of http
  std::string host;         // of http: the Host field; empty: the endpoint's address
  std::string service;      // of grpc; empty: the server as a whole
  bool starts_down = true;  // `start: down`: a new task gets nothing before its first passed check; `up`: it does
  Duration interval = std::chrono::seconds(5);  // from the end of a check to the next, a tenth more or less
  Duration timeout = std::chrono::seconds(2);   // of one check
  int healthy_after = 1;                        // passed checks in a row that bring an unhealthy endpoint back
  int unhealthy_after = 3;                      // failed ones that make a healthy one unhealthy
  bool operator==(const HealthCheck&) const = default;
};

struct AppConfig {  // apps.<id>; an app that is not named has these defaults
  Balance balance = Balance::p2c;
  int preconnect = 0;                   // connections kept open per worker and endpoint that is up, asked for or not
  std::optional<AppProtocol> protocol;  // of its endpoints; absent: what their label lotse.protocol says, else h1
  // `v1` or `v2`: each connection begins by telling whose it is, so it serves one client and is not pooled. Absent: no.
  std::optional<net::ProxyVersion> proxy_protocol;
  OutlierDetection outlier_detection;
  std::optional<HealthCheck> health;
  std::optional<UpstreamTlsConfig> tls;
  bool operator==(const AppConfig&) const = default;
};

struct SourceConfig {                                      // discovery.sources[]; exactly one of the two
  std::string scheduler;                                   // "http://127.0.0.1:8080"
  std::map<model::AppId, std::vector<std::string>> fixed;  // `static: {/legacy/billing: ["127.0.0.1:9000"]}`
  bool operator==(const SourceConfig&) const = default;
};

struct DiscoveryConfig {  // discovery
  std::vector<SourceConfig> sources;
  // on_loss: keep is the only one: a source that fails keeps its last word.
  int max_removal_percent = 50;  // `max_removal: 50%`: lost endpoints of one source within 10 s; more are held back
  bool operator==(const DiscoveryConfig&) const = default;
};

struct TimeoutsConfig {                        // timeouts; what happens when it is over
  Duration header = std::chrono::seconds(10);  // first byte to end of head: 408, close
  Duration request = Duration::zero();         // end of head to end of body; zero (`off`): no bound. 408, close
  Duration downstream_idle = std::chrono::seconds(60);  // between requests: close
  Duration stream_idle = std::chrono::seconds(60);      // either side silent in mid-body: 408 or 504, reset
  Duration tunnel_idle = std::chrono::hours(1);         // after 101: close both sides
  Duration connect = std::chrono::seconds(1);           // next endpoint, then 503
  Duration first_byte = std::chrono::seconds(30);       // request sent to response head: 504
  Duration upstream_ping = std::chrono::seconds(20);    // HTTP/2, requests under way, silence: PING; again: close
  Duration upstream_idle = std::chrono::seconds(30);    // a pooled connection: close
  Duration queue = std::chrono::seconds(5);             // waiting for a connection or an endpoint: 503
  Duration linger = std::chrono::seconds(30);           // after a last answer: what still comes is read, then close
  Duration drain = std::chrono::seconds(60);            // graceful stop, removed listeners: close what is left
  Duration takeover = std::chrono::seconds(60);         // a new process asks until it is ready: refused, we serve on
  Duration worker_stall = std::chrono::seconds(2);  // a loop that does not turn: logged, /readyz 503; x10: /healthz 503
};

struct LimitsConfig {                                // limits; what happens when it is hit
  http::Limits http;                                 // limits.head_bytes_max and so on: same names, same place
  std::size_t client_hello_bytes_max = 16 * 1024;    // of a TLS ClientHello that is passed through: closed, counted
  std::size_t proxy_header_bytes_max = 4096;         // of a header of the PROXY protocol: closed, counted
  std::size_t buffer_bytes_max = 64 * 1024;          // body held per direction: pause the reader; no retry beyond
  int upstream_connections_per_endpoint_max = 512;   // per worker: wait in the app's queue
  int upstream_h2_connections_per_endpoint_max = 4;  // per worker, each with this many requests at once:
  int upstream_h2_streams_max = 100;                 // or as few as the endpoint takes; more wait likewise
  int upstream_connections_max = 0;                  // of the process; 0: a third of the fd limit. Close the idlest
  int downstream_connections_max = 50'000;  // and never more than the fd limit leaves (at most 80 %): stop accepting
  int splice_pipes_max = 256;               // of the process, two descriptors each: without one, bodies are copied
  int requests_waiting_per_app_max = 1024;  // 503 with Retry-After
  int health_checks_max = 100;              // at once, of the process: the rest wait for their turn
  // HTTP/2, of each connection; of what may come in ten seconds: beyond, GOAWAY with ENHANCE_YOUR_CALM.
  int h2_streams_max = 100;                              // requests under way: more are refused
  std::size_t h2_stream_window_bytes = 64 * 1024;        // of a body that nobody has taken: the sender waits
  std::size_t h2_connection_window_bytes = 1024 * 1024;  // of all of them
  std::size_t h2_header_table_bytes = 4096;              // HPACK
  int h2_continuations_max = 8;                          // CONTINUATION frames of one head: ENHANCE_YOUR_CALM
  int h2_resets_max = 200;                               // RST_STREAM from the client, or provoked by it
  int h2_pings_max = 200;
  int h2_settings_max = 200;
  int h2_window_updates_max = 200;  // beyond 10 for each DATA frame sent, 2 for each stream
  int h2_empty_frames_max = 200;    // that carry nothing and end nothing
  int h2_other_frames_max = 200;    // PRIORITY, unknown types; beyond 2 for each stream
  // Heads, bodies and answers that wait to be taken, in the whole process; 0 (`auto`): a quarter of the memory there
  // is. When full, the connections that hold the most go: 503 before the answer, else reset.
  std::size_t memory_bytes_max = 0;
};

struct HttpConfig {                     // http
  std::vector<Cidr> trusted_proxies;    // whose X-Forwarded-* are believed and extended; from others they are replaced
  bool keep_underscore_fields = false;  // field names with "_" are dropped unless true
  // FIN after a whole request: the client may be waiting for the answer, or may have gone, which TCP does not tell
  // apart. False: it gets its answer; true: its request is given up (499).
  bool abort_on_half_close = false;
};

struct ConfigTest {  // tests[]: checked by `lotse proxy --check`
  std::string get;   // a URL
  std::vector<model::AppId>
      expect_apps;        // `expect: {app: /a}` or a list: exactly the apps that may get it; empty: none
  std::string listener;   // by name, where the request arrives; empty: the first
  int expect_status = 0;  // `expect: {status: 404}`: the status of ours; 0: not asked
  std::string where;
};

struct Config {
  int version = 1;  // of the format; required
  int workers = 0;  // `auto` (0): one per CPU we may use
  AdminConfig admin;
  std::optional<AccessLogConfig> access_log;
  std::vector<ListenerConfig> listeners;
  std::vector<RouteConfig> routes;
  ExposeConfig expose;
  std::map<model::AppId, AppConfig> apps;
  DiscoveryConfig discovery;
  HttpConfig http;
  TimeoutsConfig timeouts;
  LimitsConfig limits;
  std::vector<ConfigTest> tests;

  const AppConfig& app(const model::AppId& id) const;  // defaults when it is not named
  std::string_view first_http_listener() const;        // its name; empty: there is none
};

// "/shop/api" under "{app}.apps.example.com" -> "api.shop.apps.example.com" (lower case).
std::string exposed_host(const std::string& pattern, const model::AppId& app);

}  // namespace lotse::proxy

#include "proxy/config_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lotse::proxy {
namespace {

using namespace std::chrono_literals;

std::shared_ptr<const Config> good(const std::string& yaml) {
  ParsedConfig parsed = parse_config(yaml, "lb.yaml");
  for (const ConfigProblem& problem : parsed.problems) ADD_FAILURE() << problem.text_with_caret();
  return parsed.config;
}

std::vector<std::string> problems_of(const std::string& yaml) {
  ParsedConfig parsed = parse_config(yaml, "lb.yaml");
  EXPECT_EQ(parsed.config == nullptr, !parsed.problems.empty());
  std::vector<std::string> texts;
  for (const ConfigProblem& problem : parsed.problems) texts.push_back(problem.text());
  return texts;
}

std::vector<std::string> warnings_of(const std::string& yaml) {
  std::vector<std::string> texts;
  for (const ConfigProblem& warning : parse_config(yaml, "lb.yaml").warnings) texts.push_back(warning.text());
  return texts;
}

constexpr const char* kExample = R"(version: 1
workers: 3
admin: {address: "127.0.0.1:9901"}
access_log: {path: "-", format: json}
listeners:
  - {name: web, address: "0.0.0.0:80"}
  - {name: six, address: "[::]:8080"}
routes:
  - match: {host: Shop.Example.com, path: /api/}
    to:
      - {app: /shop/api, weight: 90}
      - {app: /shop/api-v2:admin, weight: 10}
    retry: {attempts: 3, when: [connect, 502-504, 500], budget: 25%, per_try: 2s}
  - match: {host: "*.example.com", listeners: [six]}
    to: /other
expose: {host: "{app}.apps.example.com", path: true}
apps:
  /shop/api: {balance: round_robin, outlier_detection: {consecutive_5xx: 7, ejection_time_base: 5s, panic_threshold: 30%}}
  /shop/off: {outlier_detection: off}
discovery:
  sources:
    - scheduler: "http://127.0.0.1:8080"
    - static: {/legacy/billing: ["127.0.0.1:9000", "db.internal:9001"]}
  on_loss: keep
  max_removal: 30%
http: {trusted_proxies: ["10.0.0.0/8", "::1"], keep_underscore_fields: true}
timeouts: {connect: 250ms, tunnel_idle: 2h}
limits: {head_bytes_max: 16KiB, fields_max: 50, requests_waiting_per_app_max: 7}
tests:
  - {get: "http://shop.example.com/api/x", expect: {app: [/shop/api, /shop/api-v2]}}
)";

TEST(ConfigParser, ReadsEveryKey) {
  auto config = good(kExample);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->workers, 3);
  EXPECT_EQ(config->admin.address, "127.0.0.1:9901");
  ASSERT_TRUE(config->access_log);
  EXPECT_EQ(config->access_log->path, "-");
  ASSERT_EQ(config->listeners.size(), 2u);
  EXPECT_EQ(config->listeners[1].name, "six");
  EXPECT_EQ(config->listeners[1].parsed_address.port(), 8080);
  ASSERT_EQ(config->routes.size(), 2u);
  const RouteConfig& route = config->routes[0];
  EXPECT_EQ(route.match.host.text, "shop.example.com");
  EXPECT_FALSE(route.match.host.is_wildcard);
  EXPECT_EQ(route.match.path, "/api");
  EXPECT_EQ(route.where, "routes[0] (lb.yaml:9)");
  ASSERT_EQ(route.to.size(), 2u);
  EXPECT_EQ(route.to[0].weight, 90);
  EXPECT_EQ(route.to[1].app, (model::AppTarget{"/shop/api-v2", "admin"}));
  ASSERT_TRUE(route.retry);
  EXPECT_EQ(route.retry->attempts, 3);
  EXPECT_TRUE(route.retry->when_connect);
  EXPECT_FALSE(route.retry->when_refused);
  ASSERT_EQ(route.retry->when_statuses.size(), 2u);
  EXPECT_EQ(route.retry->when_statuses[0], (RetryPolicy::StatusRange{502, 504}));
  EXPECT_EQ(route.retry->when_statuses[1], (RetryPolicy::StatusRange{500, 500}));
  EXPECT_EQ(route.retry->budget_percent, 25);
  EXPECT_EQ(route.retry->per_try, Duration(2s));
  EXPECT_EQ(config->routes[1].match.host, (HostPattern{".example.com", true}));
  EXPECT_EQ(config->routes[1].match.path, "/");
  EXPECT_EQ(config->routes[1].match.listeners, std::vector<std::string>{"six"});
  EXPECT_EQ(config->routes[1].to.at(0).app.app, "/other");
  EXPECT_EQ(config->expose.host, "{app}.apps.example.com");
  EXPECT_TRUE(config->expose.path);
  EXPECT_EQ(config->app("/shop/api").balance, Balance::round_robin);
  EXPECT_EQ(config->app("/else").balance, Balance::p2c);
  EXPECT_EQ(config->app("/shop/api").outlier_detection,
            (OutlierDetection{.consecutive_5xx = 7, .ejection_time_base = 5s, .panic_threshold_percent = 30}));
  EXPECT_FALSE(config->app("/shop/off").outlier_detection.is_on());
  EXPECT_TRUE(config->app("/else").outlier_detection.is_on());
  ASSERT_EQ(config->discovery.sources.size(), 2u);
  EXPECT_EQ(config->discovery.sources[0].scheduler, "http://127.0.0.1:8080");
  EXPECT_EQ(config->discovery.sources[1].fixed.at("/legacy/billing").size(), 2u);
  EXPECT_EQ(config->discovery.max_removal_percent, 30);
  EXPECT_EQ(config->http.trusted_proxies.size(), 2u);
  EXPECT_TRUE(config->http.keep_underscore_fields);
  EXPECT_EQ(config->timeouts.connect, Duration(250ms));
  EXPECT_EQ(config->timeouts.tunnel_idle, Duration(2h));
  EXPECT_EQ(config->timeouts.header, Duration(10s));
  EXPECT_EQ(config->limits.http.head_bytes_max, 16u * 1024);
  EXPECT_EQ(config->limits.http.fields_max, 50u);
  EXPECT_EQ(config->limits.requests_waiting_per_app_max, 7);
  ASSERT_EQ(config->tests.size(), 1u);
  EXPECT_EQ(config->tests[0].expect_apps.size(), 2u);
}

TEST(ConfigParser, AnEmptyConfigurationIsAllDefaults) {
  auto config = good("version: 1\n");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->workers, 0);
  EXPECT_FALSE(config->access_log);
  EXPECT_EQ(config->limits.downstream_connections_max, 50'000);
  EXPECT_TRUE(good("version: 1\nroutes:\nlisteners:\napps:\n"));
}

struct BadCase {
  const char* name;
  std::string yaml;
  std::vector<std::string> problems;
};

std::string with_routes(const std::string& routes) {
  return "version: 1\nlisteners: [{name: web, address: \"0.0.0.0:80\"}]\nroutes:\n" + routes;
}

const std::vector<BadCase>& bad_cases() {
  static const std::vector<BadCase> cases = {
      {"UnknownKeyWithSuggestion",
       "version: 1\nroutes:\n  - match: {path: /}\n    to: /a\n    retry: {atempts: 2}\n",
       {"lb.yaml:5:13: routes[0].retry.atempts: unknown key; did you mean \"attempts\"?"}},
      {"UnknownKeyWithoutSuggestion",
       "version: 1\nlisteners:\n  - {name: web, address: \"0.0.0.0:443\", banana: {}}\n",
       {"lb.yaml:3:41: listeners[0].banana: unknown key; known here: name, address, tls, tcp, tls_passthrough, "
        "proxy_protocol, http2"}},
      {"RepeatedKey", "version: 1\nworkers: 1\nworkers: 2\n", {"lb.yaml:3:1: workers: repeated; first in line 2"}},
      {"AllAtOnce",
       "version: 2\nworkers: many\ntimeouts:\n  header: 10\n  conect: 1s\n  first_byte: 1 s\n",
       {"lb.yaml:1:10: version: must be a whole number from 1 to 1",
        "lb.yaml:2:10: workers: must be a whole number from 1 to 256",
        "lb.yaml:4:11: timeouts.header: needs a unit: \"10ms\", \"10s\", \"10m\" or \"10h\"",
        "lb.yaml:5:3: timeouts.conect: unknown key; did you mean \"connect\"?",
        "lb.yaml:6:15: timeouts.first_byte: must be a duration like 250ms, 20s, 1m or 1h"}},
      {"MissingVersion", "workers: 1\n", {"lb.yaml:1:1: \"version\" is missing"}},
      {"NothingAtAll", "", {"lb.yaml: \"version\" is missing"}},
      {"NotAMap", "- 1\n", {"lb.yaml:1:1: must be a map, but is a list"}},
      {"QuotedNumber", "version: \"1\"\n", {"lb.yaml:1:10: version: must be a whole number from 1 to 1"}},
      {"ZeroDuration",
       "version: 1\ntimeouts: {drain: 0s}\n",
       {"lb.yaml:2:19: timeouts.drain: must be more than 0 and at most 720h"}},
      {"PercentWithoutSign",
       "version: 1\ndiscovery: {max_removal: 50}\n",
       {"lb.yaml:2:26: discovery.max_removal: must be a percentage from 0% to 100%, with the sign"}},
      {"WordNotKnown",
       "version: 1\napps: {/a: {balance: round_robbin}}\n",
       {"lb.yaml:2:22: apps./a.balance: \"round_robbin\" is not known; did you mean \"round_robin\"?"}},
      {"OnlyKeepOnLoss", "version: 1\ndiscovery: {on_loss: drop}\n", {"lb.yaml:2:22: discovery.on_loss: must be keep"}},
      {"DuplicateListeners",
       "version: 1\nlisteners:\n  - {name: web, address: \"0.0.0.0:80\"}\n  - {name: web, address: \"0.0.0.0:80\"}\n",
       {"lb.yaml:4:6: listeners[1].name: \"web\" is the name of listeners[0] too",
        "lb.yaml:4:17: listeners[1].address: listeners[0] has the same address"}},
      {"ListenerWithoutName",
       "version: 1\nlisteners:\n  - {address: \"0.0.0.0:80\"}\n",
       {"lb.yaml:3:5: listeners[0]: \"name\" is missing"}},
      {"UnknownListener",
       with_routes("  - {match: {path: /, listeners: [wep]}, to: /a}\n"),
       {"lb.yaml:4:35: routes[0].match.listeners[0]: there is no listener \"wep\"; did you mean \"web\"?"}},
      {"SameMatchTwice",
       with_routes("  - {match: {host: a.b, path: /x}, to: /a}\n  - {match: {host: A.b, path: /x/}, to: /b}\n"),
       {"lb.yaml:5:6: routes[1].match: the same as routes[0] (lb.yaml:4)"}},
      {"RelativePath",
       with_routes("  - {match: {path: api}, to: /a}\n"),
       {"lb.yaml:4:14: routes[0].match.path: must start with \"/\""}},
      {"PathPattern",
       with_routes("  - {match: {path: /api/*}, to: /a}\n"),
       {"lb.yaml:4:14: routes[0].match.path: matches by segment; patterns are not supported"}},
      {"DotSegments",
       with_routes("  - {match: {path: /a/../b}, to: /a}\n"),
       {"lb.yaml:4:14: routes[0].match.path: dot segments never match: paths are normalised first"}},
      {"HostWithPort",
       with_routes("  - {match: {host: \"shop.example.com:80\"}, to: /a}\n"),
       {"lb.yaml:4:14: routes[0].match.host: must be a host name without port, or \"*.\" and a host name"}},
      {"StarInTheMiddle",
       with_routes("  - {match: {host: a.*.com}, to: /a}\n"),
       {"lb.yaml:4:14: routes[0].match.host: must be a host name without port, or \"*.\" and a host name"}},
      {"WeightBeyond",
       with_routes("  - {match: {path: /}, to: [{app: /a, weight: 1001}]}\n"),
       {"lb.yaml:4:47: routes[0].to[0].weight: must be a whole number from 0 to 1000"}},
      {"WeightsAllZero",
       with_routes("  - {match: {path: /}, to: [{app: /a, weight: 0}]}\n"),
       {"lb.yaml:4:24: routes[0].to: all weights are 0"}},
      {"SameAppTwice",
       with_routes("  - {match: {path: /}, to: [/a, /a]}\n"),
       {"lb.yaml:4:33: routes[0].to[1]: the same app twice; give it one weight"}},
      {"NoTarget", with_routes("  - {match: {path: /}, to: []}\n"), {"lb.yaml:4:24: routes[0].to: names no app"}},
      {"StatusNotRetried",
       with_routes("  - {match: {path: /}, to: /a, retry: {when: [404]}}\n"),
       {"lb.yaml:4:47: routes[0].retry.when[0]: must be connect, refused, a status like 503, a range like 502-504 or "
        "one of gRPC's like grpc-unavailable"}},
      {"ExposeWithoutApp",
       "version: 1\nexpose: {host: apps.example.com}\n",
       {"lb.yaml:2:10: expose.host: must hold {app}, as in \"{app}.apps.example.com\""}},
      {"TwoKindsOfSource",
       "version: 1\ndiscovery:\n  sources:\n    - {scheduler: \"http://a:1\", static: {/a: [\"h:1\"]}}\n",
       {"lb.yaml:4:7: discovery.sources[0]: a source is one of scheduler, static"}},
      {"SchedulerOverHttps", "version: 1\ndiscovery: {sources: [{scheduler: \"https://a\"}]}\n", {}},
      {"StaticWithoutPort",
       "version: 1\ndiscovery: {sources: [{static: {/a: [\"h:1\", h]}}]}\n",
       {"lb.yaml:2:45: discovery.sources[0].static./a[1]: must be host:port"}},
      {"BadAppId", "version: 1\napps: {Shop: {}}\n", {}},
      {"BadNetwork",
       "version: 1\nhttp: {trusted_proxies: [10.0.0.0/33, ten]}\n",
       {"lb.yaml:2:26: http.trusted_proxies[0]: the prefix must be from 0 to 32",
        "lb.yaml:2:39: http.trusted_proxies[1]: must be an IP address or a network like 10.0.0.0/8"}},
      {"Bytes",
       "version: 1\nlimits: {head_bytes_max: 64KB}\n",
       {"lb.yaml:2:26: limits.head_bytes_max: must be a number of bytes like 65536, 64KiB or 1MiB"}},
      {"TwoDocuments", "version: 1\n---\nversion: 1\n", {"lb.yaml:3:1: a second document; the file must hold one"}},
      {"NotYaml", "version: [1\nworkers: 2\n", {}},
      {"TestExpectsNothing",
       "version: 1\ntests: [{get: \"http://a/\", expect: {}}]\n",
       {"lb.yaml:2:36: tests[0].expect: expects nothing"}},
  };
  return cases;
}

void PrintTo(const BadCase& each, std::ostream* out) { *out << each.name; }
class BadConfig : public testing::TestWithParam<BadCase> {};

TEST_P(BadConfig, IsReportedWithPlaceAndKey) {
  std::vector<std::string> texts = problems_of(GetParam().yaml);
  if (GetParam().problems.empty())
    EXPECT_EQ(texts.size(), 1u) << testing::PrintToString(texts);  // words of others
  else
    EXPECT_EQ(texts, GetParam().problems);
}

INSTANTIATE_TEST_SUITE_P(Table, BadConfig, testing::ValuesIn(bad_cases()),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(ConfigParser, ShowsTheSourceLineWithACaretUnderThePlace) {
  ParsedConfig parsed = parse_config("version: 1\ntimeouts: {é: 1s, conect: 1s}\n", "lb.yaml");
  ASSERT_EQ(parsed.problems.size(), 2u);
  EXPECT_EQ(parsed.problems[1].text_with_caret(),
            "lb.yaml:2:20: timeouts.conect: unknown key; did you mean \"connect\"?\n"
            "    timeouts: {é: 1s, conect: 1s}\n"
            "                      ^");
}

TEST(ConfigParser, WarnsOfARouteToAnAppThatNobodyAnnounces) {
  std::string yaml = with_routes("  - {match: {path: /}, to: /nobody}\n");
  EXPECT_EQ(warnings_of(yaml),
            std::vector<std::string>{"lb.yaml:4:24: routes[0].to: no source announces /nobody: requests get 503"});
  EXPECT_TRUE(good(yaml));
  EXPECT_TRUE(warnings_of(yaml + "discovery: {sources: [{scheduler: \"http://a:1\"}]}\n").empty());
}

TEST(ConfigParser, KeepsOnlySoManyProblems) {
  std::string yaml = "version: 1\ntimeouts:\n";
  for (int i = 0; i < 500; ++i) yaml += "  zzzzzz" + std::to_string(i) + ": 1s\n";
  std::vector<std::string> texts = problems_of(yaml);
  ASSERT_EQ(texts.size(), kConfigProblemsMax + 1);
  EXPECT_EQ(texts.back(), "lb.yaml: and 400 more problems");
}

TEST(ConfigParser, RefusesABombOfAliases) {
  std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string before = "*a" + std::to_string(i - 1);
    yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) yaml += (j > 0 ? ", " : "") + before;
    yaml += "]\n";
  }
  std::vector<std::string> texts = problems_of(yaml);
  ASSERT_EQ(texts.size(), 1u);
  EXPECT_NE(texts[0].find("too many nodes"), std::string::npos) << texts[0];
}

TEST(ConfigParser, RefusesWhatIsNestedTooDeeply) {
  std::vector<std::string> texts = problems_of("version: " + std::string(100'000, '['));
  EXPECT_EQ(texts.size(), 1u);
}

TEST(ConfigParser, TakesAnAliasForACopyOfItsAnchor) {
  auto config =
      good(with_routes("  - {match: {path: /a}, to: /a, retry: &r {attempts: 4}}\n"
                       "  - {match: {path: /b}, to: /b, retry: *r}\n"));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->routes[1].retry->attempts, 4);
}

// A half-written file must give problems, never a crash.
TEST(ConfigParser, SurvivesEveryPrefixOfAGoodFile) {
  std::string yaml = kExample;
  for (std::size_t length = 0; length <= yaml.size(); ++length) {
    ParsedConfig parsed = parse_config(std::string_view(yaml).substr(0, length), "lb.yaml");
    EXPECT_EQ(parsed.config == nullptr, !parsed.problems.empty());
  }
}

TEST(ConfigParser, AnUnreadableFileIsAProblem) {
  ParsedConfig parsed = load_config("/nonexistent/lb.yaml");
  ASSERT_EQ(parsed.problems.size(), 1u);
  EXPECT_EQ(parsed.problems[0].text(), "/nonexistent/lb.yaml: No such file or directory");
}

TEST(Config, ExposedHostTurnsTheAppIdRound) {
  EXPECT_EQ(exposed_host("{app}.apps.example.com", "/shop/api"), "api.shop.apps.example.com");
  EXPECT_EQ(exposed_host("{app}.localhost", "/hello"), "hello.localhost");
}

TEST(Cidr, HoldsAddressesOfItsNetwork) {
  auto ip = [](const char* text) { return *net::Address::from_ip(text, 80); };
  Cidr ten{ip("10.0.0.0"), 8};
  EXPECT_TRUE(ten.contains(ip("10.255.1.2")));
  EXPECT_FALSE(ten.contains(ip("11.0.0.1")));
  EXPECT_TRUE(ten.contains(ip("::ffff:10.1.2.3")));
  EXPECT_TRUE((Cidr{ip("0.0.0.0"), 0}).contains(ip("8.8.8.8")));
  EXPECT_FALSE((Cidr{ip("0.0.0.0"), 0}).contains(ip("::1")));
  EXPECT_TRUE((Cidr{ip("fd00::"), 9}).contains(ip("fd7f::1")));
  EXPECT_FALSE((Cidr{ip("fd00::"), 9}).contains(ip("fd80::1")));
  EXPECT_TRUE((Cidr{ip("192.168.1.7"), 32}).contains(ip("192.168.1.7")));
  EXPECT_FALSE((Cidr{ip("192.168.1.7"), 32}).contains(ip("192.168.1.6")));
}

TEST(Nearest, OffersOnlyWhatIsNear) {
  std::vector<std::string_view> words = {"attempts", "when", "budget"};
  EXPECT_EQ(nearest("atempts", words), "attempts");
  EXPECT_EQ(nearest("attemtps", words), "attempts");
  EXPECT_EQ(nearest("hwen", words), "when");
  EXPECT_EQ(nearest("sticky", words), "");
  EXPECT_EQ(nearest("", words), "");
}

}  // namespace
}  // namespace lotse::proxy

// Listeners that do not speak HTTP: what the file may say of them, and every mistake at its place.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "proxy/config_json.h"
#include "proxy/config_parser.h"
#include "proxy/config_tests.h"

namespace lotse::proxy {
namespace {

std::vector<std::string> texts_of(const std::vector<ConfigProblem>& problems) {
  std::vector<std::string> texts;
  for (const ConfigProblem& problem : problems) texts.push_back(problem.text());
  return texts;
}

std::string with_listener(const std::string& listener) {
  return "version: 1\nlisteners:\n  - {name: web, address: \"0.0.0.0:80\"}\n  - " + listener +
         "\ndiscovery: {sources: [{scheduler: \"http://127.0.0.1:8080\"}]}\n";
}

std::vector<std::string> problems_of(const std::string& yaml) {
  return texts_of(parse_config(yaml, "lb.yaml").problems);
}

using Texts = std::vector<std::string>;

TEST(ConfigTcp, ReadsOneAppOrAWeightedList) {
  auto parsed =
      parse_config(with_listener("{name: db, address: \"0.0.0.0:5432\", tcp: {to: /db/postgres}}"), "lb.yaml");
  ASSERT_TRUE(parsed.config) << texts_of(parsed.problems).at(0);
  const ListenerConfig& db = parsed.config->listeners.at(1);
  ASSERT_TRUE(db.is_tcp());
  ASSERT_EQ(db.tcp->to.size(), 1U);
  EXPECT_EQ(db.tcp->to[0].app.app, "/db/postgres");
  EXPECT_EQ(db.where, "listeners[1] (lb.yaml:4)");
  EXPECT_EQ(parsed.config->first_http_listener(), "web");

  parsed = parse_config(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {to: [{app: /a, weight: 9}, /b:sql]}}"),
                        "lb.yaml");
  ASSERT_TRUE(parsed.config);
  EXPECT_EQ(parsed.config->listeners.at(1).tcp->to.at(0).weight, 9);
  EXPECT_EQ(parsed.config->listeners.at(1).tcp->to.at(1).app.port, "sql");
  const auto json = nlohmann::json::parse(to_json_text(*parsed.config));
  EXPECT_EQ(json["listeners"][1]["tcp"]["to"][1]["app"], "/b:sql");
}

TEST(ConfigTcp, MistakesAreToldAtTheirPlace) {
  EXPECT_EQ(
      problems_of(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {too: /db}}")),
      (Texts{"lb.yaml:4:38: listeners[1].tcp.to: names no app", "lb.yaml:4:43: listeners[1].tcp: \"to\" is missing",
             "lb.yaml:4:44: listeners[1].tcp.too: unknown key; did you mean \"to\"?"}));
  EXPECT_EQ(problems_of(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {to: []}}")),
            Texts{"lb.yaml:4:44: listeners[1].tcp.to: names no app"});
  EXPECT_EQ(problems_of(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {to: [/a, /a]}}")),
            Texts{"lb.yaml:4:53: listeners[1].tcp.to[1]: the same app twice; give it one weight"});
  EXPECT_EQ(problems_of(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {to: [{app: /a, weight: 0}]}}")),
            Texts{"lb.yaml:4:44: listeners[1].tcp.to: all weights are 0"});
}

TEST(ConfigTcp, ARouteCannotBeForAListenerThatSpeaksTcp) {
  EXPECT_EQ(problems_of(with_listener("{name: db, address: \"0.0.0.0:1\", tcp: {to: /db}}") +
                        "routes: [{match: {listeners: [db]}, to: /db}]\n"),
            Texts{"lb.yaml:6:31: routes[0].match.listeners[0]: speaks TCP: no request arrives there"});
}

TEST(ConfigTcp, AnAppThatNoSourceAnnouncesIsAWarning) {
  auto parsed = parse_config(
      "version: 1\nlisteners:\n  - {name: db, address: \"0.0.0.0:1\", tcp: {to: /db}}\n"
      "discovery: {sources: [{static: {/other: [\"127.0.0.1:1\"]}}]}\n",
      "lb.yaml");
  ASSERT_TRUE(parsed.config);
  EXPECT_EQ(texts_of(parsed.warnings),
            Texts{"lb.yaml:3:44: listeners[0].tcp.to: no source announces /db: connections are closed"});
}

// TLS that is passed through ---------------------------------------------------------------------------------------

std::string with_passthrough(const std::string& section) {
  return with_listener("{name: edge, address: \"0.0.0.0:1\", tls_passthrough: " + section + "}");
}

TEST(ConfigTlsPassthrough, ReadsNamesAndADefault) {
  auto parsed = parse_config(
      with_passthrough("{names: {DB.Example.com: /db, \"*.example.com\": [{app: /a, weight: 2}, /b]}, default: /c}"),
      "lb.yaml");
  ASSERT_TRUE(parsed.config) << texts_of(parsed.problems).at(0);
  const ListenerConfig& listener = parsed.config->listeners.at(1);
  ASSERT_TRUE(listener.is_tcp());
  const TlsPassthroughConfig& passthrough = *listener.tls_passthrough;
  ASSERT_EQ(passthrough.names.size(), 2U);
  EXPECT_EQ(passthrough.names[0].host, (HostPattern{"db.example.com", false}));
  EXPECT_EQ(passthrough.names[1].host, (HostPattern{".example.com", true}));
  EXPECT_EQ(passthrough.names[1].to.at(0).weight, 2);
  EXPECT_EQ(passthrough.other.at(0).app.app, "/c");
  const auto json = nlohmann::json::parse(to_json_text(*parsed.config));
  EXPECT_EQ(json["listeners"][1]["tls_passthrough"]["names"]["*.example.com"][1]["app"], "/b");
  EXPECT_EQ(json["listeners"][1]["tls_passthrough"]["default"][0]["app"], "/c");
}

TEST(ConfigTlsPassthrough, MistakesAreToldAtTheirPlace) {
  EXPECT_EQ(problems_of(with_passthrough("{}")),
            Texts{"lb.yaml:4:40: listeners[1].tls_passthrough: has neither names nor a default: nobody would get a "
                  "connection"});
  EXPECT_EQ(
      problems_of(with_passthrough("{names: {\"a b\": /a}}")),
      Texts{"lb.yaml:4:66: listeners[1].tls_passthrough.names.a b: must be a host name, or \"*.\" and a host name"});
  EXPECT_EQ(
      problems_of(with_passthrough("{names: {a.test: /a, A.Test: /b}}")),
      Texts{"lb.yaml:4:78: listeners[1].tls_passthrough.names.A.Test: the same name in other letters stands above"});
  EXPECT_EQ(problems_of(with_passthrough("{names: {a.test: [/a, /a]}}")).size(), 1U);
  EXPECT_EQ(
      problems_of(with_listener("{name: edge, address: \"0.0.0.0:1\", tcp: {to: /a}, tls_passthrough: {default: /a}}")),
      Texts{"lb.yaml:4:55: listeners[1].tls_passthrough: beside tcp: either all connections go to one place, or by "
            "their names"});
}

TEST(ConfigTlsPassthrough, TestsMayAskForListenersAndNames) {
  const std::string listeners =
      "version: 1\nlisteners:\n  - {name: web, address: \"0.0.0.0:80\"}\n"
      "  - {name: db, address: \"0.0.0.0:5432\", tcp: {to: /db}}\n"
      "  - {name: edge, address: \"0.0.0.0:443\", tls_passthrough: {names: {\"*.a.test\": /a}}}\n"
      "discovery: {sources: [{scheduler: \"http://127.0.0.1:8080\"}]}\n";
  auto parsed = parse_config(listeners +
                                 "tests:\n  - {get: \"tcp://db\", expect: {app: /db}}\n"
                                 "  - {get: \"tcp://0.0.0.0:5432\", expect: {app: /db}}\n"
                                 "  - {get: \"tls://X.A.test:443\", expect: {app: /a}}\n"
                                 "  - {get: \"tls://b.test\", expect: {app: []}}\n"
                                 "  - {get: \"tls://b.test\", expect: {app: /a}}\n",
                             "lb.yaml");
  ASSERT_TRUE(parsed.config) << texts_of(parsed.problems).at(0);
  auto results = run_config_tests(*parsed.config, make_test_router(*parsed.config));
  ASSERT_EQ(results.size(), 5U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(results[i].has_passed) << results[i].text;
  EXPECT_FALSE(results[4].has_passed);
  EXPECT_NE(results[4].text.find("-> nobody by listeners[2] (lb.yaml:5), where nobody has this name; expected /a"),
            std::string::npos)
      << results[4].text;
  EXPECT_EQ(problems_of(listeners + "tests: [{get: \"tcp://dba\", expect: {app: /db}}]\n"),
            Texts{"lb.yaml:7:10: tests[0].get: no listener has the name or the address \"dba\""});
}

// The PROXY protocol ------------------------------------------------------------------------------------------------

TEST(ConfigProxyProtocol, IsForListenersAndApps) {
  auto parsed =
      parse_config(with_listener("{name: x, address: \"0.0.0.0:1\", proxy_protocol: {from: [10.0.0.0/8, \"::1\"]}}") +
                       "apps: {/a: {proxy_protocol: v2}, /b: {}}\n",
                   "lb.yaml");
  ASSERT_TRUE(parsed.config) << texts_of(parsed.problems).at(0);
  EXPECT_EQ(parsed.config->listeners.at(1).proxy_protocol->from.at(0).prefix_bits, 8);
  EXPECT_EQ(parsed.config->app("/a").proxy_protocol, net::ProxyVersion::v2);
  EXPECT_FALSE(parsed.config->app("/b").proxy_protocol);
  const auto json = nlohmann::json::parse(to_json_text(*parsed.config));
  EXPECT_EQ(json["listeners"][1]["proxy_protocol"]["from"][0], "10.0.0.0/8");
  EXPECT_EQ(json["apps"]["/a"]["proxy_protocol"], "v2");
}

TEST(ConfigProxyProtocol, MistakesAreToldAtTheirPlace) {
  EXPECT_EQ(problems_of(with_listener("{name: x, address: \"0.0.0.0:1\", proxy_protocol: {from: []}}")),
            Texts{"lb.yaml:4:54: listeners[1].proxy_protocol.from: names nobody: no connection could be taken"});
  EXPECT_EQ(
      problems_of(with_listener("{name: x, address: \"0.0.0.0:1\", proxy_protocol: {from: [10.0.0.0/33, 10.0.0.1]}}"))
          .size(),
      1U);
  EXPECT_EQ(problems_of("version: 1\napps: {/a: {proxy_protocol: v3}}\n").size(), 1U);
  EXPECT_EQ(
      problems_of("version: 1\napps: {/a: {proxy_protocol: v1, preconnect: 2}}\n"),
      Texts{
          "lb.yaml:2:33: apps./a.preconnect: a connection that says whose it is cannot be made before somebody asks"});
}

}  // namespace
}  // namespace lotse::proxy

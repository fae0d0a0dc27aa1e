// Listeners that do not speak HTTP: what the file may say of them, and every mistake at its place.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "proxy/config_json.h"
#include "proxy/config_parser.h"

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

}  // namespace
}  // namespace lotse::proxy

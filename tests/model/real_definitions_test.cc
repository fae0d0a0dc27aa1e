// Definitions that real people wrote for Marathon (marathon-apps/SOURCES.tsv says where each is from).
#include <gtest/gtest.h>

#include <set>

#include "model/app_json.h"
#include "model/app_rules.h"
#include "tests/model/test_data.h"

namespace lotse::model {
namespace {

// Not valid in Marathon either: cmd and args, an address beside ports.
constexpr const char* kInvalid = "marathon-raml-app.json";

// What Lotse cannot honour, and the path that says so.
const std::map<std::string, std::string> kRefused = {
    {"marathon-docs-secrets-1.json", "/secrets"},
    {"marathon-raml-app-check-http-example.json", "/check"},
    {"marathon-tests-external-volume-mesos-app.json", "/container/volumes(0)"},
    {"marathon-tests-healthcheck-and-volume.json", "/container/volumes(1)"},
    {"marathon-tests-ipv6-healthcheck.json", "/healthChecks(0)/ipProtocol"},
    {"marathon-tests-persistent-volume-app.json", "/container/volumes(0)"},
    {"marathon-tests-pinger-container-app.json", "/networks(0)"},
    {"marathon-tests-private-ucr-docker-app.json", "/container/docker/pullConfig"},
    {"marathon-tests-resident-docker-app.json", "/residency"},
    {"universe-jenkins.json", "/container/volumes(1)"},
};

template <typename Check>
void for_each_definition(Check check) {
  auto files = real_definitions();
  ASSERT_GE(files.size(), 27u);
  for (const auto& file : files) {
    std::string name = file.filename().string();
    if (name == kInvalid) continue;
    SCOPED_TRACE(name);
    auto app = parse_app(definition_in(file));
    ASSERT_TRUE(app) << to_json(app.error());
    check(name, *app, definition_in(file));
  }
}

TEST(RealDefinitions, ComeBackTheSameFromTheAnswer) {
  for_each_definition([](const std::string&, const App& app, const nlohmann::json&) {
    auto again = parse_app(to_json(app));
    ASSERT_TRUE(again) << to_json(again.error());
    EXPECT_EQ(*again, app);
  });
}

TEST(RealDefinitions, ComeBackTheSameFromTheStore) {
  for_each_definition([](const std::string&, App app, const nlohmann::json&) {
    app.version = "2015-08-26T20:23:39.463Z";
    app.last_scaling_at = "2015-08-26T20:23:39.464Z";
    app.last_config_change_at = "2015-08-26T20:23:39.465Z";
    auto again = deserialize_app(serialize_app(app));
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, app);
    EXPECT_EQ(serialize_app(*again), serialize_app(app));
  });
}

TEST(RealDefinitions, ArePatchedWithThemselvesToTheSame) {
  for_each_definition([](const std::string&, const App& app, const nlohmann::json& definition) {
    auto patched = patch_app(app, definition);
    ASSERT_TRUE(patched) << to_json(patched.error());
    EXPECT_EQ(*patched, app);
    auto unpatched = patch_app(app, nlohmann::json::object());
    ASSERT_TRUE(unpatched) << to_json(unpatched.error());
    EXPECT_EQ(*unpatched, app);
  });
}

TEST(RealDefinitions, AreRunnableOrRefusedWithAReason) {
  for_each_definition([](const std::string& name, const App& app, const nlohmann::json&) {
    auto error = check_app(app);
    auto refused = kRefused.find(name);
    if (refused == kRefused.end()) {
      EXPECT_FALSE(error) << to_json(*error);
      return;
    }
    ASSERT_TRUE(error);
    EXPECT_EQ(error->status, 422);
    EXPECT_EQ(error->message, "Object is not valid");
    EXPECT_NE(to_json(*error).find("\"" + refused->second + "\""), std::string::npos) << to_json(*error);
  });
}

TEST(RealDefinitions, KeepWhatTheySay) {
  // Members that answers hold in another form or not at all.
  const std::set<std::string> migrated{"id",   "container", "ipAddress",  "fetch",
                                       "uris", "networks",  "maintainer", "healthChecks"};
  for_each_definition([&](const std::string&, const App& app, const nlohmann::json& definition) {
    nlohmann::json answer = to_json(app);
    for (const auto& [name, value] : definition.items()) {
      if (migrated.count(name) > 0) continue;
      ASSERT_TRUE(answer.contains(name)) << name;
      if (value.is_array() && !value.empty() && value[0].is_object()) continue;  // defaults were filled in
      EXPECT_EQ(answer[name], value) << name;
    }
  });
}

TEST(RealDefinitions, TheExampleOfTheDocsIsRefusedWithAllItsFaults) {
  for (const auto& file : real_definitions()) {
    if (file.filename() != kInvalid) continue;
    auto app = parse_app(definition_in(file));
    ASSERT_FALSE(app);
    EXPECT_EQ(app.error().status, 422);
    for (const char* words : {"'cmd' or 'args'", "/ipAddress", "/secrets", "/env/PASSWORD"}) {
      EXPECT_NE(to_json(app.error()).find(words), std::string::npos) << words;
    }
  }
}

}  // namespace
}  // namespace lotse::model

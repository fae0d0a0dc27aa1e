// Fields of Lotse's own in Marathon's definition: taken, kept, and not shown to those who never said them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "model/app_rules.h"

namespace lotse::model {
namespace {

using nlohmann::json;

json definition(const char* more) {
  json app = {{"id", "/x"}, {"cmd", "true"}};
  app.update(json::parse(more));
  return app;
}

TEST(AppOwnFields, AreNotShownUnlessGiven) {
  auto app = parse_app(definition("{}"));
  ASSERT_TRUE(app);
  json shown = to_json(*app);
  EXPECT_EQ(shown["upgradeStrategy"], (json{{"minimumHealthCapacity", 1}, {"maximumOverCapacity", 1}}));
  EXPECT_FALSE(shown.contains("drainSeconds"));
  EXPECT_EQ(progress_deadline_of(*app), std::chrono::seconds(600));
  EXPECT_FALSE(rolls_back(*app));
}

TEST(AppOwnFields, ComeBackAsGiven) {
  auto app = parse_app(
      definition(R"({"drainSeconds": 5, "upgradeStrategy": {"progressDeadlineSeconds": 0, "autoRollback": true}})"));
  ASSERT_TRUE(app);
  EXPECT_FALSE(check_app(*app));
  json shown = to_json(*app);
  EXPECT_EQ(shown["upgradeStrategy"]["progressDeadlineSeconds"], 0);
  EXPECT_EQ(shown["upgradeStrategy"]["autoRollback"], true);
  EXPECT_EQ(shown["drainSeconds"], 5);
  EXPECT_EQ(*deserialize_app(serialize_app(*app)), *app);
  EXPECT_EQ(progress_deadline_of(*app), std::nullopt);
  EXPECT_TRUE(rolls_back(*app));
  auto patched = patch_app(*app, json{{"cpus", 2}});
  ASSERT_TRUE(patched);
  EXPECT_EQ(patched->drain_time, app->drain_time);
  EXPECT_EQ(patched->upgrade_strategy, app->upgrade_strategy);
}

TEST(AppOwnFields, AnAppWithHealthChecksRollsBackUnlessToldNotTo) {
  const char* checks = R"({"healthChecks": [{"protocol": "TCP"}]})";
  EXPECT_TRUE(rolls_back(*parse_app(definition(checks))));
  EXPECT_FALSE(rolls_back(*parse_app(
      definition(R"({"healthChecks": [{"protocol": "TCP"}], "upgradeStrategy": {"autoRollback": false}})"))));
}

TEST(AppOwnFields, AreChecked) {
  struct Case {
    const char *more, *path;
  };
  for (const Case& each :
       {Case{R"({"drainSeconds": -1})", "/drainSeconds"}, Case{R"({"drainSeconds": 1e9})", "/drainSeconds"},
        Case{R"({"upgradeStrategy": {"progressDeadlineSeconds": -1}})", "/upgradeStrategy/progressDeadlineSeconds"},
        Case{R"({"role": "prod"})", "/role"}}) {
    auto app = parse_app(definition(each.more));
    ASSERT_TRUE(app) << each.more;
    auto broken = check_app(*app);
    ASSERT_TRUE(broken) << each.more;
    EXPECT_EQ(broken->details.at(0).path, each.path);
  }
  EXPECT_FALSE(parse_app(definition(R"({"drainSeconds": "long"})")));
}

TEST(AppOwnFields, TheRoleMayBeTheTopLevelGroups) {
  auto app = parse_app(json{{"id", "/dev/shop/x"}, {"cmd", "true"}, {"role", "dev"}});
  ASSERT_TRUE(app);
  EXPECT_FALSE(check_app(*app));
}

}  // namespace
}  // namespace lotse::model

#include "model/app_id.h"

#include <gtest/gtest.h>

namespace lotse::model {
namespace {

TEST(AppId, ResolvesAgainstAGroup) {
  struct Case {
    const char *text, *base, *id;
  };
  for (const Case& each : {Case{"/shop/api", "/", "/shop/api"},
                           {"shop/api", "/", "/shop/api"},
                           {"api", "/shop", "/shop/api"},
                           {"../db", "/shop/web", "/shop/db"},
                           {"./api", "/shop", "/shop/api"},
                           {"//shop//api/", "/", "/shop/api"},
                           {"../../../x", "/a", "/x"},
                           {"/a/../b", "/", "/b"},
                           {"/other", "/shop", "/other"},
                           {"web.v2", "/", "/web.v2"},
                           {"0", "/", "/0"},
                           {"a-b", "/", "/a-b"}}) {
    auto id = resolve_app_id(each.text, each.base);
    ASSERT_TRUE(id) << each.text << ": " << id.error().text();
    EXPECT_EQ(*id, each.id) << each.text;
  }
}

TEST(AppId, RefusesWhatTheGrammarDoesNotKnow) {
  for (const char* text : {"/Shop", "/a_b", "/-a", "/a-", "/a..b", "/a.", "/.a", "/a b", "/\xc3\xa4", "/a:b", "/a*"}) {
    auto id = resolve_app_id(text);
    ASSERT_FALSE(id) << text;
    EXPECT_NE(id.error().what.find("must fully match regular expression"), std::string::npos) << text;
    EXPECT_EQ(id.error().where, text);
  }
}

TEST(AppId, RefusesTheRootAndNothing) {
  EXPECT_EQ(resolve_app_id("").error().what, "must not be empty");
  for (const char* text : {"/", "//", "..", "/a/..", "."})
    EXPECT_EQ(resolve_app_id(text).error().what, "must not be root");
}

TEST(AppId, HasABound) {
  EXPECT_TRUE(resolve_app_id(std::string(1000, 'a')));
  EXPECT_FALSE(resolve_app_id(std::string(1025, 'a')));
  EXPECT_FALSE(resolve_app_id(std::string(600, 'a'), "/" + std::string(600, 'b')));
}

TEST(AppId, KnowsReservedLastSegments) {
  for (const char* id : {"/a/restart", "/tasks", "/a/versions", "..", "."})
    EXPECT_TRUE(is_reserved_last_segment(id)) << id;
  for (const char* id : {"/a/restarts", "/tasks/a", "/a"}) EXPECT_FALSE(is_reserved_last_segment(id)) << id;
}

TEST(TaskId, LeadsBackToItsApp) {
  const std::string uuid = "5d7ee4a1-0c80-4d5a-8d5c-1f4f6d4a9f10";
  std::string task = make_task_id("/shop/api.v2", uuid, 3);
  EXPECT_EQ(task, "shop_api.v2.instance-" + uuid + "._app.3");
  EXPECT_EQ(instance_id_of(task), "shop_api.v2.instance-" + uuid);
  EXPECT_EQ(app_of_task_id(task), "/shop/api.v2");
  EXPECT_EQ(app_of_task_id(instance_id_of(task)), "/shop/api.v2");
  EXPECT_EQ(app_of_task_id("shop_api." + uuid), "/shop/api");  // Marathon before 1.5
}

TEST(TaskId, OfNoAppIsNothing) {
  for (const char* text :
       {"", ".", "web", ".instance-1", "a__b.instance-1._app.1", "A.instance-1._app.1", "a.instance-"}) {
    EXPECT_EQ(app_of_task_id(text), std::nullopt) << text;
  }
}

TEST(AppTarget, NamesAnAppAndMaybeAPort) {
  EXPECT_EQ(*parse_app_target("/shop/api"), (AppTarget{"/shop/api", ""}));
  EXPECT_EQ(*parse_app_target("/ci/jenkins:agent"), (AppTarget{"/ci/jenkins", "agent"}));
  EXPECT_EQ(*parse_app_target("/ci/jenkins:1"), (AppTarget{"/ci/jenkins", "1"}));
  for (const char* text : {"", "/", ":x", "/a:", "/a:B", "/a:b:c", "/A"}) EXPECT_FALSE(parse_app_target(text)) << text;
}

}  // namespace
}  // namespace lotse::model

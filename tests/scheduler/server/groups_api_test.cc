// Groups in Marathon's shapes (MARATHON.md section 2): nested creation, replacement, dryRun, scaleBy, versions, order.
#include <gtest/gtest.h>

#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

class GroupsApiTest : public ClusterTest {
 protected:
  static json named(const std::string& id, int instances = 1) {
    json definition = hello();
    definition["id"] = id;
    definition["instances"] = instances;
    return definition;
  }
  http::ClientResponse send(const char* method, const std::string& target, const json& body) {
    return peer_->fetch(method, target, body.dump());
  }
  json ok(const char* method, const std::string& target, const json& body, int status = 200) {
    auto answer = send(method, target, body);
    EXPECT_EQ(answer.status, status) << method << " " << target << ": " << answer.body;
    return json_of(answer);
  }
  std::vector<std::string> ids() {
    std::vector<std::string> found;
    json answer = peer_->get("/v2/apps");
    for (const json& each : answer["apps"]) found.push_back(each["id"]);
    return found;
  }
  using Ids = std::vector<std::string>;
};

TEST_F(GroupsApiTest, CreatesANestedTreeInOneDeploymentAndInTheOrderOfItsDependencies) {
  add_agent("node-1");
  json tree = {
      {"id", "/product"},
      {"groups",
       {{{"id", "/product/database"}, {"apps", {named("/product/database/mongo")}}},
        {{"id", "service"}, {"dependencies", {"/product/database"}}, {"apps", {named("rails"), named("worker")}}}}}};
  auto answer = send("POST", "/v2/groups", tree);
  ASSERT_EQ(answer.status, 201) << answer.body;
  EXPECT_EQ(*http::find_field(answer.fields, "Location"), "/product");
  std::string id = json_of(answer)["deploymentId"];
  EXPECT_EQ(*http::find_field(answer.fields, "Marathon-Deployment-Id"), id);
  EXPECT_TRUE(json_of(answer).contains("version"));
  json deployment = peer_->get("/v2/deployments")[0];
  ASSERT_EQ(deployment["steps"].size(), 3u) << deployment;
  EXPECT_EQ(deployment["steps"][1]["actions"],
            json::array({{{"action", "ScaleApplication"}, {"app", "/product/database/mongo"}}}));
  EXPECT_EQ(deployment["steps"][2]["actions"].size(), 2u);
  ASSERT_TRUE(wait_until_deployed());

  json group = peer_->get("/v2/groups/product");
  EXPECT_EQ(group["id"], "/product");
  EXPECT_EQ(group["apps"], json::array());
  EXPECT_EQ(group["pods"], json::array());
  EXPECT_EQ(group["enforceRole"], false);
  EXPECT_EQ(group["version"], json_of(answer)["version"]);
  ASSERT_EQ(group["groups"].size(), 2u);
  EXPECT_EQ(group["groups"][1]["id"], "/product/service");
  EXPECT_EQ(group["groups"][1]["dependencies"], json::array({"/product/database"}));
  EXPECT_EQ(group["groups"][1]["apps"].size(), 2u);

  auto again = send("POST", "/v2/groups", tree);
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(json_of(again)["message"], "Group /product is already created. Use PUT to change this group.");
  EXPECT_EQ(send("POST", "/v2/groups/product", {{"id", "database"}}).status, 409) << "relative to the path";
}

TEST_F(GroupsApiTest, WhatAListLeavesOutIsRemovedAndWhatIsNotNamedStays) {
  ok("PUT", "/v2/groups/shop",
     {{"apps", {named("web"), named("api")}}, {"groups", {{{"id", "db"}, {"apps", {named("main")}}}}}});
  EXPECT_EQ(ids(), (Ids{"/shop/api", "/shop/db/main", "/shop/web"}));
  ok("PUT", "/v2/groups/shop?force=true", {{"apps", {named("/shop/api")}}});
  EXPECT_EQ(ids(), (Ids{"/shop/api", "/shop/db/main"}));
  ok("PUT", "/v2/groups/shop?force=true", {{"groups", json::array()}});
  EXPECT_EQ(ids(), (Ids{"/shop/api"}));
  peer_->get("/v2/groups/shop/db", 404);
  ok("PUT", "/v2/groups?force=true", {{"id", "/shop"}, {"apps", json::array()}});
  EXPECT_EQ(ids(), Ids{});
  EXPECT_EQ(peer_->get("/v2/groups/shop")["apps"], json::array()) << "the group stays until it is deleted";
  ok("DELETE", "/v2/groups/shop?force=true", json());
  peer_->get("/v2/groups/shop", 404);
}

TEST_F(GroupsApiTest, ADryRunSaysWhatWouldBeDoneAndDoesNothing) {
  ok("PUT", "/v2/groups/shop", {{"apps", {named("web")}}});
  json plan = ok("PUT", "/v2/groups/shop?dryRun=true", {{"apps", {named("api")}}});
  EXPECT_EQ(plan, json::parse(R"({"steps": [
      {"actions": [{"action": "StopApplication", "app": "/shop/web"}]},
      {"actions": [{"action": "StartApplication", "app": "/shop/api"}]},
      {"actions": [{"action": "ScaleApplication", "app": "/shop/api"}]}]})"));
  EXPECT_EQ(ids(), (Ids{"/shop/web"}));
  EXPECT_EQ(peer_->get("/v2/deployments").size(), 1u) << "the first one's";
}

TEST_F(GroupsApiTest, ScalesEverythingBelowByAFactor) {
  ok("PUT", "/v2/groups/shop",
     {{"apps", {named("web", 3)}}, {"groups", {{{"id", "db"}, {"apps", {named("main", 2)}}}}}});
  ok("PUT", "/v2/groups/shop?force=true", {{"scaleBy", 1.5}});
  EXPECT_EQ(app("/shop/web")["instances"], 5);
  EXPECT_EQ(app("/shop/db/main")["instances"], 3);
  auto mixed = send("PUT", "/v2/groups/shop?force=true", {{"scaleBy", 2}, {"apps", json::array()}});
  EXPECT_EQ(mixed.status, 422);
  EXPECT_EQ(json_of(mixed)["details"][0]["errors"][0], "not allowed in conjunction with other properties");
  EXPECT_EQ(send("PUT", "/v2/groups/nobody", {{"scaleBy", 2}}).status, 404);
  EXPECT_EQ(send("PUT", "/v2/groups/shop", {{"scaleBy", -1}}).status, 422);
}

TEST_F(GroupsApiTest, RollsAWholeTreeBackByVersion) {
  std::string first = ok("PUT", "/v2/groups/shop", {{"apps", {named("web"), named("api")}}})["version"];
  json second = named("web");
  second["env"] = {{"V", "2"}};
  std::string changed = ok("PUT", "/v2/groups/shop?force=true",
                           {{"apps", {second}}, {"groups", {{{"id", "db"}, {"apps", {named("main")}}}}}})["version"];
  ok("PUT", "/v2/groups/other", {{"apps", {named("x")}}});
  EXPECT_EQ(peer_->get("/v2/groups/shop/versions"), json::array({changed, first}));
  EXPECT_EQ(peer_->get("/v2/groups/versions").size(), 3u);
  json then = peer_->get("/v2/groups/shop/versions/" + first);
  EXPECT_EQ(then["apps"].size(), 2u);
  EXPECT_EQ(then["version"], first);
  peer_->get("/v2/groups/other/versions/" + first, 404);

  stop();  // a restart keeps all of it
  start();
  ok("PUT", "/v2/groups/shop?force=true", {{"version", first}});
  EXPECT_EQ(ids(), (Ids{"/other/x", "/shop/api", "/shop/web"}));
  EXPECT_EQ(app("/shop/web")["env"], json::object());
  peer_->get("/v2/groups/shop/db", 404);
  auto unknown = send("PUT", "/v2/groups/shop", {{"version", "2001-01-01T00:00:00.000Z"}});
  EXPECT_EQ(unknown.status, 422);
  EXPECT_EQ(json_of(unknown)["message"], "Group /shop not available in version 2001-01-01T00:00:00.000Z");
}

TEST_F(GroupsApiTest, RefusesWhatBreaksTheRulesAndSaysWhere) {
  ok("PUT", "/v2/groups/shop", {{"apps", {named("web")}}});
  ok("PUT", "/v2/apps/single", named("single"), 201);
  struct Case {
    const char *method, *target, *body;
    int status;
    const char *path, *error;
  };
  const Case cases[] = {
      {"PUT", "/v2/groups/shop", R"({"apps": [{"id": "web", "cmd": "x"}, {"id": "/else/where", "cmd": "x"}]})", 422,
       "/apps(1)/id", "Identifier is not child of '/shop'. Hint: use relative paths."},
      {"PUT", "/v2/groups/shop", R"({"groups": [{"id": "db", "apps": [{"id": "m", "cmd": "x", "instances": -1}]}]})",
       422, "/groups(0)/apps(0)/instances", "is less than 0"},
      {"PUT", "/v2/groups/shop", R"({"apps": [{"cmd": "x"}]})", 422, "/apps(0)/id", "error.path.missing"},
      {"PUT", "/v2/groups/shop", R"({"apps": 3})", 422, "/apps", "error.expected.jsarray"},
      {"PUT", "/v2/groups/shop", R"({"groups": [{"id": "Bad_Id"}]})", 422, "/groups(0)/id", ""},
      {"PUT", "/v2/groups/shop", R"({"groups": [{}]})", 422, "/groups(0)/id", "error.path.missing"},
      {"PUT", "/v2/groups/shop", R"([])", 422, "/", "error.expected.jsobject"},
      {"PUT", "/v2/groups/shop", R"({"pods": [{}]})", 422, "/pods", "pods are not supported: use apps"},
      {"PUT", "/v2/groups/shop", R"({"dependencies": [1]})", 422, "/dependencies(0)", "error.expected.jsstring"},
      {"PUT", "/v2/groups/shop", "{", 400, "", ""},
      {"POST", "/v2/groups", "{}", 409, "", ""},
      {"POST", "/v2/groups", R"({"id": "/single"})", 409, "", ""},
      {"PUT", "/v2/groups/single", R"({"apps": [{"id": "x", "cmd": "x"}]})", 422, "/id",
       "Groups and Applications may not have the same identifier: /single"},
      {"PUT", "/v2/apps/shop", R"({"cmd": "x"})", 422, "/id",
       "Groups and Applications may not have the same identifier: /shop"},
      {"PATCH", "/v2/groups/shop", R"({"apps": []})", 422, "/enforceRole", ""},
      {"PATCH", "/v2/groups/nobody", R"({"enforceRole": true})", 404, "", ""},
      {"DELETE", "/v2/groups/nobody", "", 404, "", ""},
  };
  for (const Case& each : cases) {
    auto answer = peer_->fetch(each.method, each.target, each.body);
    EXPECT_EQ(answer.status, each.status) << each.target << " " << each.body << answer.body;
    if (*each.path == '\0') continue;
    json details = json_of(answer).value("details", json::array());
    ASSERT_FALSE(details.empty()) << answer.body;
    EXPECT_EQ(details[0]["path"], each.path) << each.body;
    if (*each.error == '\0') continue;
    EXPECT_EQ(details[0]["errors"][0], each.error);
  }
  EXPECT_EQ(ids(), (Ids{"/shop/web", "/single"}));
}

TEST_F(GroupsApiTest, AGroupMayGiveItsNameAsRole) {
  ok("PUT", "/v2/groups/dev", {{"apps", {named("a")}}});
  EXPECT_EQ(app("/dev/a")["role"], "*");
  ok("PATCH", "/v2/groups/dev", {{"enforceRole", true}});
  EXPECT_EQ(peer_->get("/v2/groups/dev")["enforceRole"], true);
  ok("PUT", "/v2/apps/dev/b", named("/dev/b"), 201);
  EXPECT_EQ(app("/dev/b")["role"], "dev");
  json other = named("/dev/c");
  other["role"] = "prod";
  auto refused = send("PUT", "/v2/apps/dev/c", other);
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(json_of(refused)["details"][0]["path"], "/role");
}

TEST_F(GroupsApiTest, CyclesAmongGroupsAreRefused) {
  auto answer = send("PUT", "/v2/groups/shop",
                     {{"groups",
                       {{{"id", "a"}, {"dependencies", {"/shop/b"}}, {"apps", {named("x")}}},
                        {{"id", "b"}, {"dependencies", {"../a"}}, {"apps", {named("y")}}}}}});
  EXPECT_EQ(answer.status, 422) << answer.body;
  EXPECT_EQ(ids(), Ids{});
  peer_->get("/v2/groups/shop", 404);
}

}  // namespace
}  // namespace lotse::scheduler

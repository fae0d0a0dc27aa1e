// Marathon's API in Marathon's shapes (MARATHON.md sections 1 and 2), as its clients see it.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

class MarathonApiTest : public ClusterTest {
 protected:
  http::ClientResponse post_app(const json& definition) { return peer_->fetch("POST", "/v2/apps", definition.dump()); }
  static json named(const std::string& id) {
    json definition = hello();
    definition["id"] = id;
    return definition;
  }
  // An app with all its tasks running.
  FakeAgent& deploy(const std::string& id, int instances = 1) {
    FakeAgent& agent = agents_.empty() ? add_agent("node-1") : *agents_.front();
    json definition = hello();
    definition["instances"] = instances;
    put_app(id, definition);
    EXPECT_TRUE(wait_until_deployed());
    return agent;
  }
};

TEST_F(MarathonApiTest, CreatesAnApp) {
  auto answer = post_app(named("/shop/api"));
  ASSERT_EQ(answer.status, 201) << answer.body;
  json app = json_of(answer);
  EXPECT_EQ(app["id"], "/shop/api");
  for (const char* count : {"tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy"}) EXPECT_EQ(app[count], 0);
  EXPECT_EQ(app["tasks"], json::array());
  ASSERT_EQ(app["deployments"].size(), 1u);
  EXPECT_EQ(*http::find_field(answer.fields, "Marathon-Deployment-Id"), app["deployments"][0]["id"]);
  EXPECT_EQ(*http::find_field(answer.fields, "Location"), "/shop/api");
  EXPECT_TRUE(parse_timestamp(app["version"].get<std::string>()));
  EXPECT_EQ(app["upgradeStrategy"]["minimumHealthCapacity"], 1.0);

  auto again = post_app(named("/shop/api"));
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(json_of(again)["message"], "An app with id [/shop/api] already exists.");
}

TEST_F(MarathonApiTest, AnswersWhatBreaksItsRulesInMarathonsShapes) {
  struct Case {
    const char *method, *target, *body;
    int status;
    const char* message;
    const char* path;  // of a detail; empty: none is looked for
  };
  const Case cases[] = {
      {"POST", "/v2/apps", "{\"id\": ", 400, "Invalid JSON", ""},
      {"POST", "/v2/apps", "", 400, "Invalid JSON", ""},
      {"PUT", "/v2/apps/x", "not json", 400, "Invalid JSON", ""},
      {"POST", "/v2/apps", R"({"cmd": "true"})", 422, "Invalid JSON", "/id"},
      {"POST", "/v2/apps", R"({"id": "/x", "cmd": "true", "instances": "many"})", 422, "Invalid JSON", "/instances"},
      {"POST", "/v2/apps", R"({"id": "/Bad_Id", "cmd": "true"})", 422, "Object is not valid", "/id"},
      {"POST", "/v2/apps", R"({"id": "/x/restart", "cmd": "true"})", 422, "Object is not valid", "/id"},
      {"PUT", "/v2/apps/Bad_Id", R"({"cmd": "true"})", 422, "Object is not valid", "/id"},
      {"POST", "/v2/apps", R"({"id": "/x", "cmd": "true", "instances": -1})", 422, "Object is not valid", "/instances"},
      {"POST", "/v2/apps", R"({"id": "/x"})", 422, "Object is not valid", ""},
      {"POST", "/v2/apps", R"({"id": "/x", "cmd": "true", "constraints": [["hostname", "NEAR", "y"]]})", 422,
       "Object is not valid", "/constraints"},
      {"POST", "/v2/apps", R"({"id": "/x", "cmd": "true", "constraints": [["hostname", "MAX_PER", "few"]]})", 422,
       "Object is not valid", "/constraints"},
      {"POST", "/v2/apps", R"({"id": "/x", "cmd": "true", "upgradeStrategy": {"minimumHealthCapacity": 2}})", 422,
       "Object is not valid", "/upgradeStrategy/minimumHealthCapacity"},
      {"PUT", "/v2/apps/x", R"({"id": "/y", "cmd": "true"})", 422, "", ""},
      {"PUT", "/v2/apps", R"({"id": "/y"})", 422, "Invalid JSON", "/"},
      {"PUT", "/v2/apps", R"([{"cmd": "true"}])", 422, "Invalid JSON", "(0)/id"},
      {"PUT", "/v2/apps", R"([{"id": "/a", "cmd": "true"}, {"id": "/a", "cmd": "true"}])", 422, "Object is not valid",
       "(1)/id"},
      {"PATCH", "/v2/apps/nobody", R"({"instances": 2})", 404, "App '/nobody' does not exist", ""},
      {"PATCH", "/v2/apps", R"([{"id": "/nobody", "instances": 2}])", 404, "App '/nobody' does not exist", ""},
      {"PUT", "/v2/apps/nobody", R"({"version": "2015-08-26T20:23:39.463Z"})", 404, "App '/nobody' does not exist", ""},
      {"GET", "/v2/apps/nobody", "", 404, "App '/nobody' does not exist", ""},
      {"GET", "/v2/apps//shop/nobody/", "", 404, "App '/shop/nobody' does not exist", ""},
      {"GET", "/v2/apps/nobody/tasks", "", 404, "App '/nobody' does not exist", ""},
      {"GET", "/v2/apps/nobody/versions", "", 404, "App '/nobody' does not exist", ""},
      {"DELETE", "/v2/apps/nobody", "", 404, "App '/nobody' does not exist", ""},
      {"POST", "/v2/apps/nobody/restart", "", 404, "App '/nobody' does not exist", ""},
      {"DELETE", "/v2/apps/nobody/tasks", "", 404, "App '/nobody' does not exist", ""},
      {"DELETE", "/v2/deployments/nothing", "", 404, "DeploymentPlan nothing does not exist", ""},
      {"POST", "/v2/tasks/delete", R"({"ids": ["no task id"]})", 400, "Invalid task id 'no task id'", ""},
      {"POST", "/v2/tasks/delete", R"({})", 422, "Invalid JSON", "/ids"},
      {"POST", "/v2/tasks/delete", R"({"ids": [1]})", 422, "Invalid JSON", "/ids"},
      {"DELETE", "/v2/queue/nobody/delay", "", 404, "Application /nobody not found in tasks queue.", ""},
      {"GET", "/v2/apps?label=a%20b", "", 400, "", ""},
      {"GET", "/v2/nothing", "", 404, "", ""},
      {"POST", "/v2/apps/nobody", "{}", 405, "", ""},
      {"DELETE", "/v2/apps", "", 405, "", ""},
      {"PUT", "/v2/apps/x/tasks", "{}", 405, "", ""},
      {"PUT", "/v2/queue", "{}", 405, "", ""},
  };
  for (const Case& each : cases) {
    auto answer = peer_->fetch(each.method, each.target, each.body);
    EXPECT_EQ(answer.status, each.status) << each.method << " " << each.target << " " << each.body << answer.body;
    json body = json_of(answer);
    ASSERT_TRUE(body.is_object() && body.contains("message")) << each.target << " " << answer.body;
    if (*each.message != '\0') {
      EXPECT_EQ(body["message"], each.message) << each.body;
    }
    if (*each.path == '\0') continue;
    bool has_path = false;
    for (const json& detail : body.value("details", json::array())) {
      has_path |= detail["path"].get<std::string>().starts_with(each.path) && !detail["errors"].empty();
    }
    EXPECT_TRUE(has_path) << each.body << answer.body;
  }
  EXPECT_EQ(peer_->get("/v2/apps")["apps"], json::array()) << "nothing of all that was kept";
}

TEST_F(MarathonApiTest, RefusesABodyBeyondItsBound) {
  json definition = named("/x");
  definition["env"]["LARGE"] = std::string(9 * 1024 * 1024, 'x');
  EXPECT_EQ(post_app(definition).status, 413);
}

TEST_F(MarathonApiTest, AnAppUnderDeploymentIsLocked) {
  add_agent("node-1").starts_tasks = false;
  std::string deployment = put_app("/x", hello())["deploymentId"];
  auto answer = peer_->fetch("PUT", "/v2/apps/x", R"({"instances": 2})");
  EXPECT_EQ(answer.status, 409);
  json body = json_of(answer);
  EXPECT_EQ(body["message"],
            "App is locked by one or more deployments. Override with the option '?force=true'. View details at "
            "'/v2/deployments/<DEPLOYMENT_ID>'.");
  EXPECT_EQ(body["deployments"], json::array({{{"id", deployment}}}));
  EXPECT_EQ(peer_->fetch("PUT", "/v2/apps/x?force=true", R"({"instances": 2})").status, 200);
}

TEST_F(MarathonApiTest, UpdatesKeepWhatTheyDoNotNameUnlessToldOtherwise) {
  json definition = hello();
  definition["labels"] = {{"team", "a"}};
  put_app("/x", definition);
  put_app("/x?force=true", {{"mem", 64.0}}, 200);
  json shown = app("/x");
  EXPECT_EQ(shown["labels"]["team"], "a");
  EXPECT_EQ(shown["mem"], 64);
  put_app("/x?force=true&partialUpdate=false", {{"cmd", "true"}}, 200);
  shown = app("/x");
  EXPECT_EQ(shown["labels"], json::object());
  EXPECT_EQ(shown["mem"], 128);
  auto patched = peer_->fetch("PATCH", "/v2/apps/x?force=true", R"({"cpus": 0.5})");
  EXPECT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(app("/x")["cmd"], "true");
}

TEST_F(MarathonApiTest, AnswersAnOldDockerDefinitionInTheNewForm) {
  put_app("/old", json::parse(R"({"container": {"type": "DOCKER", "docker": {"image": "nginx", "network": "BRIDGE",
    "portMappings": [{"containerPort": 80, "hostPort": 0}, {"containerPort": 443}]}}})"));
  json shown = app("/old");
  EXPECT_EQ(shown["networks"][0]["mode"], "container/bridge");
  ASSERT_EQ(shown["container"]["portMappings"].size(), 2u);
  EXPECT_EQ(shown["container"]["portMappings"][0]["containerPort"], 80);
  EXPECT_GE(shown["container"]["portMappings"][0]["servicePort"], 10'000);
}

TEST_F(MarathonApiTest, ListsAppsByIdCmdAndLabel) {
  json web = named("/shop/web"), api = named("/shop/api"), db = named("/db");
  web["labels"] = {{"tier", "front"}};
  api["labels"] = {{"tier", "back"}};
  db["cmd"] = "PostGres -D /data";
  for (const json& each : {web, api, db}) EXPECT_EQ(post_app(each).status, 201);
  auto ids = [&](const std::string& query) {
    std::vector<std::string> found;
    json answer = peer_->get("/v2/apps" + query);
    for (const json& each : answer["apps"]) found.push_back(each["id"]);
    return found;
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(ids(""), (Ids{"/db", "/shop/api", "/shop/web"}));
  EXPECT_EQ(ids("/"), (Ids{"/db", "/shop/api", "/shop/web"}));
  EXPECT_EQ(ids("?id=SHOP"), (Ids{"/shop/api", "/shop/web"}));
  EXPECT_EQ(ids("?cmd=postgres"), (Ids{"/db"}));
  EXPECT_EQ(ids("?label=tier%3D%3Dfront"), (Ids{"/shop/web"}));
  EXPECT_EQ(ids("?label=tier%20in%20(front,back)&id=web"), (Ids{"/shop/web"}));
  EXPECT_EQ(ids("?label=!tier"), (Ids{"/db"}));
  json below = peer_->get("/v2/apps/shop/*");
  EXPECT_EQ(below["*"].size(), 2u);
}

TEST_F(MarathonApiTest, EmbedsOnlyWhatWasAskedForInTheList) {
  deploy("/x");
  json plain = peer_->get("/v2/apps")["apps"][0];
  EXPECT_FALSE(plain.contains("tasks"));
  EXPECT_EQ(plain["tasksRunning"], 1);
  EXPECT_EQ(plain["deployments"], json::array());
  json full = peer_->get(
      "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness&embed=apps.taskStats&embed=nonsense")
                  ["apps"][0];
  EXPECT_EQ(full["tasks"].size(), 1u);
  EXPECT_EQ(full["readinessCheckResults"], json::array());
  EXPECT_EQ(full["taskStats"]["totalSummary"]["stats"]["counts"]["running"], 1);
}

TEST_F(MarathonApiTest, KeepsVersionsAndRollsBack) {
  deploy("/x");
  std::string first = app("/x")["version"];
  put_app("/x", {{"cpus", 0.2}}, 200);
  ASSERT_TRUE(wait_until_deployed());
  json versions = peer_->get("/v2/apps/x/versions")["versions"];
  ASSERT_EQ(versions.size(), 2u);
  EXPECT_GT(versions[0], versions[1]);
  EXPECT_EQ(versions[1], first);
  json old = peer_->get("/v2/apps/x/versions/" + first);
  EXPECT_EQ(old["cpus"], 0.1);
  EXPECT_EQ(old["id"], "/x");
  json missing = peer_->get("/v2/apps/x/versions/2001-01-01T00:00:00.000Z", 404);
  EXPECT_EQ(missing["message"], "App '/x' does not exist in version 2001-01-01T00:00:00.000Z");
  auto mixed = peer_->fetch("PUT", "/v2/apps/x", json{{"version", first}, {"cpus", 1}}.dump());
  EXPECT_EQ(mixed.status, 422);
  put_app("/x", {{"version", first}}, 200);
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(app("/x")["cpus"], 0.1);
}

TEST_F(MarathonApiTest, DestroysAnApp) {
  FakeAgent& agent = deploy("/x");
  auto answer = peer_->fetch("DELETE", "/v2/apps/x");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(json_of(answer).contains("deploymentId"));
  peer_->get("/v2/apps/x", 404);
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_TRUE(agent.running.empty());
  EXPECT_EQ(peer_->get("/v2/apps")["apps"], json::array());
}

TEST_F(MarathonApiTest, KillsOneTaskAndReplacesItOrScalesDown) {
  FakeAgent& agent = deploy("/x", 2);
  std::string task = agent.running.begin()->first;
  auto killed = peer_->fetch("DELETE", "/v2/apps/x/tasks/" + task);
  EXPECT_EQ(killed.status, 200) << killed.body;
  EXPECT_EQ(json_of(killed)["task"]["id"], task);
  ASSERT_TRUE(wait_until([&] { return agent.running.size() == 2 && !agent.running.contains(task); }));
  EXPECT_EQ(app("/x")["instances"], 2);

  std::string other = agent.running.begin()->first;
  auto scaled = peer_->fetch("DELETE", "/v2/apps/x/tasks/" + other + "?scale=true");
  EXPECT_EQ(scaled.status, 200) << scaled.body;
  EXPECT_TRUE(json_of(scaled).contains("deploymentId"));
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(app("/x")["instances"], 1);
  EXPECT_FALSE(agent.running.contains(other));

  EXPECT_EQ(peer_->fetch("DELETE", "/v2/apps/x/tasks/" + task).status, 404);
  auto both = peer_->fetch("DELETE", "/v2/apps/x/tasks?scale=true&wipe=true");
  EXPECT_EQ(both.status, 400);
  EXPECT_EQ(json_of(both)["message"], "You cannot use scale and wipe at the same time.");
}

TEST_F(MarathonApiTest, KillsTasksByHostAndByList) {
  FakeAgent& agent = deploy("/x", 2);
  EXPECT_EQ(json_of(peer_->fetch("DELETE", "/v2/apps/x/tasks?host=10.9.9.9"))["tasks"], json::array());
  EXPECT_EQ(agent.running.size(), 2u);
  std::string task = agent.running.begin()->first;
  auto killed = peer_->fetch("POST", "/v2/tasks/delete", json{{"ids", {task}}}.dump());
  EXPECT_EQ(killed.status, 200) << killed.body;
  ASSERT_EQ(json_of(killed)["tasks"].size(), 1u);
  ASSERT_TRUE(wait_until([&] { return agent.running.size() == 2 && !agent.running.contains(task); }));
  auto all = peer_->fetch("DELETE", "/v2/apps/x/tasks?host=10.0.0.1");
  EXPECT_EQ(json_of(all)["tasks"].size(), 2u);
}

TEST_F(MarathonApiTest, ListsTasksAsTextForOldScripts) {
  FakeAgent& agent = deploy("/shop/api");
  int port = agent.running.begin()->second.host_ports[0];
  int service_port = app("/shop/api")["portDefinitions"][0]["port"];
  http::ClientRequest request = peer_->request("GET", "/v2/tasks");
  request.fields.emplace_back("Accept", "text/plain");
  auto answer = peer_->fetch(std::move(request));
  EXPECT_EQ(answer.body, "shop_api\t" + std::to_string(service_port) + "\t10.0.0.1:" + std::to_string(port) + "\t\n");
  EXPECT_EQ(peer_->get("/v2/tasks?status=running")["tasks"].size(), 1u);
  EXPECT_EQ(peer_->get("/v2/tasks?status%5B%5D=staging")["tasks"].size(), 0u);
  EXPECT_EQ(peer_->get("/v2/apps/shop/*/tasks")["tasks"].size(), 1u);
}

TEST_F(MarathonApiTest, ShowsAndCancelsDeployments) {
  FakeAgent& agent = add_agent("node-1");
  agent.starts_tasks = false;
  std::string id = put_app("/x", hello())["deploymentId"];
  json shown = peer_->get("/v2/deployments/")[0];
  EXPECT_EQ(shown["id"], id);
  EXPECT_EQ(shown["affectedApps"], json::array({"/x"}));
  EXPECT_EQ(shown["totalSteps"], 2);
  EXPECT_EQ(shown["currentStep"], 2);
  EXPECT_EQ(shown["steps"][0]["actions"][0], (json{{"action", "StartApplication"}, {"app", "/x"}}));
  EXPECT_EQ(shown["currentActions"][0]["action"], "ScaleApplication");
  EXPECT_EQ(shown["currentActions"][0]["readinessCheckResults"], json::array());
  auto stopped = peer_->fetch("DELETE", "/v2/deployments/" + id + "?force=true");
  EXPECT_EQ(stopped.status, 202);
  EXPECT_EQ(stopped.body, "");
  EXPECT_EQ(peer_->get("/v2/deployments"), json::array());

  std::string second = put_app("/x", {{"instances", 3}}, 200)["deploymentId"];
  auto reverted = peer_->fetch("DELETE", "/v2/deployments/" + second);
  EXPECT_EQ(reverted.status, 200) << reverted.body;
  EXPECT_TRUE(json_of(reverted).contains("deploymentId"));
  EXPECT_EQ(app("/x")["instances"], 1);
}

TEST_F(MarathonApiTest, SaysWhoItIs) {
  auto answer = peer_->fetch("GET", "/v2/info");
  json info = json_of(answer);
  EXPECT_EQ(info["name"], "marathon");
  EXPECT_EQ(info["version"], "1.11.24");
  EXPECT_EQ(info["elected"], true);
  EXPECT_EQ(info["leader"], address_.to_string());
  EXPECT_EQ(info["http_config"]["http_port"], address_.port());
  EXPECT_EQ(*http::find_field(answer.fields, "Cache-Control"), "no-cache, no-store, must-revalidate");
  EXPECT_EQ(*http::find_field(answer.fields, "Pragma"), "no-cache");
  EXPECT_EQ(*http::find_field(answer.fields, "Expires"), "0");
  EXPECT_EQ(*http::find_field(answer.fields, "X-Marathon-Leader"), "http://" + address_.to_string());
  EXPECT_EQ(peer_->get("/v2/leader")["leader"], address_.to_string());
  EXPECT_EQ(peer_->get("/v2/plugins")["plugins"], json::array());
  auto pong = peer_->fetch("GET", "/ping");
  EXPECT_EQ(pong.body, "pong");
  http::ClientRequest as_json = peer_->request("GET", "/ping");
  as_json.fields.emplace_back("Accept", "application/json");
  EXPECT_EQ(peer_->fetch(std::move(as_json)).body, "\"pong\"");
  auto root = peer_->fetch("GET", "/");
  EXPECT_EQ(root.status, 302);
  EXPECT_EQ(*http::find_field(root.fields, "Location"), "/ui/");
  EXPECT_NE(peer_->fetch("GET", "/ui/").body.find("Lotse"), std::string::npos);
  EXPECT_EQ(peer_->get("/v1/status")["version"], "9.9.9");
}

TEST_F(MarathonApiTest, ShowsItsMetricsToMarathonsClientsAndToScrapers) {
  deploy("/x");
  json metrics = peer_->get("/metrics");
  for (const char* kind : {"version", "counters", "gauges", "histograms", "meters", "timers"}) {
    EXPECT_TRUE(metrics.contains(kind)) << kind;
  }
  EXPECT_EQ(metrics["gauges"]["service.mesosphere.marathon.task.running.count"]["value"], 1);
  auto text = peer_->fetch("GET", "/metrics/prometheus");
  EXPECT_NE(text.body.find("lotse_tasks{state=\"running\"} 1\n"), std::string::npos) << text.body;
  EXPECT_NE(text.body.find("lotse_store_commits_total "), std::string::npos);
  http::ClientRequest scrape = peer_->request("GET", "/metrics");
  scrape.fields.emplace_back("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5");
  EXPECT_NE(peer_->fetch(std::move(scrape)).body.find("# TYPE lotse_tasks gauge\n"), std::string::npos);
}

TEST_F(MarathonApiTest, UpdatesSeveralAppsInOneDeployment) {
  auto answer = peer_->fetch("PUT", "/v2/apps", json::array({named("/a"), named("/b")}).dump());
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(peer_->get("/v2/apps")["apps"].size(), 2u);
  json deployments = peer_->get("/v2/deployments");
  ASSERT_EQ(deployments.size(), 1u);
  EXPECT_EQ(deployments[0]["affectedApps"], json::array({"/a", "/b"}));
}

TEST_F(MarathonApiTest, ShowsTheTreeOfGroupsAndDestroysABranch) {
  EXPECT_EQ(peer_->get("/v2/groups")["groups"], json::array());
  for (const char* id : {"/top", "/shop/web", "/shop/db/main"}) EXPECT_EQ(post_app(named(id)).status, 201);
  json root = peer_->get("/v2/groups");
  EXPECT_EQ(root["id"], "/");
  ASSERT_EQ(root["apps"].size(), 1u);
  EXPECT_EQ(root["apps"][0]["id"], "/top");
  ASSERT_EQ(root["groups"].size(), 1u);
  EXPECT_EQ(root["groups"][0]["id"], "/shop");
  EXPECT_EQ(root["groups"][0]["groups"][0]["apps"][0]["id"], "/shop/db/main");
  EXPECT_EQ(peer_->get("/v2/groups//shop/")["apps"][0]["id"], "/shop/web");
  EXPECT_EQ(peer_->get("/v2/groups/shop/apps").size(), 2u);
  EXPECT_FALSE(peer_->get("/v2/groups?embed=group.groups").contains("apps"));
  EXPECT_EQ(peer_->get("/v2/groups/nobody", 404)["message"], "Group '/nobody' does not exist");
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/groups/shop").status, 409) << "its apps are being deployed";
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/groups/shop?force=true").status, 200);
  EXPECT_EQ(peer_->get("/v2/apps")["apps"].size(), 1u);
}

TEST_F(MarathonApiTest, AcceptsIdsWithEncodedSlashes) {
  EXPECT_EQ(peer_->fetch("PUT", "/v2/apps/%2Fshop%2Fapi", hello().dump()).status, 201);
  EXPECT_EQ(peer_->get("/v2/apps/%2Fshop%2Fapi")["app"]["id"], "/shop/api");
  EXPECT_EQ(peer_->get("/v2//apps//shop/api/versions/")["versions"].size(), 1u);
}

}  // namespace
}  // namespace lotse::scheduler

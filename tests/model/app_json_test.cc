#include "model/app_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/app_rules.h"

namespace lotse::model {
namespace {

using nlohmann::json;

App parsed(const json& definition) {
  auto app = parse_app(definition);
  EXPECT_TRUE(app) << definition << ": " << (app ? "" : to_json(app.error()));
  return app ? *app : App{};
}

// What an answer with that error says: {"/path": ["error", ...]}, or the message alone when there are no details.
json faults(const Result<App, ApiError>& result) {
  if (result) return "no error";
  EXPECT_EQ(result.error().status, 422);
  if (result.error().details.empty()) return result.error().message;
  json details = json::object();
  for (const ErrorDetail& detail : result.error().details) details[detail.path] = detail.errors;
  return details;
}

TEST(ParseJson, SaysWhereItIsNotJson) {
  for (const char* body : {"", "{", "{\"id\":}", "\xff", "[1,]", "{\"a\":1e999}"}) {
    auto value = parse_json(body);
    ASSERT_FALSE(value) << body;
    EXPECT_EQ(value.error().status, 400);
    EXPECT_EQ(value.error().message, "Invalid JSON");
    EXPECT_FALSE(value.error().detail_text.empty());
    EXPECT_TRUE(json::parse(to_json(value.error()))["details"].is_string());
  }
  EXPECT_FALSE(parse_json(std::string(100000, '[')));
}

TEST(ParseApp, FillsInMarathonsDefaults) {
  App app = parsed({{"id", "web"}, {"cmd", "sleep 1"}});
  EXPECT_EQ(app.id, "/web");
  json answer = to_json(app);
  EXPECT_EQ(answer, json::parse(R"json({
    "id": "/web", "cmd": "sleep 1", "args": [], "instances": 1, "cpus": 1, "mem": 128, "disk": 0, "gpus": 0, "env": {},
    "labels": {}, "user": null, "executor": "", "role": "*", "acceptedResourceRoles": ["*"], "constraints": [],
    "dependencies": [], "fetch": [], "uris": [], "backoffSeconds": 1, "backoffFactor": 1.15,
    "maxLaunchDelaySeconds": 300, "taskKillGracePeriodSeconds": null, "killSelection": "YOUNGEST_FIRST",
    "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
    "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0}, "healthChecks": [],
    "readinessChecks": [], "requirePorts": false, "ports": [0],
    "portDefinitions": [{"port": 0, "protocol": "tcp", "name": "default", "labels": {}}],
    "networks": [{"mode": "host"}]})json"));
}

TEST(ParseApp, TakesThreePointZeroForThree) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","instances":3.0,"ports":[8080.0]})json"));
  EXPECT_EQ(app.instances, 3);
  EXPECT_EQ(to_json(app)["instances"].dump(), "3");
  EXPECT_EQ(app.port_definitions[0].port, 8080);
}

TEST(ParseApp, IgnoresUnknownFieldsAndNulls) {
  App app =
      parsed(json::parse(R"json({"id":"a","cmd":"x","maintainer":"me","storeUrls":["u"],"mem":null,"container":null,
                                   "healthChecks":null,"tasksRunning":3,"deployments":[],"secrets":{},"tty":false})json"));
  EXPECT_EQ(app, parsed({{"id", "a"}, {"cmd", "x"}}));
}

TEST(ParseApp, ReportsEveryWrongTypeAtOnce) {
  auto app = parse_app(json::parse(R"json({
    "cmd": [], "instances": "3", "cpus": {}, "env": {"A": [1]}, "labels": {"a": 1}, "args": "x",
    "constraints": ["c"], "healthChecks": [{"portIndex": "0", "protocol": "FTP"}], "instances2": {},
    "container": {"type": "LXC", "docker": {}, "portMappings": [{"containerPort": 1.5}]}, "fetch": [{}],
    "networks": [{"mode": "x"}], "upgradeStrategy": 1, "requirePorts": "no", "killSelection": 3})json"));
  ASSERT_FALSE(app);
  EXPECT_EQ(app.error().message, "Invalid JSON");
  EXPECT_EQ(faults(app), json::parse(R"json({
    "/id": ["error.path.missing"], "/cmd": ["error.expected.jsstring"], "/instances": ["error.expected.jsnumber"],
    "/cpus": ["error.expected.jsnumber"], "/env/A": ["error.expected.jsstring"], "/labels/a": ["error.expected.jsstring"],
    "/args": ["error.expected.jsarray"], "/constraints(0)": ["error.expected.jsarray"],
    "/healthChecks(0)/portIndex": ["error.expected.jsnumber"], "/healthChecks(0)/protocol": ["error.unknown.enum.literal"],
    "/container/type": ["error.unknown.enum.literal"], "/container/docker/image": ["error.path.missing"],
    "/container/portMappings(0)/containerPort": ["error.expected.int"], "/fetch(0)/uri": ["error.path.missing"],
    "/networks(0)/mode": ["error.unknown.enum.literal"], "/upgradeStrategy": ["error.expected.jsobject"],
    "/requirePorts": ["error.expected.jsboolean"], "/killSelection": ["error.unknown.enum.literal"]
})json"));
}

TEST(ParseApp, RefusesWhatIsNoObject) {
  for (const char* text : {"[]", "3", "\"a\"", "null", "true"}) {
    auto app = parse_app(json::parse(text));
    EXPECT_EQ(faults(app), json::parse(R"json({"/": ["error.expected.jsobject"]})json")) << text;
  }
}

TEST(ParseApp, TakesTheIdFromThePath) {
  json body = {{"cmd", "x"}};
  EXPECT_EQ(parse_app(body, "/shop/api")->id, "/shop/api");
  for (const char* same : {"/shop/api", "shop/api", "api", "//shop/api/", "../shop/api"}) {
    body["id"] = same;
    EXPECT_TRUE(parse_app(body, "/shop/api")) << same;
  }
  body["id"] = "/shop/web";
  EXPECT_EQ(faults(parse_app(body, "/shop/api")),
            json::parse(R"json({"/id": ["must be /shop/api, the id in the path of the request"]})json"));
}

TEST(ParseApp, ReportsBrokenRulesTogetherWithThoseOfTheWholeApp) {
  auto app = parse_app(json::parse(R"json({"id":"A","constraints":[["a"],["a","B"]],"instances":-1})json"));
  ASSERT_FALSE(app);
  EXPECT_EQ(app.error().message, "Object is not valid");
  json details = faults(app);
  EXPECT_EQ(details["/constraints(0)"][0], "Each constraint must have either 2 or 3 fields");
  EXPECT_EQ(details["/instances"][0], "is less than 0");
  EXPECT_TRUE(details.contains("/constraints(1)") && details.contains("/id") && details.contains("/"));
}

TEST(ParseApp, TurnsNumbersAndBooleansInEnvToText) {
  App app =
      parsed(json::parse(R"json({"id":"a","cmd":"x","env":{"N":3,"F":1.5,"B":true,"S":"s","Q":{"secret":"q"}}})json"));
  EXPECT_EQ(app.env, (std::map<std::string, std::string>{{"N", "3"}, {"F", "1.5"}, {"B", "true"}, {"S", "s"}}));
  EXPECT_EQ(app.rest, R"json({"env":{"Q":{"secret":"q"}}})json");
  EXPECT_EQ(to_json(app)["env"]["Q"]["secret"], "q");
}

TEST(ParseApp, ReadsConstraintsInAnyCase) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","constraints":[["hostname","unique"],["rack","Max_Per",2],
                                   ["@hostname","IS","h1"],["zone","CLUSTER"]]})json"));
  ASSERT_EQ(app.constraints.size(), 4u);
  EXPECT_EQ(app.constraints[1], (Constraint{"rack", ConstraintOperator::max_per, "2"}));
  EXPECT_EQ(
      to_json(app)["constraints"],
      json::parse(
          R"json([["hostname","UNIQUE"],["rack","MAX_PER","2"],["@hostname","IS","h1"],["zone","CLUSTER"]])json"));
}

TEST(ParseApp, GivesHealthChecksAPort) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","healthChecks":[{},{"port":80},{"portIndex":1},
                                   {"protocol":"COMMAND","command":{"value":"true"}},{"command":{"value":"true"}}]})json"));
  EXPECT_EQ(app.health_checks[0].port_index, 0);
  EXPECT_EQ(app.health_checks[1].port_index, std::nullopt);
  EXPECT_EQ(app.health_checks[2].port_index, 1);
  EXPECT_EQ(app.health_checks[3].port_index, std::nullopt);
  EXPECT_EQ(app.health_checks[4].protocol, HealthProtocol::command);
}

TEST(ParseApp, KnowsTheUnreachableStrategyBySentenceAndByWord) {
  EXPECT_TRUE(parsed({{"id", "a"}, {"cmd", "x"}, {"unreachableStrategy", "disabled"}}).unreachable_strategy.disabled);
  EXPECT_EQ(to_json(parsed({{"id", "a"}, {"cmd", "x"}, {"unreachableStrategy", "disabled"}}))["unreachableStrategy"],
            "disabled");
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","unreachableStrategy":
                                   {"inactiveAfterSeconds":300,"expungeAfterSeconds":600}})json"));
  EXPECT_EQ(app.unreachable_strategy.expunge_after.count(), 600);
}

TEST(ParseApp, StopsASingleInstanceAppBeforeItStartsTheNext) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"}})json"));
  EXPECT_EQ(app.upgrade_strategy, (UpgradeStrategy{0, 0}));
  EXPECT_FALSE(check_app(app));
}

TEST(OldForms, PortsBecomePortDefinitions) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","ports":[0,8080],"requirePorts":true})json"));
  EXPECT_EQ(app.port_definitions, (std::vector<PortDefinition>{{.port = 0}, {.port = 8080}}));
  EXPECT_TRUE(parsed(json::parse(R"json({"id":"a","cmd":"x","ports":[]})json")).port_definitions.empty());
  json both = json::parse(R"json({"id":"a","cmd":"x","ports":[1],"portDefinitions":[{"port":1,"name":"n"}]})json");
  EXPECT_EQ(parsed(both).port_definitions[0].name, "n");
  both["ports"] = {2};
  EXPECT_EQ(faults(parse_app(both)),
            json::parse(R"json({"/": ["cannot specify both ports and port definitions"]})json"));
  EXPECT_EQ(faults(parse_app(json::parse(R"json({"id":"a","cmd":"x","ports":[1,0,0,1]})json"))),
            json::parse(R"json({"/": ["ports must be unique"], "/portDefinitions": ["Ports must be unique."]})json"));
}

TEST(OldForms, UrisBecomeFetch) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","uris":["http://h/a.tgz","http://h/b"]})json"));
  EXPECT_EQ(app.fetch, (std::vector<Fetch>{{.uri = "http://h/a.tgz"}, {.uri = "http://h/b", .extract = false}}));
  EXPECT_EQ(to_json(app)["uris"], json::parse(R"json(["http://h/a.tgz","http://h/b"])json"));
  EXPECT_EQ(faults(parse_app(json::parse(R"json({"id":"a","cmd":"x","uris":["a"],"fetch":[{"uri":"b"}]})json"))),
            "cannot specify both uris and fetch fields");
}

TEST(OldForms, DockerNetworkAndMappingsMoveOut) {
  App app = parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i","network":"BRIDGE",
      "portMappings":[{"containerPort":80,"hostPort":0,"servicePort":9000,"name":"http"},{"containerPort":53,"protocol":"udp"}]}}})json"));
  EXPECT_EQ(app.networks, (std::vector<Network>{{.mode = NetworkMode::bridge}}));
  ASSERT_TRUE(app.container->port_mappings);
  EXPECT_EQ((*app.container->port_mappings)[0],
            (PortMapping{.container_port = 80, .host_port = 0, .service_port = 9000, .name = "http"}));
  EXPECT_EQ((*app.container->port_mappings)[1].host_port, 0);  // bridge: absent means random
  EXPECT_TRUE(app.port_definitions.empty());
  json answer = to_json(app);
  EXPECT_FALSE(answer["container"]["docker"].contains("network"));
  EXPECT_FALSE(answer["container"]["docker"].contains("portMappings"));
  EXPECT_EQ(answer["ports"], json::parse("[9000,0]"));
}

TEST(OldForms, MappingsOfAHostNetworkAreDroppedInTheOldFormAndRefusedInTheNew) {
  App old = parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i","network":"HOST",
                                   "portMappings":[{"containerPort":80}]}}})json"));
  EXPECT_FALSE(old.container->port_mappings);
  EXPECT_FALSE(check_app(old));
  App app =
      parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i"},"portMappings":[{"containerPort":80}]},
                                   "networks":[{"mode":"host"}]})json"));
  ASSERT_TRUE(check_app(app));
  EXPECT_EQ(check_app(app)->details[0].errors[0], "portMappings are not allowed with host-networking");
}

TEST(OldForms, PortsOnABridgeAreWorthADefaultMappingEach) {
  App app = parsed(
      json::parse(R"json({"id":"a","container":{"docker":{"image":"i","network":"BRIDGE"}},"ports":[0,0,0]})json"));
  EXPECT_EQ(app.container->port_mappings->size(), 3u);
}

TEST(OldForms, IpAddressBecomesANetwork) {
  App app = parsed(json::parse(R"json({"id":"a","cmd":"x","ipAddress":{"networkName":"dcos","labels":{"a":"b"},
      "discovery":{"ports":[{"number":80,"name":"http","protocol":"tcp"}]}}})json"));
  EXPECT_EQ(app.networks, (std::vector<Network>{{NetworkMode::container, "dcos", {{"a", "b"}}}}));
  EXPECT_FALSE(app.container->is_docker);
  EXPECT_EQ((*app.container->port_mappings)[0], (PortMapping{.container_port = 80, .name = "http"}));
}

TEST(OldForms, BesideNewOnesAreRefused) {
  struct Case {
    const char* definition;
    json expected;
  };
  const Case cases[] = {
      {R"json({"id":"a","container":{"docker":{"image":"i","network":"BRIDGE"}},"networks":[{"mode":"host"}]})json",
       {{"/", {"must not specify both container.docker.network and networks"}}}},
      {R"json({"id":"a","cmd":"x","ipAddress":{},"networks":[{"mode":"host"}]})json",
       {{"/", {"must not specify both networks and ipAddress"}}}},
      {R"json({"id":"a","container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{}]},"portMappings":[{}]}})json",
       "cannot specify both portMappings and docker.portMappings"},
      {R"json({"id":"a","container":{"docker":{"image":"i","network":"NONE"}}})json",
       "unsupported docker network type NONE"},
  };
  for (const Case& each : cases) {
    json found = faults(parse_app(json::parse(each.definition)));
    if (found.is_object()) found = json{{"/", found["/"]}};
    EXPECT_EQ(found, each.expected) << each.definition;
  }
}

TEST(Networks, OtherThanHostGetOneDefaultMapping) {
  App app = parsed(json::parse(
      R"json({"id":"a","container":{"docker":{"image":"i"}},"networks":[{"mode":"container/bridge"}]})json"));
  EXPECT_EQ(*app.container->port_mappings, (std::vector<PortMapping>{{.host_port = 0, .name = "default"}}));
  app = parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i"},"portMappings":[]},
                               "networks":[{"mode":"container/bridge"}]})json"));
  EXPECT_TRUE(app.container->port_mappings->empty());
  app = parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i"}},"networks":[{"name":"n"}]})json"));
  EXPECT_EQ((*app.container->port_mappings)[0].host_port, std::nullopt);  // a container network publishes nothing
}

TEST(Networks, OtherThanHostRefusePortDefinitions) {
  App app = parsed(json::parse(R"json({"id":"a","container":{"docker":{"image":"i"}},"portDefinitions":[{"port":1}],
                                   "networks":[{"mode":"container/bridge"}]})json"));
  ASSERT_TRUE(check_app(app));
  EXPECT_EQ(check_app(app)->details[0].errors[0], "portDefinitions are only allowed with host-networking");
}

TEST(Rest, KeepsWhatHasNoMemberInPlace) {
  json definition = json::parse(R"json({"id":"/a","cmd":"x","tty":true,"secrets":{"s":{"source":"/s"}},
      "residency":{"taskLostBehavior":"WAIT_FOREVER"},"executorResources":{"cpus":0.1},
      "container":{"type":"MESOS","linuxInfo":{"seccomp":{"unconfined":true}},"docker":{"image":"i","pullConfig":{"secret":"s"}},
      "volumes":[{"containerPath":"p","persistent":{"size":5}},{"containerPath":"/d","hostPath":"/e","mode":"RO"}]}})json");
  App app = parsed(definition);
  json answer = to_json(app);
  for (const char* path : {"/tty", "/secrets", "/residency", "/executorResources", "/container/linuxInfo",
                           "/container/docker/pullConfig"}) {
    EXPECT_EQ(answer[json::json_pointer(path)], definition[json::json_pointer(path)]) << path;
  }
  EXPECT_EQ(answer["container"]["volumes"][1], definition["container"]["volumes"][0]);
  EXPECT_EQ(app.unreachable_strategy.disabled, true);  // resident
  EXPECT_EQ(app.upgrade_strategy, (UpgradeStrategy{0.5, 0}));
}

class Patch : public testing::Test {
 protected:
  App app =
      parsed(json::parse(R"json({"id":"/shop/api","cmd":"run","cpus":2,"mem":64,"env":{"A":"1","B":"2"},"user":"me",
      "labels":{"a":"b"},"upgradeStrategy":{"minimumHealthCapacity":0.5,"maximumOverCapacity":0},
      "portDefinitions":[{"port":0,"name":"http"},{"port":0,"name":"admin"}],"fetch":[{"uri":"http://h/x","cache":true}]})json"));
  App patched(const char* patch) {
    auto result = patch_app(app, json::parse(patch));
    EXPECT_TRUE(result) << patch << ": " << (result ? "" : to_json(result.error()));
    return result ? *result : App{};
  }
};

TEST_F(Patch, KeepsWhatItDoesNotName) {
  App after = patched(R"json({"instances":7.0})json");
  EXPECT_EQ(after.instances, 7);
  after.instances = 1;
  EXPECT_EQ(after, app);
}

TEST_F(Patch, ResetsByNull) {
  App after = patched(R"json({"cpus":null,"user":null,"env":null,"portDefinitions":null,"cmd":null,"args":["x"]})json");
  EXPECT_EQ(after.cpus, 1);
  EXPECT_EQ(after.user, std::nullopt);
  EXPECT_TRUE(after.env.empty());
  EXPECT_EQ(after.port_definitions[0].name, "default");
  EXPECT_EQ(after.cmd, std::nullopt);
}

TEST_F(Patch, ReplacesObjectsWhole) {
  App after = patched(R"json({"env":{"C":"3"},"labels":{},"upgradeStrategy":{"maximumOverCapacity":0.2}})json");
  EXPECT_EQ(after.env, (std::map<std::string, std::string>{{"C", "3"}}));
  EXPECT_TRUE(after.labels.empty());
  EXPECT_EQ(after.upgrade_strategy, (UpgradeStrategy{1, 0.2}));
}

TEST_F(Patch, TakesOldFormsForTheNewOnes) {
  EXPECT_EQ(patched(R"json({"ports":[8080]})json").port_definitions, (std::vector<PortDefinition>{{.port = 8080}}));
  EXPECT_EQ(patched(R"json({"uris":["http://h/y"]})json").fetch,
            (std::vector<Fetch>{{.uri = "http://h/y", .extract = false}}));
}

TEST_F(Patch, MovesToABridgeAndBack) {
  App bridged = patched(
      R"json({"container":{"docker":{"image":"i","network":"BRIDGE","portMappings":[{"containerPort":80}]}}})json");
  EXPECT_FALSE(uses_host_network(bridged));
  EXPECT_TRUE(bridged.port_definitions.empty());
  EXPECT_FALSE(check_app(bridged));
  app = bridged;
  EXPECT_EQ(patched(R"json({"cpus":3})json").container, bridged.container);
  App back = patched(R"json({"networks":[{"mode":"host"}]})json");
  EXPECT_EQ(back.port_definitions[0].name, "default");
  EXPECT_FALSE(back.container->port_mappings);
  EXPECT_FALSE(check_app(back));
  App again = patched(R"json({"networks":[{"mode":"container/bridge"}]})json");
  EXPECT_EQ(again, bridged);
}

TEST_F(Patch, TakesTheAnswerOfAGetBack) {
  for (const char* network : {"{}", R"json({"container":{"docker":{"image":"i","network":"BRIDGE"}}})json"}) {
    App before = patched(network);
    json answer = to_json(before);
    answer["tasksRunning"] = 1;
    answer["deployments"] = json::array();
    auto after = patch_app(before, answer);
    ASSERT_TRUE(after) << to_json(after.error());
    EXPECT_EQ(*after, before);
  }
}

TEST_F(Patch, RefusesAVersionBesideOtherFields) {
  EXPECT_EQ(faults(patch_app(app, json::parse(R"json({"version":"2015-08-26T20:23:39.463Z","cpus":1})json"))),
            json::parse(R"json({"/": ["The 'version' field may only be combined with the 'id' field."]})json"));
  EXPECT_EQ(patched(R"json({"version":"2015-08-26T20:23:39.463Z","id":"/shop/api"})json"), app);
}

TEST_F(Patch, CannotChangeTheId) {
  EXPECT_TRUE(patch_app(app, json{{"id", "/shop/api"}}));
  EXPECT_TRUE(patch_app(app, json{{"id", "api"}}));
  EXPECT_FALSE(patch_app(app, json{{"id", "/other"}}));
  EXPECT_FALSE(patch_app(app, json::array()));
  EXPECT_EQ(faults(patch_app(app, json{{"mem", "x"}})),
            json::parse(R"json({"/mem": ["error.expected.jsnumber"]})json"));
}

TEST(DeserializeApp, SaysWhatIsWrong) {
  EXPECT_EQ(deserialize_app("{\"id\":\"/a\",\"cpus\":\"x\"}").error().text(), "app/cpus: error.expected.jsnumber");
  EXPECT_FALSE(deserialize_app("{"));
}

}  // namespace
}  // namespace lotse::model

#include "model/app_rules.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/app_json.h"

namespace lotse::model {
namespace {

using nlohmann::json;

struct Rule {
  const char* fields;  // laid over {"id":"/a","cmd":"x"}
  const char *path, *error;
};

constexpr const char* kPortIndex =
    "Health check port indices must address an element of the ports array or container port mappings.";
constexpr const char* kCommand = "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";
constexpr const char* kBridge = R"json("networks":[{"mode":"container/bridge"}])json";

const Rule kRules[] = {
    {R"json({"id":"/a/tasks"})json", "/id",
     "must not end with any of the following reserved keywords: restart, tasks, versions"},
    {R"json({"cmd":""})json", "/cmd", "must not be empty"},
    {R"json({"args":["y"]})json", "/", kCommand},
    {R"json({"cmd":null})json", "/", kCommand},
    {R"json({"cmd":null,"container":{"type":"MESOS"}})json", "/", kCommand},
    {R"json({"executor":"/bin/mine"})json", "/executor",
     "custom executors are not supported: leave it empty, or say //cmd"},
    {R"json({"instances":-1})json", "/instances", "is less than 0"},
    {R"json({"cpus":0})json", "/cpus", "is less than 0.001"},
    {R"json({"mem":-1})json", "/mem", "is less than 0"},
    {R"json({"disk":-0.5})json", "/disk", "is less than 0"},
    {R"json({"gpus":1})json", "/gpus", "gpus are not supported: no agent offers any"},
    {R"json({"env":{"":"x"}})json", "/env/", "is not a name that an environment variable can have"},
    {R"json({"env":{"A":{"secret":"s"}}})json", "/env/A", "refers to a secret, and there is no secret store"},
    {R"json({"acceptedResourceRoles":[]})json", "/acceptedResourceRoles", "must not be empty"},
    {R"json({"constraints":[["","UNIQUE"]]})json", "/constraints(0)", "illegal constraint specification"},
    {R"json({"constraints":[["hostname","UNIQUE","x"]]})json", "/constraints(0)", "UNIQUE does not accept a value"},
    {R"json({"constraints":[["hostname","LIKE"]]})json", "/constraints(0)",
     "LIKE and UNLIKE require a non-empty, regular expression value"},
    {R"json({"constraints":[["hostname","UNLIKE",""]]})json", "/constraints(0)",
     "LIKE and UNLIKE require a non-empty, regular expression value"},
    {R"json({"constraints":[["hostname","LIKE","["]]})json", "/constraints(0)", "is not a valid regular expression"},
    {R"json({"constraints":[["hostname","MAX_PER"]]})json", "/constraints(0)", "MAX_PER requires an integer value"},
    {R"json({"constraints":[["hostname","MAX_PER","two"]]})json", "/constraints(0)",
     "MAX_PER requires an integer value"},
    {R"json({"constraints":[["hostname","MAX_PER","0"]]})json", "/constraints(0)",
     "MAX_PER below 1 leaves no place for any instance"},
    {R"json({"constraints":[["hostname","GROUP_BY","x"]]})json", "/constraints(0)",
     "GROUP BY must define an integer value or else no value at all"},
    {R"json({"constraints":[["a","UNIQUE"],["hostname","IS","[1]"]]})json", "/constraints(1)",
     "IS only supports Mesos text and float values (see "
     "http://mesos.apache.org/documentation/latest/attributes-resources/)"},
    {R"json({"dependencies":["/a"]})json", "/dependencies(0)", "an app cannot depend on itself"},
    {R"json({"fetch":[{"uri":""}]})json", "/fetch(0)/uri", "URI has invalid syntax."},
    {R"json({"fetch":[{"uri":"http://h/a","destPath":"../../etc/x"}]})json", "/fetch(0)/destPath",
     "must be a path within the sandbox"},
    {R"json({"backoffFactor":0.5})json", "/backoffFactor", "is less than 1"},
    {R"json({"backoffSeconds":-1})json", "/backoffSeconds", "is less than 0"},
    {R"json({"maxLaunchDelaySeconds":1e10})json", "/maxLaunchDelaySeconds", "is greater than 2147483647"},
    {R"json({"taskKillGracePeriodSeconds":-1})json", "/taskKillGracePeriodSeconds", "is less than 0"},
    {R"json({"upgradeStrategy":{"minimumHealthCapacity":1.1}})json", "/upgradeStrategy/minimumHealthCapacity",
     "is greater than 1"},
    {R"json({"upgradeStrategy":{"maximumOverCapacity":-0.1}})json", "/upgradeStrategy/maximumOverCapacity",
     "is less than 0"},
    {R"json({"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"},"instances":2})json", "/",
     "Single instance app may only have one instance"},
    {R"json({"labels":{"MARATHON_SINGLE_INSTANCE_APP":"true"},"upgradeStrategy":{"minimumHealthCapacity":0,"maximumOverCapacity":1}})json",
     "/upgradeStrategy/maximumOverCapacity", "got 1, expected 0.0"},
    {R"json({"labels":{"DCOS_MIGRATION_API_VERSION":"v1"}})json", "/",
     "DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION"},
    {R"json({"labels":{"lotse.port":"admin"}})json", "/labels/lotse.port",
     "must be the name or the index of one of the app's TCP ports"},
    {R"json({"unreachableStrategy":{"inactiveAfterSeconds":2,"expungeAfterSeconds":1}})json",
     "/unreachableStrategy/inactiveAfterSeconds", "is greater than expungeAfterSeconds"},
    {R"json({"healthChecks":[{"portIndex":1}]})json", "/healthChecks(0)", kPortIndex},
    {R"json({"healthChecks":[{"portIndex":-1}]})json", "/healthChecks(0)", kPortIndex},
    {R"json({"healthChecks":[{}],"ports":[]})json", "/healthChecks(0)", kPortIndex},
    {R"json({"healthChecks":[{"protocol":"MESOS_TCP","portIndex":3}]})json", "/healthChecks(0)", kPortIndex},
    {R"json({"healthChecks":[{"port":70000}]})json", "/healthChecks(0)/port", "is greater than 65535"},
    {R"json({"healthChecks":[{"intervalSeconds":0}]})json", "/healthChecks(0)/intervalSeconds",
     "must be greater than 0"},
    {R"json({"healthChecks":[{"maxConsecutiveFailures":-1}]})json", "/healthChecks(0)/maxConsecutiveFailures",
     "is less than 0"},
    {R"json({"healthChecks":[{"protocol":"COMMAND"}]})json", "/healthChecks(0)/command", "must not be empty"},
    {R"json({"healthChecks":[{"protocol":"MESOS_HTTP"},{"protocol":"MESOS_TCP"}]})json", "/",
     "AppDefinition can contain at most one Mesos health check"},
    {R"json({"readinessChecks":[{"portName":"default"},{"portName":"default"}]})json", "/readinessChecks",
     "got 2, expected 1 or less"},
    {R"json({"readinessChecks":[{}]})json", "/readinessChecks(0)/portName",
     "No port definition reference for portName http-api"},
    {R"json({"readinessChecks":[{"portName":"default","timeoutSeconds":30}]})json",
     "/readinessChecks(0)/timeoutSeconds", "got 30, expected less than 30"},
    {R"json({"portDefinitions":[{"name":"a"},{"name":"a"}]})json", "/portDefinitions", "Port names must be unique."},
    {R"json({"portDefinitions":[{"port":1},{"port":1}]})json", "/portDefinitions", "Ports must be unique."},
    {R"json({"portDefinitions":[{"port":65536}]})json", "/portDefinitions(0)/port", "is greater than 65535"},
    {R"json({"portDefinitions":[{"name":"A_b"}]})json", "/portDefinitions(0)/name",
     "must contain only lower case letters, digits and inner hyphens, and at most 63 of them"},
    {R"json({"networks":[{"mode":"host","name":"n"}]})json", "/networks", "Host networks may not have names or labels"},
    {R"json({"networks":[{"mode":"container/bridge","name":"n"}]})json", "/networks",
     "Bridge networks may not have names"},
    {R"json({"networks":[{"mode":"container","name":"n"}]})json", "/networks(0)",
     "needs a container with an image: a plain process is on its host's network"},
    {R"json({"networks":[{"mode":"container"}]})json", "/networks",
     "Network name must be specified when container network is selected."},
    {R"json({"networks":[{"mode":"host"},{"mode":"container/bridge"}]})json", "/networks",
     "May specify a single host network, single bridge network, or else 1-to-n container networks"},
    {R"json({"networks":[{"name":"n"},{"name":"n"}]})json", "/networks", "Duplicate networks are not allowed"},
    {R"json({"container":{"type":"DOCKER"}})json", "/container/docker", "not defined"},
    {R"json({"container":{"type":"MESOS","docker":{"image":"i","parameters":[{"key":"a","value":"b"}]}}})json",
     "/container/docker/parameters", "must be empty"},
    {R"json({"container":{"docker":{"image":"i","parameters":[{"key":"","value":"b"}]}}})json",
     "/container/docker/parameters(0)/key", "must not be empty"},
    {R"json({"container":{"docker":{"image":"i"},"volumes":[{"containerPath":""}]}})json",
     "/container/volumes(0)/containerPath", "must not be empty"},
    {R"json({"container":{"docker":{"image":"i"},"volumes":[{"containerPath":"/a"}]}})json",
     "/container/volumes(0)/hostPath", "not defined"},
    {R"json({"container":{"type":"MESOS","volumes":[{"containerPath":"/a","secret":"s"}]}})json",
     "/container/volumes(0)", "secret volumes are not supported: there is no secret store"},
    {R"json({"container":{"type":"MESOS","appc":{"image":"i"}}})json", "/container/appc",
     "AppC images are not supported: use docker.image"},
    {R"json({"resourceLimits":{"mem":"unlimited"}})json", "/resourceLimits",
     "resourceLimits is not supported: cpus and mem are the limits"},
    {R"json({"tty":true})json", "/tty", "needs a container with an image: a plain process has no terminal"},
};

json faults_of(const char* fields) {
  json definition = {{"id", "/a"}, {"cmd", "x"}};
  definition.update(json::parse(fields));
  auto app = parse_app(definition);
  EXPECT_TRUE(app) << fields << ": " << (app ? "" : to_json(app.error()));
  if (!app) return json::object();
  auto error = check_app(*app);
  if (!error) return json::object();
  EXPECT_EQ(error->status, 422);
  EXPECT_EQ(error->message, "Object is not valid");
  json faults = json::object();
  for (const ErrorDetail& detail : error->details) faults[detail.path] = detail.errors;
  return faults;
}

TEST(AppRules, SayMarathonsSentences) {
  for (const Rule& rule : kRules) {
    json faults = faults_of(rule.fields);
    ASSERT_TRUE(faults.contains(rule.path)) << rule.fields << ": " << faults;
    EXPECT_NE(std::find(faults[rule.path].begin(), faults[rule.path].end(), rule.error), faults[rule.path].end())
        << rule.fields << ": " << faults;
  }
}

TEST(AppRules, LetValidDefinitionsPass) {
  for (
      const char* fields :
      {"{}", R"json({"instances":0})json", R"json({"cmd":null,"args":["y"]})json", R"json({"executor":"//cmd"})json",
       R"json({"cmd":null,"container":{"docker":{"image":"i"}}})json",
       R"json({"constraints":[["hostname","CLUSTER"],["rack","GROUP_BY"],["rack","GROUP_BY","3"],["h","IS","a-b/c.d_1"],
            ["h","IS",""],["hostname","UNLIKE","a|b.*"],["hostname","MAX_PER","2"]]})json",
       R"json({"upgradeStrategy":{"minimumHealthCapacity":0,"maximumOverCapacity":0}})json",
       R"json({"healthChecks":[{"port":8080},{"protocol":"COMMAND","command":{"value":"true"}}]})json",
       R"json({"readinessChecks":[{"portName":"default"}]})json", R"json({"ports":[]})json",
       R"json({"labels":{"lotse.port":"0"}})json", R"json({"dependencies":["/b","c/d"]})json",
       R"json({"secrets":{}})json"}) {
    EXPECT_EQ(faults_of(fields), json::object()) << fields;
  }
}

TEST(AppRules, CheckMappingsOfABridge) {
  auto with = [](const char* mappings) {
    return "{" + std::string(kBridge) + R"json(,"container":{"docker":{"image":"i"},"portMappings":)json" + mappings +
           "}}";
  };
  EXPECT_EQ(
      faults_of(with(R"json([{"containerPort":80,"name":"http"},{"containerPort":53,"protocol":"udp"}])json").c_str()),
      json::object());
  EXPECT_EQ(faults_of(with(R"json([{"name":"a"},{"name":"a"}])json").c_str())["/container/portMappings"][0],
            "Port names must be unique.");
  EXPECT_EQ(faults_of(with(R"json([{"containerPort":65536,"hostPort":-1,"servicePort":99999}])json").c_str()),
            json::parse(R"json({"/container/portMappings(0)/containerPort": ["is greater than 65535"],
                            "/container/portMappings(0)/hostPort": ["is less than 0"],
                            "/container/portMappings(0)/servicePort": ["is greater than 65535"]})json"));
}

TEST(AppRules, ReportEverythingAtOnce) {
  json faults = faults_of(R"json({"instances":-1,"cpus":0,"upgradeStrategy":{"minimumHealthCapacity":2},"tty":true,
                              "constraints":[["hostname","MAX_PER","x"]],"healthChecks":[{"portIndex":9}]})json");
  EXPECT_EQ(faults.size(), 6u) << faults;
}

TEST(AppRules, SurviveARegularExpressionThatIsABomb) {
  for (const std::string& pattern : {std::string(500, '('), std::string("((((a{100}){100}){100}){100}){100}"),
                                     std::string(10000, 'a'), std::string("(?i)x{2,1}")}) {
    App app{.id = "/a", .cmd = "x"};
    app.constraints = {{"hostname", ConstraintOperator::like, pattern}};
    EXPECT_TRUE(check_app(app)) << pattern.substr(0, 40);
  }
}

}  // namespace
}  // namespace lotse::model

// The commands as people and pipelines use them: what they print, how they exit, and that nothing is lost under load.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/cluster.h"
#include "tests/e2e/load.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

class CommandLine {
 public:
  explicit CommandLine(Cluster& cluster) : cluster_(cluster) {}
  // Runs `lotse ...`; the output of both streams. `code` keeps how it ended.
  std::string operator()(std::vector<std::string> words) {
    words.insert(words.begin(), LOTSE_PROGRAM);
    words.insert(words.end(), {"--scheduler", "http://" + cluster_.api_address()});
    return run(words, &code);
  }
  std::string file(const std::string& name, const json& definition) const {
    std::string path = cluster_.directory() + "/" + name;
    std::ofstream(path) << definition.dump();
    return path;
  }
  int code = -1;

 private:
  Cluster& cluster_;
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

json process_app(const std::string& id, int instances) {
  return {{"id", id},
          {"cmd", "exec " LOTSE_HELLO},
          {"cpus", 0.01},
          {"mem", 16},
          {"instances", instances},
          {"healthChecks",
           {{{"protocol", "HTTP"}, {"path", "/healthz"}, {"intervalSeconds", 1}, {"gracePeriodSeconds", 10}}}}};
}

TEST(CommandLine, DeployWaitsUntilTheAppServesAndExitsWithZero) {
  Cluster cluster({.runtime = "process"});
  CommandLine lotse(cluster);
  std::string output = lotse({"app", "deploy", lotse.file("web.json", process_app("/web", 2)), "--wait"});
  EXPECT_EQ(lotse.code, 0) << output;
  EXPECT_TRUE(has(output, "/web: 2 wanted") && has(output, "s  done")) << output;
  EXPECT_EQ(http("GET", cluster.proxy_address(), "/web/").status, 200);
  output = lotse({"app", "deploy", lotse.file("web.json", process_app("/web", 3)), "--wait", "--json"});
  EXPECT_EQ(lotse.code, 0) << output;
  EXPECT_TRUE(has(output, "\"state\":\"success\"")) << output;
}

TEST(CommandLine, ADeployThatCannotWorkExitsWithOneTheReasonTheLogAndTheVersionItWentBackTo) {
  Cluster cluster({.runtime = "process"});
  CommandLine lotse(cluster);
  json app = process_app("/web", 2);
  app["upgradeStrategy"] = {{"progressDeadlineSeconds", 4}};
  ASSERT_TRUE(has(lotse({"app", "deploy", lotse.file("web.json", app), "--wait"}), "done"));
  const std::string good = cluster.app("/web").value("version", "");
  Load load({.address = cluster.proxy_address(), .target = "/web/", .connections = 8});
  app["cmd"] = "echo no licence found; exit 3";
  std::string output = lotse({"app", "deploy", lotse.file("web.json", app), "--wait"});
  EXPECT_EQ(lotse.code, 1) << output;
  EXPECT_TRUE(has(output, "no progress for 4s")) << output;
  EXPECT_TRUE(has(output, "failed: exit code 3")) << output;
  EXPECT_TRUE(has(output, "the last lines of web") && has(output, "no licence found\n")) << output;
  EXPECT_TRUE(has(output, "rolled back: it is at version ")) << output;
  load.let_pass(100);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_GT(cluster.app("/web").value("version", ""), good);
  EXPECT_EQ(cluster.app("/web")["cmd"], "exec " LOTSE_HELLO);
}

TEST(CommandLine, ADeployToldToWaitSaysWhyNoAgentTakesIt) {
  Cluster cluster({.proxies = 0, .runtime = "process"});
  CommandLine lotse(cluster);
  json app = process_app("/large", 1);
  app["mem"] = 65'536'000;
  std::string output = lotse({"app", "deploy", lotse.file("large.json", app), "--wait", "--timeout", "2s"});
  EXPECT_EQ(lotse.code, 1) << output;
  EXPECT_TRUE(has(output, "not done after 2s")) << output;
  EXPECT_TRUE(has(output, "no agent takes it: 1 of 1 agent: less than 65536000 MiB of memory free")) << output;
  app["mem"] = 16;
  app["constraints"] = {{"rack", "IS", "b"}};
  output = lotse({"app", "deploy", lotse.file("large.json", app), "--force", "--wait", "--timeout", "2s"});
  EXPECT_EQ(lotse.code, 1) << output;
  EXPECT_TRUE(has(output, R"(its constraints [["rack","IS","b"]])")) << output;
}

TEST(CommandLine, AnImageThatIsNotThereIsToldInDockersWords) {
  Cluster cluster({.proxies = 0});
  CommandLine lotse(cluster);
  json app = hello_app(1);
  app["container"]["docker"]["image"] = "127.0.0.1:1/no/such-image";
  std::string output = lotse({"app", "deploy", lotse.file("a.json", app), "--wait", "--timeout", "5s", "--json"});
  EXPECT_EQ(lotse.code, 1) << output;
  EXPECT_TRUE(has(output, "cannot pull 127.0.0.1:1/no/such-image:latest") && has(output, "connection refused"))
      << output;
  EXPECT_TRUE(has(output, "\"state\":\"timed out\"")) << output;
}

TEST(CommandLine, PromoteGivesTheAppWhatItsCanaryRuns) {
  Cluster cluster({.runtime = "process"});
  CommandLine lotse(cluster);
  lotse({"app", "deploy", lotse.file("web.json", process_app("/web", 3)), "--wait"});
  json canary = process_app("/web-canary", 1);
  canary["env"] = {{"HELLO_VERSION", "two"}};
  lotse({"app", "deploy", lotse.file("canary.json", canary), "--wait"});
  const json ports = cluster.app("/web")["portDefinitions"];
  Load load({.address = cluster.proxy_address(), .target = "/web/", .connections = 8});
  std::string output = lotse({"app", "promote", "/web-canary", "/web", "--wait", "--stop"});
  EXPECT_EQ(lotse.code, 0) << output;
  load.let_pass(50);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  const json web = cluster.app("/web");
  EXPECT_EQ(web["env"]["HELLO_VERSION"], "two");
  EXPECT_EQ(web["instances"], 3);
  EXPECT_EQ(web["portDefinitions"], ports);
  EXPECT_EQ(cluster.app("/web-canary")["instances"], 0);
  EXPECT_TRUE(has(http("GET", cluster.proxy_address(), "/web/").body, "version two"));
  output = lotse({"app", "promote", "/absent", "/web"});
  EXPECT_EQ(lotse.code, 1);
  EXPECT_TRUE(has(output, "lotse: App '/absent' does not exist")) << output;
  lotse({"app", "promote", "/web", "/web-canary", "--stop"});
  EXPECT_EQ(lotse.code, 2) << "--stop without --wait would stop what nothing replaces yet";
}

TEST(CommandLine, RollbackGoesBackAndADeploymentIsWatchedAndCancelled) {
  Cluster cluster({.proxies = 0, .runtime = "process"});
  CommandLine lotse(cluster);
  json app = process_app("/web", 1);
  lotse({"app", "deploy", lotse.file("web.json", app), "--wait"});
  app["env"] = {{"HELLO_VERSION", "two"}};
  lotse({"app", "deploy", lotse.file("web.json", app), "--wait"});
  std::string output = lotse({"app", "rollback", "/web", "--wait"});
  EXPECT_EQ(lotse.code, 0) << output;
  EXPECT_FALSE(cluster.app("/web")["env"].contains("HELLO_VERSION"));
  app["cmd"] = "sleep 1000";
  app["env"] = json::object();
  const std::string id = cluster.deploy(app);
  output = lotse({"deployment", "list"});
  EXPECT_TRUE(has(output, id) && has(output, "/web")) << output;
  output = lotse({"deployment", "cancel", id});
  EXPECT_EQ(lotse.code, 0) << output;
  output = lotse({"deployment", "watch", id});
  EXPECT_EQ(lotse.code, 1) << output;
  output = lotse({"deployment", "watch", "no-such-id"});
  EXPECT_EQ(lotse.code, 1);
  EXPECT_TRUE(has(output, "DeploymentPlan no-such-id does not exist")) << output;
}

TEST(CommandLine, ABackupBringsBackWhatWasThere) {
  Cluster cluster({.proxies = 0, .runtime = "process", .start_agent = false});
  CommandLine lotse(cluster);
  cluster.deploy(process_app("/kept", 0));
  const std::string file = cluster.directory() + "/backup.db", data = cluster.directory() + "/scheduler";
  std::string output = lotse({"scheduler", "backup", file});
  EXPECT_EQ(lotse.code, 0) << output;
  output = lotse({"scheduler", "backup", file});
  EXPECT_EQ(lotse.code, 1);
  EXPECT_TRUE(has(output, "exists already; a backup never overwrites")) << output;
  EXPECT_EQ(cluster.api("DELETE", "/v2/apps/kept").status, 200);
  int code = 0;
  output = run({LOTSE_PROGRAM, "scheduler", "restore", file, "--data", data}, &code);
  EXPECT_EQ(code, 1);
  EXPECT_TRUE(has(output, "is in use by another process")) << output;
  cluster.scheduler().kill_9();
  output = run({LOTSE_PROGRAM, "scheduler", "restore", file, "--data", data}, &code);
  EXPECT_EQ(code, 0) << output;
  cluster.start_scheduler();
  EXPECT_EQ(cluster.api("GET", "/v2/apps/kept").status, 200);
}

// Two agents on one Docker, each with its own ports.
TEST(CommandLine, DrainingANodeUnderLoadLosesNoRequestAndKeepsItEmpty) {
  Cluster cluster;
  Program second({LOTSE_PROGRAM, "agent", "--scheduler", "http://" + cluster.api_address(), "--listen", "127.0.0.1:0",
                  "--address", "127.0.0.1", "--data", cluster.directory() + "/agent-2", "--id", "node-2", "--ports",
                  "32001-32900", "--runtime", "docker"},
                 cluster.directory() + "/agent-2.log");
  second.wait_for_log("registered as");
  CommandLine lotse(cluster);
  std::string output = lotse({"app", "deploy", lotse.file("hello.json", hello_app(6)), "--wait"});
  ASSERT_EQ(lotse.code, 0) << output;
  Load load({.address = cluster.proxy_address(), .connections = 32});
  load.let_pass(300);
  output = lotse({"node", "list"});
  EXPECT_TRUE(has(output, "node-1") && has(output, "node-2")) << output;
  for (const char* node : {"node-1", "node-2"}) {
    output = lotse({"node", "drain", node, "--wait"});
    EXPECT_EQ(lotse.code, 0) << output;
    EXPECT_TRUE(has(output, std::string(node) + " takes no new tasks; 3 tasks move elsewhere") ||
                has(output, std::string(node) + " takes no new tasks; 6 tasks move elsewhere"))
        << output;
    EXPECT_TRUE(has(output, std::string(node) + " is empty")) << output;
    load.let_pass(200);
    EXPECT_EQ(cluster.app("/hello").value("tasksHealthy", 0), 6);
    cluster.restart("/hello");  // comes up elsewhere only
    EXPECT_EQ(cluster.api("GET", std::string("/v1/agents/") + node).json()["tasks"].size(), 0u);
    output = lotse({"node", "undrain", node});
    EXPECT_EQ(lotse.code, 0) << output;
  }
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_GT(load.answered(), 1000u);
  output = lotse({"node", "drain", "node-3"});
  EXPECT_EQ(lotse.code, 1);
  EXPECT_TRUE(has(output, "node-3")) << output;
}

TEST(CommandLine, ADrainThatCannotEndSaysWhy) {
  Cluster cluster({.proxies = 0, .runtime = "process"});
  CommandLine lotse(cluster);
  lotse({"app", "deploy", lotse.file("web.json", process_app("/web", 1)), "--wait"});
  std::string output = lotse({"node", "drain", "node-1", "--wait", "--timeout", "3s"});
  EXPECT_EQ(lotse.code, 1) << output;
  EXPECT_TRUE(has(output, "not empty after 3s") && has(output, "1 task left")) << output;
  EXPECT_TRUE(has(output, "/web: no agent takes it: 1 of 1 agent")) << output;
}

TEST(CommandLine, KillingTasksAndDestroyingTheAppUnderLoadBreaksNoRequest) {
  Cluster cluster;
  CommandLine lotse(cluster);
  std::string output = lotse({"app", "deploy", lotse.file("hello.json", hello_app(3)), "--wait"});
  ASSERT_EQ(lotse.code, 0) << output;
  Load load({.address = cluster.proxy_address(), .connections = 32});
  load.let_pass(200);
  for (int i = 0; i < 3; ++i) {
    const std::string victim = cluster.app("/hello")["tasks"][0]["id"];
    output = lotse({"task", "kill", victim});
    EXPECT_EQ(lotse.code, 0) << output;
    EXPECT_TRUE(eventually([&] {
      const json app = cluster.app("/hello");
      bool is_gone = true;
      for (const json& task : app["tasks"]) is_gone = is_gone && task["id"] != victim;
      return is_gone && app.value("tasksHealthy", 0) == 3;
    }));
  }
  load.let_pass(200);
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  output = lotse({"app", "destroy", "/hello", "--wait"});
  EXPECT_EQ(lotse.code, 0) << output;
  load.stop();
  // From some moment on there is no such app, which is an answer; no request was cut off before it.
  EXPECT_FALSE(has(load.failures(), "request lost")) << load.failures();
  EXPECT_FALSE(has(load.failures(), "status 502")) << load.failures();
}

}  // namespace
}  // namespace lotse::e2e

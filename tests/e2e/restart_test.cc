// kill -9 of every part, under load and in the middle of a deployment: P3 and P4.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "tests/e2e/cluster.h"
#include "tests/e2e/load.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

TEST(Restart, AKilledSchedulerIsNoticedByNobodyAndRemembersEverything) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  auto containers = cluster.containers();
  json before = cluster.app("/hello");
  Load load({.address = cluster.proxy_address(), .connections = 16});
  load.let_pass(200);
  cluster.scheduler().kill_9();
  load.let_pass(500);
  cluster.start_scheduler();
  // The state is what was acknowledged, health included, before any agent has said a word.
  json after = cluster.app("/hello");
  EXPECT_EQ(after["version"], before["version"]);
  EXPECT_EQ(after["tasksHealthy"], 3);
  EXPECT_EQ(after["tasks"].size(), 3u);
  cluster.scale("/hello", 4);
  load.let_pass(200);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  auto now = cluster.containers();
  EXPECT_TRUE(std::includes(now.begin(), now.end(), containers.begin(), containers.end())) << "containers survive";
}

TEST(Restart, ASchedulerKilledInMidDeploymentResumesIt) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load load({.address = cluster.proxy_address(), .connections = 32});
  for (int i = 0; i < 5; ++i) {
    json app = hello_app(3);
    app["env"]["HELLO_VERSION"] = std::to_string(i);
    std::string deployment = cluster.deploy(app);
    load.let_pass(static_cast<std::uint64_t>(50 + 150 * i));
    cluster.scheduler().kill_9();
    load.let_pass(100);
    cluster.start_scheduler();
    cluster.wait_for_deployment(deployment);
    json now = cluster.app("/hello");
    EXPECT_EQ(now["env"]["HELLO_VERSION"], std::to_string(i));
    EXPECT_EQ(now["tasksHealthy"], 3);
    for (const json& task : now["tasks"]) EXPECT_EQ(task["version"], now["version"]);
  }
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(cluster.containers().size(), 3u);
}

TEST(Restart, AKilledAgentFindsItsContainersAgain) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  auto containers = cluster.containers();
  Load load({.address = cluster.proxy_address(), .connections = 16});
  load.let_pass(200);
  cluster.agent().kill_9();
  load.let_pass(300);
  cluster.start_agent();
  cluster.restart("/hello");  // works again, and shows that the agent knows the old containers
  load.let_pass(100);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(cluster.containers().size(), 3u);
  for (const std::string& id : cluster.containers()) {
    EXPECT_EQ(std::count(containers.begin(), containers.end(), id), 0) << "the restart replaced all";
  }
}

TEST(Restart, AnAgentKilledInMidDeploymentGoesOn) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load load({.address = cluster.proxy_address(), .connections = 16});
  for (int i = 0; i < 3; ++i) {
    json app = hello_app(3);
    app["env"]["HELLO_VERSION"] = std::to_string(i);
    std::string deployment = cluster.deploy(app);
    load.let_pass(static_cast<std::uint64_t>(50 + 400 * i));
    cluster.agent().kill_9();
    load.let_pass(100);
    cluster.start_agent();
    cluster.wait_for_deployment(deployment);
  }
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(cluster.containers().size(), 3u);
  EXPECT_EQ(cluster.app("/hello")["tasksHealthy"], 3);
}

TEST(Restart, AContainerThatDiedWhileItsAgentWasDownIsReplaced) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(2)));
  cluster.agent().kill_9();
  std::string victim = cluster.app("/hello")["tasks"][0]["id"];
  run({"docker", "kill", cluster.container_of(victim)});
  cluster.start_agent();
  EXPECT_TRUE(eventually([&] {
    json app = cluster.app("/hello");
    bool gone = true;
    for (const json& task : app["tasks"]) gone &= task["id"] != victim;
    return gone && app.value("tasksHealthy", 0) == 2;
  }));
}

TEST(Restart, AKilledProxyServesFromItsDiskWithoutAScheduler) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(2)));
  cluster.wait_until_served("/hello/");
  // The table reaches the disk about a second after it is applied.
  const std::string table = cluster.directory() + "/proxy-0/table-scheduler.jsonl";
  ASSERT_TRUE(eventually([&] {
    std::ifstream stream(table);
    std::string text((std::istreambuf_iterator<char>(stream)), {});
    std::size_t found = 0;
    for (auto at = text.find("\"hostPort\""); at != std::string::npos; at = text.find("\"hostPort\"", at + 1)) ++found;
    return found == 2;
  }));
  cluster.proxy(0).kill_9();
  cluster.scheduler().kill_9();
  cluster.start_proxy(0);
  EXPECT_EQ(http("GET", cluster.proxy_address(), "/hello/").status, 200);
  cluster.start_scheduler();
  cluster.restart("/hello");
  EXPECT_EQ(http("GET", cluster.proxy_address(), "/hello/").status, 200);
}

TEST(Restart, ABrokenConfigEditChangesNothingButTheMetric) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(2)));
  Load load({.address = cluster.proxy_address(), .connections = 8});
  EXPECT_EQ(cluster.metric("lotse_config_last_reload_success"), "1");
  std::ifstream stream(cluster.proxy_config());
  std::string good((std::istreambuf_iterator<char>(stream)), {});
  std::ofstream(cluster.proxy_config()) << good << "listners: []\n";
  EXPECT_TRUE(eventually([&] { return cluster.metric("lotse_config_last_reload_success") == "0"; }));
  EXPECT_NE(cluster.proxy(0).log().find("listners: unknown key; did you mean \"listeners\"?"), std::string::npos)
      << cluster.proxy(0).log();
  load.let_pass(200);
  std::ofstream(cluster.proxy_config()) << good;
  EXPECT_TRUE(eventually([&] { return cluster.metric("lotse_config_last_reload_success") == "1"; }));
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
}

}  // namespace
}  // namespace lotse::e2e

// P1 at work: deploys under load through the real program, with Docker.
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "tests/e2e/cluster.h"
#include "tests/e2e/load.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

TEST(Deploy, AnAppInDockerAnswersThroughTheProxy) {
  Cluster cluster;
  json app = hello_app(3);
  app["portDefinitions"] = nullptr;
  HttpAnswer created = cluster.api("PUT", "//v2/apps//hello", app.dump());
  EXPECT_EQ(created.status, 201) << created.body;
  cluster.wait_for_deployment(created.json().value("deploymentId", ""));
  // Done means served: the barrier's first half waits until the proxy can use the new tasks.
  EXPECT_EQ(http("GET", cluster.proxy_address(), "/hello/").status, 200);
  EXPECT_EQ(http("GET", cluster.proxy_address(), "/", "", {{"Host", "hello.lotse.test"}}).status, 200);
  Load load({.address = cluster.proxy_address()});
  load.let_pass(1000);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(load.by_task().size(), 3u) << "all three tasks get requests";
}

TEST(Deploy, ScalingUpAndDownUnderLoadLosesNoRequest) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load load({.address = cluster.proxy_address()});
  load.let_pass(500);
  cluster.scale("/hello", 10);
  load.let_pass(500);
  EXPECT_EQ(cluster.containers().size(), 10u);
  cluster.scale("/hello", 1);
  load.let_pass(500);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(cluster.containers().size(), 1u);
}

TEST(Deploy, TwentyRollingRestartsUnderLoadLoseNoRequest) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load load({.address = cluster.proxy_address()});
  for (int i = 0; i < 20; ++i) {
    cluster.restart("/hello");
    load.let_pass(100);
  }
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_EQ(cluster.app("/hello").value("tasksHealthy", 0), 3);
}

TEST(Deploy, ThreeProxiesOneKilledAndOneJoiningInMidDeploymentLoseNoRequestThroughTheLiving) {
  Cluster cluster({.proxies = 3});
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load first({.address = cluster.proxy_address(0), .connections = 22});
  Load second({.address = cluster.proxy_address(1), .connections = 22});
  auto third = std::make_unique<Load>(LoadOptions{.address = cluster.proxy_address(2), .connections = 20});
  first.let_pass(200);
  cluster.scale("/hello", 6);
  HttpAnswer answer = cluster.api("POST", "/v2/apps/hello/restart");
  ASSERT_EQ(answer.status, 200) << answer.body;
  third->let_pass(100);
  EXPECT_EQ(third->failed(), 0u) << third->failures();
  cluster.proxy(2).kill_9();
  third->stop();
  cluster.start_proxy(3);
  Load fourth({.address = cluster.proxy_address(3), .connections = 20});
  cluster.wait_for_deployment(answer.json().value("deploymentId", ""));
  for (int i = 0; i < 3; ++i) cluster.restart("/hello");
  fourth.let_pass(200);
  for (Load* load : {&first, &second, &fourth}) {
    load->stop();
    EXPECT_EQ(load->failed(), 0u) << load->failures();
  }
}

TEST(Deploy, ADifferentDefinitionReplacesTasksNewOnesFirst) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(2)));
  Load load({.address = cluster.proxy_address(), .connections = 16});
  json app = hello_app(2);
  app["env"]["HELLO_VERSION"] = "two";
  app["env"]["START_DELAY_MS"] = "700";
  cluster.wait_for_deployment(cluster.deploy(app));
  load.let_pass(100);
  load.stop();
  EXPECT_EQ(load.failed(), 0u) << load.failures();
  EXPECT_NE(http("GET", cluster.proxy_address(), "/hello/").body.find("version two"), std::string::npos);
  EXPECT_EQ(cluster.containers().size(), 2u);
}

TEST(Deploy, LongRequestsFinishOnATaskThatIsReplaced) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(1)));
  Load slow({.address = cluster.proxy_address(), .target = "/hello/slow?ms=1500", .connections = 8});
  Load quick({.address = cluster.proxy_address(), .connections = 4});
  quick.let_pass(50);
  cluster.restart("/hello");
  cluster.restart("/hello");
  slow.stop();
  quick.stop();
  EXPECT_EQ(slow.failed(), 0u) << slow.failures();
  EXPECT_EQ(quick.failed(), 0u) << quick.failures();
  EXPECT_GT(slow.answered(), 8u);
}

TEST(Deploy, AKilledContainerLosesOnlyWhatWasInFlightAndIsReplacedWithinThreeSeconds) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load load({.address = cluster.proxy_address()});
  load.let_pass(500);
  json tasks = cluster.app("/hello")["tasks"];
  std::string victim = tasks[0]["id"], container = cluster.container_of(victim);
  ASSERT_FALSE(container.empty());
  auto before = std::chrono::steady_clock::now();
  run({"docker", "kill", container});
  EXPECT_TRUE(eventually(
      [&] {
        int healthy = 0;
        for (const json& task : cluster.app("/hello").value("tasks", json::array())) {
          healthy += task["id"] != victim && task.value("state", "") == "TASK_RUNNING" &&
                     load.by_task().contains(task["id"].get<std::string>());
        }
        return healthy == 3;
      },
      10s));
  auto took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - before).count();
  RecordProperty("replacement_ms", static_cast<int>(took));
  EXPECT_LT(took, 3000) << "a replacement serves";
  load.stop();
  EXPECT_LE(load.failed(), 64u) << load.failures();
  EXPECT_EQ(load.failed(), 0u) << "GETs without an answer byte go to another endpoint:\n" << load.failures();
}

}  // namespace
}  // namespace lotse::e2e

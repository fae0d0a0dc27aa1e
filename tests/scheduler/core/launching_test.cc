// Where tasks go and when: room, ports and their quarantine, the queue, the launch delay.
#include <gtest/gtest.h>

#include <set>

#include "scheduler/core/backoff.h"
#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

using Reasons = std::map<std::string, int>;

class Launching : public testing::Test {
 protected:
  std::set<std::string> agents_of(const model::AppId& app) const {
    std::set<std::string> agents;
    for (const auto& id : cluster.tasks_of(app)) agents.insert(cluster.task(id).agent);
    return agents;
  }
  Reasons reasons(const model::App& app) const { return explain_placement(cluster.state, app, cluster.now.instant); }
  model::App image_app() const {
    model::App app = make_app("/web");
    app.container = model::Container{.image = "hello"};
    return app;
  }
  void beat(Duration time, int agents = 1) {
    for (; time > 0s; time -= 1s) {
      cluster.add_agents(agents);
      cluster.advance(1s);
    }
  }
  void fail_one() { cluster.report(cluster.tasks_of("/web").front(), model::TaskState::failed); }

  Harness cluster;
};

TEST_F(Launching, SpreadsAnAppThenFills) {
  cluster.add_agents(3);
  cluster.put(make_app("/web", 3));
  EXPECT_EQ(agents_of("/web").size(), 3u);
  cluster.put(make_app("/api", 1));
  cluster.put(make_app("/db", 1));
  EXPECT_EQ(agents_of("/api"), agents_of("/db"));  // the fullest that fits
}

TEST_F(Launching, TakesNoMoreThanAnAgentHas) {
  cluster.add_agents(1);
  model::App app = make_app("/web", 10);
  app.cpus = 1;
  cluster.put(app);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 4u);
  EXPECT_EQ(cluster.state.apps.at("/web").queued->count, 6);
  EXPECT_EQ(reasons(app), (Reasons{{"InsufficientCpus", 1}}));
  cluster.heartbeat("a2");
  EXPECT_EQ(cluster.tasks_of("/web").size(), 8u);
}

// The index of agents by free CPUs leads to the same places as a look at all of them.
TEST_F(Launching, FillsTheFullestAgentThatHasNoTaskOfTheAppYet) {
  for (int i = 1; i <= 4; ++i) {
    auto agent = cluster.registration("a" + std::to_string(i));
    agent.cpus = i;
    cluster.set_registration(agent);
  }
  cluster.add_agents(4);
  model::App app = make_app("/web", 3);
  app.cpus = 1.5;
  cluster.deploy(app);  // a1 has too little
  EXPECT_EQ(agents_of("/web"), (std::set<std::string>{"a2", "a3", "a4"}));
  app.instances = 4;
  cluster.deploy(app);  // only a3 and a4 have room for a second one; a3 is the fuller
  std::map<std::string, int> tasks = cluster.state.apps.at("/web").tasks_on_agent;
  EXPECT_EQ(tasks, (std::map<std::string, int>{{"a2", 1}, {"a3", 2}, {"a4", 1}}));
  auto grown = cluster.registration("a1");
  grown.cpus = 1.9;
  cluster.set_registration(grown);
  cluster.heartbeat("a1");
  app.instances = 5;
  cluster.deploy(app);  // a1 has none yet, so it is before a4
  EXPECT_EQ(cluster.state.apps.at("/web").tasks_on_agent.at("a1"), 1);
}

TEST_F(Launching, SaysWhatIsMissing) {
  cluster.add_agents(1);
  model::App app = make_app("/web");
  EXPECT_EQ(reasons(app), (Reasons{{"", 1}}));
  app.mem_mib = 5000;
  EXPECT_EQ(reasons(app), (Reasons{{"InsufficientMemory", 1}}));
  app = make_app("/web");
  app.disk_mib = 5000;
  EXPECT_EQ(reasons(app), (Reasons{{"InsufficientDisk", 1}}));
  app = make_app("/web");
  app.constraints.push_back({"rack", model::ConstraintOperator::is, "1"});
  EXPECT_EQ(reasons(app), (Reasons{{"UnfulfilledConstraint", 1}}));
  app = make_app("/web");
  app.accepted_resource_roles = {"slave_public"};
  EXPECT_EQ(reasons(app), (Reasons{{"UnfulfilledRole", 1}}));
}

TEST_F(Launching, AnAgentWithoutDockerTakesNoImages) {
  auto seen = cluster.registration("a1");
  seen.runtime = "process";
  cluster.set_registration(seen);
  cluster.add_agents(1);
  cluster.put(image_app());
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  EXPECT_EQ(reasons(image_app()), (Reasons{{"DockerUnavailable", 1}}));
  cluster.put(make_app("/plain"));
  EXPECT_EQ(cluster.tasks_of("/plain").size(), 1u);
  seen.runtime = "docker";
  cluster.set_registration(seen);
  cluster.add_agents(1);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Launching, DrawsEachPortOnce) {
  auto seen = cluster.registration("a1");
  seen.ports = {31000, 31003};
  cluster.set_registration(seen);
  cluster.add_agents(1);
  cluster.put(make_app("/web", 5));
  std::set<int> ports;
  for (const auto& id : cluster.tasks_of("/web")) ports.insert(cluster.task(id).host_ports.at(0));
  EXPECT_EQ(ports, (std::set<int>{31000, 31001, 31002, 31003}));
  EXPECT_EQ(reasons(make_app("/web")), (Reasons{{"InsufficientPorts", 1}}));
}

TEST_F(Launching, AFixedPortIsHeldByOneTaskAnAgent) {
  cluster.add_agents(2);
  model::App app = make_app("/web", 3);
  app.require_ports = true;
  app.port_definitions[0].port = 9000;
  cluster.put(app);
  EXPECT_EQ(agents_of("/web").size(), 2u);
  for (const auto& id : cluster.tasks_of("/web")) EXPECT_EQ(cluster.task(id).host_ports.at(0), 9000);
}

TEST_F(Launching, AFreedPortWaitsForItsQuarantineAndForEveryProxy) {
  auto seen = cluster.registration("a1");
  seen.ports = {31000, 31000};
  cluster.set_registration(seen);
  cluster.add_agents(1);
  cluster.join("p1");
  cluster.deploy(make_app("/web"));
  cluster.ack("p1");
  const model::Revision before{cluster.state.term, cluster.state.revision};
  cluster.put(make_app("/other"));
  fail_one();
  for (int i = 0; i < 38; ++i) {  // 76 s, and a proxy that renews its lease but does not apply
    cluster.ack_revision("p1", before);
    beat(2s);
  }
  EXPECT_TRUE(cluster.tasks_of("/other").empty());
  EXPECT_EQ(cluster.state.agents.at("a1").releases.size(), 1u);
  cluster.ack("p1");
  beat(2s);
  EXPECT_EQ(cluster.tasks_of("/other").size() + cluster.tasks_of("/web").size(), 1u);
  for (const auto& [key, value] : cluster.store) EXPECT_FALSE(key.starts_with("release/")) << key;
}

TEST_F(Launching, QuarantineSurvivesARestart) {
  auto seen = cluster.registration("a1");
  seen.ports = {31000, 31000};
  cluster.set_registration(seen);
  cluster.add_agents(1);
  cluster.deploy(make_app("/web"));
  fail_one();
  cluster.restart();
  beat(73s);
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  beat(4s);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Launching, AnAppGetsItsFixedPortBackAtOnce) {
  cluster.add_agents(1);
  model::App app = make_app("/web");
  app.require_ports = true;
  app.port_definitions[0].port = 9000;
  cluster.deploy(app);
  beat(11s);
  fail_one();
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
  model::App other = make_app("/other");
  other.require_ports = true;
  other.port_definitions[0].port = 9000;
  EXPECT_EQ(reasons(other), (Reasons{{"InsufficientPorts", 1}}));
}

TEST_F(Launching, UniqueDoesNotBlockARollingReplacement) {
  cluster.add_agents(2);
  model::App app = make_app("/web", 2);
  app.constraints.push_back({"hostname", model::ConstraintOperator::unique, {}});
  cluster.deploy(app);
  EXPECT_EQ(agents_of("/web").size(), 2u);
  app.env["v"] = "2";
  cluster.put(app);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 4u);
}

TEST(LaunchDelay, GrowsByItsFactorUpToItsMaximum) {
  model::App app;
  EXPECT_EQ(launch_delay(app, 0), 1s);
  EXPECT_EQ(launch_delay(app, 1), 1150ms);
  EXPECT_EQ(launch_delay(app, 1000), 300s);
  EXPECT_EQ(launch_delay(app, 1'000'000), 300s);
}

TEST_F(Launching, WhatNeverGotHealthyWaitsLongerEachTime) {
  cluster.add_agents(1);
  cluster.put(make_app("/web"));
  fail_one();
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  cluster.advance(999ms);
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  cluster.advance(1ms);
  ASSERT_EQ(cluster.tasks_of("/web").size(), 1u);
  fail_one();
  cluster.advance(1149ms);
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  cluster.advance(1ms);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Launching, WhatWasHealthyIsReplacedAtOnce) {
  cluster.add_agents(1);
  cluster.deploy(make_app("/web"));
  beat(10s);
  for (int i = 0; i < 5; ++i) {
    fail_one();
    ASSERT_EQ(cluster.tasks_of("/web").size(), 1u);
    cluster.run_all("/web");
    beat(10s);
  }
}

TEST_F(Launching, ACrashLoopThatLooksHealthyIsForgivenOnce) {
  cluster.add_agents(1);
  cluster.deploy(make_app("/web"));
  fail_one();
  ASSERT_EQ(cluster.tasks_of("/web").size(), 1u);
  cluster.run_all("/web");
  fail_one();
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
}

TEST_F(Launching, TheDelayIsKeptOverARestartAndResetByRequest) {
  cluster.add_agents(1);
  model::App app = make_app("/web");
  app.backoff = model::Seconds(100);
  cluster.put(app);
  fail_one();
  cluster.restart();
  beat(20s);
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  cluster.step(ResetDelay{.token = 1, .app = "/web"});
  EXPECT_TRUE(cluster.answer<Done>());
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Launching, ATaskThatDoesNotStartInTimeIsReplacedAndCountsAsAFailure) {
  cluster.add_agents(1);
  cluster.put(make_app("/web"));
  const auto id = cluster.tasks_of("/web").front();
  cluster.report(id, model::TaskState::starting);
  for (int i = 0; i < 59; ++i) {
    cluster.advance(5s);
    cluster.heartbeat("a1");
  }
  EXPECT_EQ(cluster.task(id).leaving, Leaving::no);
  cluster.advance(5s);
  EXPECT_EQ(cluster.kills(cluster.history), std::vector<model::TaskId>{id});
  EXPECT_EQ(cluster.state.apps.at("/web").last_failure->message, "it did not start within 300s");
  EXPECT_EQ(cluster.state.apps.at("/web").backoff.failures, 1);
  cluster.report(id, model::TaskState::killed);
  cluster.advance(5s);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Launching, ATaskThatRunsMayTakeItsTimeToBecomeHealthy) {
  cluster.add_agents(1);
  cluster.put(make_app("/web"));
  const auto id = cluster.tasks_of("/web").front();
  cluster.report(id, model::TaskState::running);
  for (int i = 0; i < 70; ++i) {
    cluster.advance(5s);
    cluster.heartbeat("a1");
  }
  EXPECT_EQ(cluster.task(id).leaving, Leaving::no);
}

TEST_F(Launching, AnAgentOfARoleTakesOnlyAppsThatAcceptIt) {
  auto reserved = cluster.registration("a1");
  reserved.role = "public";
  cluster.set_registration(reserved);
  cluster.heartbeat("a1");
  cluster.put(make_app("/web"));
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  EXPECT_EQ(explain_placement(cluster.state, make_app("/web"), cluster.now.instant),
            (std::map<std::string, int>{{"UnfulfilledRole", 1}}));
  model::App edge = make_app("/edge");
  edge.accepted_resource_roles = {"public"};
  cluster.put(edge);
  EXPECT_EQ(cluster.tasks_of("/edge").size(), 1u);
  cluster.heartbeat("a2");
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

}  // namespace
}  // namespace lotse::scheduler

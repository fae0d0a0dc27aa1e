// Deployments that get nowhere: they fail in time, and go back to the last good version (upgradeStrategy).
#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

class DeploymentProgress : public testing::Test {
 protected:
  DeploymentProgress() { cluster.add_agents(3); }

  static model::App checked(const std::string& value, int instances = 2) {
    model::App app = make_app("/web", instances);
    app.env["v"] = value;
    app.health_checks.push_back({.port_index = 0});
    return app;
  }
  void pass_checks() {
    for (const auto& id : cluster.tasks_of("/web")) {
      const Task& task = cluster.task(id);
      if (task.leaving != Leaving::no || task.alive) continue;
      if (task.state == model::TaskState::staging) cluster.report(id, model::TaskState::running);
      cluster.health({.task = id, .is_ready = true, .alive = true});
    }
  }
  void run_without_health() {
    for (const auto& id : cluster.tasks_of("/web")) {
      if (cluster.task(id).state == model::TaskState::staging) cluster.report(id, model::TaskState::running);
    }
  }
  void end_leaving() {
    for (const auto& id : cluster.tasks_of("/web")) {
      if (cluster.task(id).leaving == Leaving::killing) cluster.report(id, model::TaskState::killed);
    }
  }
  void beat(Duration time) {  // agents stay alive meanwhile
    for (Duration passed{0}; passed < time; passed += 5s) {
      cluster.advance(5s);
      end_leaving();
      for (const char* agent : {"a1", "a2", "a3"}) cluster.heartbeat(agent);
    }
  }
  const model::App& current() const { return *cluster.state.apps.at("/web").current; }
  const EndedDeployment& ended(const std::string& id) const {
    for (const EndedDeployment& each : cluster.state.ended_deployments) {
      if (each.id == id) return each;
    }
    throw std::runtime_error("not ended");
  }
  std::string started() const { return cluster.answer<DeploymentResult>()->deployment; }

  Harness cluster;
};

TEST_F(DeploymentProgress, ABadVersionFailsInTimeAndTheGoodOneComesBackUntouched) {
  cluster.put(checked("good"));
  pass_checks();
  ASSERT_TRUE(cluster.state.deployments.empty());
  const auto good_tasks = cluster.tasks_of("/web");
  const model::Version good = current().version;

  cluster.put(checked("bad"));
  const std::string bad = started();
  run_without_health();
  cluster.forget();
  beat(595s);
  EXPECT_TRUE(cluster.state.deployments.contains(bad));
  beat(40s);  // the deadline is looked at now and then
  EXPECT_FALSE(cluster.state.deployments.contains(bad));
  EXPECT_FALSE(ended(bad).is_success);
  EXPECT_EQ(ended(bad).reason, "no progress for 600s: /web: its tasks run and do not become healthy");
  EXPECT_TRUE(ended(ended(bad).rollback).is_success);
  const auto events = cluster.events(cluster.history);
  EXPECT_NE(std::find(events.begin(), events.end(), "deployment_step_failure"), events.end());
  EXPECT_NE(std::find(events.begin(), events.end(), "deployment_failed"), events.end());

  EXPECT_EQ(current().env.at("v"), "good");
  EXPECT_GT(current().version, good);
  end_leaving();
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_EQ(cluster.tasks_of("/web"), good_tasks) << "the good version's tasks served all the time";
}

TEST_F(DeploymentProgress, ForcedBadOnesOneAfterTheOtherStillReturnToTheGoodOne) {
  cluster.put(checked("good"));
  pass_checks();
  cluster.put(checked("bad"));
  cluster.put(checked("worse"), true);
  run_without_health();
  beat(640s);
  EXPECT_EQ(current().env.at("v"), "good");
}

TEST_F(DeploymentProgress, EachNewHealthyInstanceStartsTheTimeAnew) {
  model::App app = checked("1", 3);
  app.upgrade_strategy.progress_deadline = model::Seconds(100);
  cluster.put(app);
  const std::string id = started();
  run_without_health();
  for (const auto& task : cluster.tasks_of("/web")) {
    beat(80s);
    ASSERT_TRUE(cluster.state.deployments.contains(id));
    cluster.health({.task = task, .is_ready = true, .alive = true});
  }
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_TRUE(ended(id).is_success);
}

TEST_F(DeploymentProgress, ZeroWaitsForEver) {
  model::App app = checked("1");
  app.upgrade_strategy.progress_deadline = model::Seconds(0);
  cluster.put(app);
  run_without_health();
  beat(4000s);
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
}

TEST_F(DeploymentProgress, WithoutHealthChecksItFailsAndStaysUnlessAsked) {
  model::App app = make_app("/web");
  cluster.deploy(app);
  app.env["v"] = "huge";
  app.cpus = 100;
  cluster.put(app);
  const std::string first = started();
  beat(640s);
  EXPECT_EQ(ended(first).reason, "no progress for 600s: /web: InsufficientCpus on 3");
  EXPECT_EQ(ended(first).rollback, "");
  EXPECT_EQ(current().env.at("v"), "huge");

  app.upgrade_strategy.auto_rollback = true;
  cluster.put(app);
  beat(640s);
  EXPECT_FALSE(current().env.contains("v"));
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(DeploymentProgress, ANewAppHasNothingToReturnTo) {
  cluster.put(checked("bad"));
  const std::string id = started();
  run_without_health();
  beat(640s);
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_EQ(ended(id).rollback, "");
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);
}

TEST_F(DeploymentProgress, TheTimeSurvivesARestartOfTheScheduler) {
  cluster.put(checked("good"));
  pass_checks();
  cluster.put(checked("bad"));
  run_without_health();
  beat(400s);
  cluster.restart();
  for (const char* agent : {"a1", "a2", "a3"}) cluster.heartbeat(agent);
  beat(240s);
  EXPECT_EQ(current().env.at("v"), "good");
}

TEST_F(DeploymentProgress, LongRequestsOfTheOldTasksAreNoStandstill) {
  model::App app = make_app("/web");
  app.upgrade_strategy = {.minimum_health_capacity = 0,
                          .maximum_over_capacity = 0,
                          .progress_deadline = model::Seconds(30),
                          .auto_rollback = {}};
  app.drain_time = model::Seconds(300);
  cluster.deploy(app);
  cluster.join("p");
  cluster.ack("p");
  const auto old = cluster.tasks_of("/web").front();
  app.env["v"] = "2";
  cluster.put(app);
  cluster.ack("p", {{old, 1}});
  const std::string id = cluster.state.deployments.begin()->first;
  for (int i = 0; i < 50; ++i) {
    beat(5s);
    cluster.ack("p", {{old, 1}});
  }
  EXPECT_TRUE(cluster.state.deployments.contains(id));
}

}  // namespace
}  // namespace lotse::scheduler

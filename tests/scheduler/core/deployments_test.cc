// Changes of apps and what becomes of them: versions, locks, steps, events, cancelling.
#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

using Ids = std::vector<model::TaskId>;
using Texts = std::vector<std::string>;

class Deployments : public testing::Test {
 protected:
  Deployments() { cluster.add_agents(3); }

  const model::App& current(const model::AppId& id = "/web") const { return *cluster.state.apps.at(id).current; }
  Ids fresh() const { return cluster.tasks_of("/web", current().version); }
  Texts deployment_events() const {
    Texts types;
    for (const auto& type : cluster.events(cluster.history)) {
      if (type.starts_with("deployment") || type.starts_with("group") || type == "app_terminated_event") {
        types.push_back(type);
      }
    }
    return types;
  }
  void end_leaving(const model::AppId& app = "/web") {
    for (const auto& id : cluster.tasks_of(app)) {
      if (cluster.task(id).leaving == Leaving::killing) cluster.report(id, model::TaskState::killed);
    }
  }
  int status() const {
    auto error = cluster.answer<model::ApiError>();
    return error ? error->status : 0;
  }
  model::App with_env(const std::string& value, int instances = 1) const {
    model::App app = make_app("/web", instances);
    app.env["v"] = value;
    return app;
  }

  Harness cluster;
};

TEST_F(Deployments, ACreationSpeaksInMarathonsOrder) {
  cluster.deploy(make_app("/shop/web"));
  Texts types;
  for (const auto& type : cluster.events(cluster.history)) {
    if (type != "instance_changed_event") types.push_back(type);
  }
  EXPECT_EQ(types,
            (Texts{"group_change_success", "deployment_info", "deployment_step_success", "deployment_info",
                   "status_update_event", "status_update_event", "deployment_step_success", "deployment_success"}));
  EXPECT_EQ(cluster.said<Emit>(cluster.history).front().app, "/shop");
}

TEST_F(Deployments, VersionsIncreaseEvenWhenTheClockDoesNot) {
  cluster.deploy(make_app("/web"));
  model::Version last = current().version;
  cluster.now.wall -= std::chrono::hours(1);
  for (int i = 0; i < 3; ++i) {
    cluster.put(with_env(std::to_string(i)), true);
    EXPECT_GT(current().version, last);
    last = current().version;
  }
  cluster.restart();
  cluster.put(with_env("x"), true);
  EXPECT_GT(current().version, last);
}

TEST_F(Deployments, AnUnchangedPutSucceedsAtOnceAndChangesNothing) {
  cluster.deploy(make_app("/web"));
  const auto before = current();
  cluster.forget();
  cluster.put(make_app("/web"));
  EXPECT_TRUE(cluster.answer<DeploymentResult>());
  EXPECT_EQ(current(), before);
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_EQ(deployment_events(), (Texts{"group_change_success", "deployment_success"}));
}

TEST_F(Deployments, AScaleKeepsTheConfigurationsStamp) {
  cluster.deploy(make_app("/web"));
  const auto before = current();
  cluster.put(make_app("/web", 3));
  EXPECT_EQ(current().last_config_change_at, before.version);
  EXPECT_EQ(current().last_scaling_at, current().version);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 3u);
  cluster.run_all("/web");
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ScalingDownStopsTheYoungestFirst) {
  cluster.deploy(make_app("/web"));
  const auto oldest = cluster.tasks_of("/web").front();
  cluster.advance(1s);
  cluster.put(make_app("/web", 3));
  cluster.run_all("/web");
  cluster.put(make_app("/web", 1));
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web"), Ids{oldest});
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ServicePortsAreAssignedUniqueAndKept) {
  cluster.deploy(make_app("/web"));
  cluster.deploy(make_app("/api"));
  const int web = current().port_definitions.at(0).port, api = current("/api").port_definitions.at(0).port;
  EXPECT_GE(web, 10000);
  EXPECT_LE(web, 20000);
  EXPECT_NE(web, api);
  cluster.put(with_env("2"));
  EXPECT_EQ(current().port_definitions.at(0).port, web);
  cluster.step(ChangeApps{.remove = {"/api"}});
  cluster.deploy(make_app("/other"));
  EXPECT_EQ(current("/other").port_definitions.at(0).port, api);  // free again
}

TEST_F(Deployments, ANewConfigurationRollsWithNewOnesFirst) {
  cluster.deploy(make_app("/web", 3));
  const Ids old = cluster.tasks_of("/web");
  cluster.put(with_env("2", 3));
  ASSERT_EQ(fresh().size(), 3u);
  EXPECT_TRUE(cluster.kills(cluster.commands).empty());
  cluster.run(fresh()[0]);
  EXPECT_EQ(cluster.kills(cluster.commands).size(), 1u);
  cluster.run(fresh()[1]);
  cluster.run(fresh()[2]);
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web"), fresh());
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ARestartReplacesAllThoughNothingDiffers) {
  cluster.deploy(make_app("/web"));
  const auto old = cluster.tasks_of("/web").front();
  cluster.step(ChangeApps{.token = 1, .restart = {"/web"}});
  EXPECT_TRUE(cluster.answer<DeploymentResult>());
  ASSERT_EQ(fresh().size(), 1u);
  cluster.run(fresh()[0]);
  EXPECT_EQ(cluster.kills(cluster.history), Ids{old});
}

TEST_F(Deployments, ANewTaskThatDiesIsReplacedAndWaitedFor) {
  cluster.put(make_app("/web"));
  cluster.report(cluster.tasks_of("/web").front(), model::TaskState::failed, "no such image");
  EXPECT_EQ(cluster.state.apps.at("/web").last_failure->message, "no such image");
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  EXPECT_TRUE(cluster.state.queue.contains("/web"));
  cluster.advance(1s);
  cluster.run_all("/web");
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_FALSE(cluster.state.queue.contains("/web"));
}

TEST_F(Deployments, ReadinessIsWaitedFor) {
  model::App app = make_app("/web");
  app.readiness_checks.emplace_back();
  cluster.deploy(app);
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  cluster.health({.task = cluster.tasks_of("/web").front(), .is_ready = true, .readiness_passed = true});
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, HealthChecksAreWaitedFor) {
  model::App app = make_app("/web");
  app.health_checks.emplace_back();
  cluster.put(app);
  const auto id = cluster.tasks_of("/web").front();
  cluster.report(id, model::TaskState::running);
  cluster.health({.task = id, .is_ready = false});
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  EXPECT_FALSE(cluster.in_table(id));
  cluster.health({.task = id, .is_ready = true, .alive = true});
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ALockedAppIsRefusedInMarathonsWords) {
  cluster.put(make_app("/web"));
  const auto lock = cluster.state.deployments.begin()->first;
  cluster.put(with_env("2"));
  ASSERT_EQ(status(), 409);
  EXPECT_EQ(cluster.answer<model::ApiError>()->message,
            "App is locked by one or more deployments. Override with the option '?force=true'. View details at "
            "'/v2/deployments/<DEPLOYMENT_ID>'.");
  EXPECT_EQ(cluster.answer<model::ApiError>()->deployments, Texts{lock});
  EXPECT_TRUE(current().env.empty());
}

TEST_F(Deployments, ForceCancelsTheOlderOne) {
  cluster.put(make_app("/web"));
  const auto lock = cluster.state.deployments.begin()->first;
  cluster.forget();
  cluster.put(with_env("2"), true);
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  EXPECT_FALSE(cluster.state.deployments.contains(lock));
  EXPECT_EQ(deployment_events().front(), "deployment_failed");
  cluster.run_all("/web");
  end_leaving();
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ADeletedAppIsGoneAtOnceAndItsTasksInTime) {
  cluster.deploy(make_app("/web", 2));
  cluster.step(ChangeApps{.token = 1, .remove = {"/web"}});
  EXPECT_TRUE(cluster.answer<DeploymentResult>());
  EXPECT_EQ(find_app(cluster.state, "/web"), nullptr);
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);
  cluster.forget();
  end_leaving();
  EXPECT_EQ(deployment_events(), (Texts{"app_terminated_event", "deployment_step_success", "deployment_success"}));
  EXPECT_TRUE(cluster.state.apps.empty());
  EXPECT_TRUE(cluster.state.tasks.empty());
  for (const auto& [key, value] : cluster.store) {
    EXPECT_TRUE(key.starts_with("agent/") || key.starts_with("release/") || key == "last_version" ||
                key.starts_with("history/"))
        << key;
  }
}

TEST_F(Deployments, ADeletedAppThatRunsNothingIsTerminatedAsWell) {
  cluster.deploy(make_app("/web", 0));
  cluster.forget();
  cluster.step(ChangeApps{.token = 1, .remove = {"/web"}});
  EXPECT_EQ(deployment_events(), (Texts{"group_change_success", "deployment_info", "app_terminated_event",
                                        "deployment_step_success", "deployment_success"}));
}

TEST_F(Deployments, WhatDoesNotExistIsSaid) {
  cluster.step(ChangeApps{.token = 1, .remove = {"/web"}});
  EXPECT_EQ(status(), 404);
  EXPECT_EQ(cluster.answer<model::ApiError>()->message, "App '/web' does not exist");
  cluster.step(CancelDeployment{.token = 1, .deployment = "x"});
  EXPECT_EQ(cluster.answer<model::ApiError>()->message, "DeploymentPlan x does not exist");
  cluster.step(ResetDelay{.token = 1, .app = "/web"});
  EXPECT_EQ(cluster.answer<model::ApiError>()->message, "Application /web not found in tasks queue.");
  cluster.deploy(make_app("/web"));
  cluster.step(ChangeApps{.token = 1, .set = {make_app("/web")}, .create_only = {"/web"}});
  EXPECT_EQ(status(), 409);
  EXPECT_EQ(cluster.answer<model::ApiError>()->message, "An app with id [/web] already exists.");
}

TEST_F(Deployments, ACancelWithForceLeavesWhatIsHalfDone) {
  cluster.deploy(make_app("/web", 2));
  cluster.put(with_env("2", 2));
  cluster.run(fresh()[0]);
  cluster.step(CancelDeployment{.token = 1, .deployment = cluster.state.deployments.begin()->first, .force = true});
  EXPECT_TRUE(cluster.answer<Done>());
  EXPECT_TRUE(cluster.state.deployments.empty());
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);  // the surplus went
}

TEST_F(Deployments, ACancelGoesBackAndKeepsWhatStillRuns) {
  cluster.deploy(make_app("/web", 2));
  const Ids old = cluster.tasks_of("/web");
  cluster.put(with_env("2", 2));
  ASSERT_EQ(fresh().size(), 2u);
  cluster.step(CancelDeployment{.token = 1, .deployment = cluster.state.deployments.begin()->first});
  EXPECT_TRUE(cluster.answer<DeploymentResult>());
  EXPECT_TRUE(current().env.empty());
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web"), old);
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ACancelledCreationIsDeleted) {
  cluster.put(make_app("/web"));
  cluster.step(CancelDeployment{.token = 1, .deployment = cluster.state.deployments.begin()->first});
  end_leaving();
  EXPECT_TRUE(cluster.state.apps.empty());
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, DependenciesGoFirst) {
  model::App web = make_app("/web"), db = make_app("/data/db");
  web.dependencies = {"/data"};
  cluster.step(ChangeApps{.set = {web, db}});
  EXPECT_EQ(cluster.tasks_of("/data/db").size(), 1u);
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  cluster.run_all("/data/db");
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Deployments, ACyclicDependencyIsRefused) {
  model::App web = make_app("/web"), db = make_app("/db");
  web.dependencies = {"/db"};
  db.dependencies = {"/web"};
  cluster.step(ChangeApps{.token = 1, .set = {web, db}});
  EXPECT_EQ(status(), 422);
  EXPECT_TRUE(cluster.state.apps.empty());
}

TEST_F(Deployments, AKilledTaskIsReplacedWithoutADeployment) {
  cluster.deploy(make_app("/web", 2));
  const auto id = cluster.tasks_of("/web").front();
  cluster.step(KillTasks{.token = 1, .tasks = {id, "unknown"}});
  EXPECT_EQ(cluster.answer<KilledTasks>()->tasks, Ids{id});
  EXPECT_TRUE(cluster.state.deployments.empty());
  EXPECT_EQ(cluster.launches(cluster.commands).size(), 1u);
}

TEST_F(Deployments, ASingleInstanceAppNeverHasTwo) {
  model::App app = make_app("/web");
  app.upgrade_strategy = {0, 0};
  cluster.deploy(app);
  const auto id = cluster.tasks_of("/web").front();
  cluster.step(KillTasks{.tasks = {id}});
  EXPECT_TRUE(cluster.launches(cluster.commands).empty());
  cluster.report(id, model::TaskState::killed);
  EXPECT_EQ(cluster.launches(cluster.commands).size(), 1u);
}

TEST_F(Deployments, KillAndScaleTakesTheNamedOnes) {
  cluster.deploy(make_app("/web", 3));
  const auto named = cluster.tasks_of("/web")[1];
  cluster.step(KillTasks{.token = 1, .tasks = {named}, .scale = true});
  EXPECT_TRUE(cluster.answer<DeploymentResult>());
  EXPECT_EQ(current().instances, 2);
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{named});
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, ARestartedSchedulerGoesOn) {
  cluster.deploy(make_app("/web", 2));
  cluster.put(with_env("2", 2));
  cluster.restart();
  cluster.add_agents(3);
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  for (const auto& id : fresh()) cluster.run(id);
  end_leaving();
  EXPECT_EQ(cluster.tasks_of("/web"), fresh());
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(Deployments, OnlyTheLastVersionsAreKept) {
  Settings settings;
  settings.versions_max = 3;
  Harness small(settings);
  small.add_agents(1);
  for (int i = 0; i < 8; ++i) {
    model::App app = make_app("/web", 0);
    app.env["v"] = std::to_string(i);
    small.put(app);
  }
  EXPECT_EQ(small.state.apps.at("/web").versions.size(), 3u);
  small.restart();
  EXPECT_EQ(small.state.apps.at("/web").versions.size(), 3u);
}

}  // namespace
}  // namespace lotse::scheduler

// Agents: identity, fencing, reconciliation, loss and return.
#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

using Ids = std::vector<model::TaskId>;

class Agents : public testing::Test {
 protected:
  Agents() { cluster.add_agents(1); }
  model::TaskId start_one(const model::App& app = make_app("/web")) {
    cluster.deploy(app);
    return cluster.tasks_of("/web").front();
  }
  // `silence` in which the named agents go on beating.
  void pass(Duration silence, const std::vector<std::string>& beating = {}) {
    for (; silence > 0s; silence -= 3s) {
      for (const auto& id : beating) cluster.heartbeat(id);
      cluster.advance(std::min<Duration>(silence, 3s));
    }
  }
  Harness cluster;
};

TEST_F(Agents, ALaterStartFromTheSameDataReplacesTheEarlier) {
  auto again = cluster.registration("a1");
  again.incarnation = 2;
  cluster.step(AgentRegistered{1, again});
  EXPECT_TRUE(cluster.answer<model::AgentAnswer>());
  cluster.step(AgentRegistered{1, cluster.registration("a1")});
  ASSERT_TRUE(cluster.answer<model::ApiError>());
  EXPECT_EQ(cluster.answer<model::ApiError>()->status, 409);
}

TEST_F(Agents, AnotherDataDirectoryWithTheSameIdIsRefusedWhileTheFirstIsNotLost) {
  auto other = cluster.registration("a1");
  other.data_id = "other";
  cluster.step(AgentRegistered{1, other});
  ASSERT_TRUE(cluster.answer<model::ApiError>());
  EXPECT_EQ(cluster.answer<model::ApiError>()->status, 409);
  cluster.advance(60s);
  cluster.step(AgentRegistered{1, other});
  EXPECT_TRUE(cluster.answer<model::AgentAnswer>());
}

TEST_F(Agents, AHigherTermFencesUs) {
  auto seen = cluster.registration("a1");
  seen.term = 2;
  cluster.step(AgentRegistered{1, seen});
  ASSERT_TRUE(cluster.answer<model::ApiError>());
  EXPECT_EQ(cluster.answer<model::ApiError>()->status, 409);
}

TEST_F(Agents, AnotherClustersAgentIsRefused) {
  auto seen = cluster.registration("a1");
  seen.cluster = "c2";
  cluster.step(AgentRegistered{1, seen});
  EXPECT_TRUE(cluster.answer<model::ApiError>());
}

TEST_F(Agents, ALaunchIsSentAgainUntilItIsConfirmed) {
  cluster.put(make_app("/web"));
  const auto id = cluster.tasks_of("/web").front();
  cluster.step(AgentConnected{"a1"});
  EXPECT_EQ(cluster.launches(cluster.commands), Ids{id});
  cluster.list("a1", {});
  EXPECT_EQ(cluster.launches(cluster.commands), Ids{});  // it may be on its way
  cluster.advance(10s);
  cluster.list("a1", {});
  EXPECT_EQ(cluster.launches(cluster.commands), Ids{id});
  cluster.report(id, model::TaskState::starting);
  cluster.step(AgentConnected{"a1"});
  EXPECT_EQ(cluster.launches(cluster.commands), Ids{});
}

TEST_F(Agents, AKillIsSentAgainUntilTheTaskHasEnded) {
  const auto id = start_one();
  cluster.step(KillTasks{.tasks = {id}});
  cluster.step(AgentConnected{"a1"});
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{id});
  cluster.report(id, model::TaskState::killed);
  cluster.step(AgentConnected{"a1"});
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{});
}

TEST_F(Agents, AStatusCountsOnce) {
  const auto id = start_one();
  model::StatusReport report{.data_id = "data-a1", .incarnation = 1};
  report.statuses.push_back({.number = 7, .task = id, .state = model::TaskState::failed});
  cluster.step(AgentReported{5, "a1", report});
  EXPECT_EQ(cluster.answer<model::StatusAnswer>()->acknowledged, 7u);
  cluster.forget();
  cluster.step(AgentReported{5, "a1", report});
  EXPECT_EQ(cluster.answer<model::StatusAnswer>()->acknowledged, 7u);
  EXPECT_TRUE(cluster.events(cluster.history).empty());
  cluster.restart();
  cluster.forget();
  cluster.step(AgentReported{5, "a1", report});
  EXPECT_TRUE(cluster.events(cluster.history).empty());
}

TEST_F(Agents, WhatTheAgentHasAndWeDoNotKnowIsKilled) {
  cluster.list("a1", {{"web.instance-x._app.1", model::TaskState::running}});
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{"web.instance-x._app.1"});
  model::StatusReport report{.data_id = "data-a1", .incarnation = 1};
  report.statuses.push_back({.number = 1, .task = "web.instance-x._app.1", .state = model::TaskState::killed});
  cluster.step(AgentReported{5, "a1", report});
  EXPECT_EQ(cluster.events(cluster.commands), std::vector<std::string>{"unknown_instance_terminated_event"});
}

TEST_F(Agents, AConfirmedTaskThatIsNotListedIsLostAfterAMoment) {
  const auto id = start_one();
  cluster.forget();
  cluster.list("a1", {});
  EXPECT_TRUE(cluster.state.tasks.contains(id));  // its end may be on its way
  cluster.advance(5s);
  cluster.list("a1", {});
  EXPECT_FALSE(cluster.state.tasks.contains(id));
  EXPECT_EQ(cluster.launches(cluster.history).size(), 1u);
  for (const auto& published : cluster.said<PublishRoutes>(cluster.history)) {
    for (const auto& gone : published.update.gone) EXPECT_EQ(gone.why, model::GoneWhy::lost);
  }
}

TEST_F(Agents, AreNotLostForAPauseOfTheSchedulerItself) {
  const auto id = start_one();
  cluster.forget();
  cluster.pause(1h);
  EXPECT_EQ(cluster.state.tasks.at(id).state, model::TaskState::running);
  EXPECT_TRUE(cluster.said<PublishRoutes>(cluster.history).empty());
  cluster.advance(60s);  // but for their own
  EXPECT_FALSE(cluster.said<PublishRoutes>(cluster.history).empty());
}

TEST_F(Agents, ASuspectAgentGetsNothingNew) {
  cluster.advance(10s);
  cluster.put(make_app("/web"));
  EXPECT_TRUE(cluster.tasks_of("/web").empty());
  EXPECT_EQ(explain_placement(cluster.state, make_app("/web"), cluster.now.instant),
            (std::map<std::string, int>{{"AgentSuspect", 1}}));
  cluster.heartbeat("a1");
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
}

TEST_F(Agents, ALostAgentsTasksAreReplacedElsewhere) {
  const auto id = start_one();
  cluster.add_agents(2);
  cluster.forget();
  pass(60s, {"a2"});
  ASSERT_EQ(cluster.tasks_of("/web").size(), 1u);
  const auto replacement = cluster.tasks_of("/web").front();
  EXPECT_NE(replacement, id);
  EXPECT_EQ(cluster.task(replacement).agent, "a2");
  EXPECT_EQ(find_task(cluster.state, id), nullptr);
  bool seen = false;
  for (const auto& published : cluster.said<PublishRoutes>(cluster.history)) {
    for (const auto& gone : published.update.gone) seen |= gone == model::GoneTask{id, model::GoneWhy::lost};
  }
  EXPECT_TRUE(seen);
  // It comes back: what was replaced is killed, and holds its resources until it is gone.
  cluster.list("a1", {{id, model::TaskState::running}});
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{id});
  cluster.step(AgentConnected{"a1"});
  EXPECT_EQ(cluster.kills(cluster.commands), Ids{id});
  EXPECT_NE(cluster.state.agents.at("a1").used, Resources{});
  cluster.list("a1", {});
  EXPECT_EQ(cluster.state.agents.at("a1").used, Resources{});
}

TEST_F(Agents, AnAppMayWaitForAnUnreachableTask) {
  model::App app = make_app("/web");
  app.unreachable_strategy.inactive_after = model::Seconds(100);
  app.unreachable_strategy.expunge_after = model::Seconds(200);
  const auto id = start_one(app);
  cluster.add_agents(2);
  pass(60s, {"a2"});
  EXPECT_EQ(cluster.task(id).state, model::TaskState::unreachable);
  EXPECT_FALSE(cluster.in_table(id));
  EXPECT_EQ(cluster.tasks_of("/web"), Ids{id});
  cluster.list("a1", {{id, model::TaskState::running}});
  EXPECT_EQ(cluster.task(id).state, model::TaskState::running);
  EXPECT_TRUE(cluster.in_table(id));
  pass(60s + 100s, {"a2"});
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);  // it is inactive: another takes its place
  pass(100s, {"a2"});
  EXPECT_EQ(cluster.tasks_of("/web").size(), 1u);
  EXPECT_EQ(find_task(cluster.state, id), nullptr);
}

TEST_F(Agents, ASchedulerRestartLetsNothingLeaveTheTable) {
  const auto id = start_one();
  const auto before = all_endpoints(cluster.state);
  cluster.advance(9s);
  cluster.restart();
  EXPECT_EQ(all_endpoints(cluster.state), before);
  cluster.forget();
  cluster.advance(59s);
  EXPECT_EQ(all_endpoints(cluster.state), before);
  cluster.list("a1", {{id, model::TaskState::running}});
  EXPECT_EQ(all_endpoints(cluster.state), before);
  EXPECT_TRUE(cluster.said<PublishRoutes>(cluster.history).empty());
}

TEST_F(Agents, ARestartedAgentThatForgotHealthChangesNoEndpoint) {
  model::App app = make_app("/web");
  app.health_checks.emplace_back();
  cluster.put(app);
  const auto id = cluster.tasks_of("/web").front();
  cluster.report(id, model::TaskState::running);
  cluster.health({.task = id, .is_ready = true, .alive = true});
  cluster.forget();
  cluster.health({.task = id, .is_ready = false});
  EXPECT_TRUE(cluster.said<PublishRoutes>(cluster.history).empty());
  cluster.health({.task = id, .is_ready = true, .alive = false});
  EXPECT_EQ(cluster.state.table.at(id).front().state, model::EndpointState::down);
}

TEST_F(Agents, ANewAddressMovesItsEndpoints) {
  const auto id = start_one();
  cluster.forget();
  auto moved = cluster.registration("a1");
  moved.host = "10.9.9.9";
  moved.incarnation = 2;
  cluster.step(AgentRegistered{1, moved});
  const auto updates = cluster.said<PublishRoutes>(cluster.history);
  ASSERT_EQ(updates.size(), 2u);
  EXPECT_EQ(updates[0].update.gone.at(0).task, id);
  EXPECT_EQ(updates[1].update.set.at(0).host, "10.9.9.9");
  EXPECT_EQ(updates[1].update.from, updates[0].update.to);
}

TEST_F(Agents, AMachineThatNeverComesBackIsForgotten) {
  start_one();
  cluster.advance(60s + std::chrono::hours(24));
  EXPECT_TRUE(cluster.state.agents.empty());
  EXPECT_TRUE(cluster.state.tasks.empty());
  cluster.restart();
  EXPECT_TRUE(cluster.state.agents.empty());
}

}  // namespace
}  // namespace lotse::scheduler

// Draining a node: its tasks are replaced elsewhere before they go, by the route barrier, and nothing new comes.
#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

class NodeDrain : public testing::Test {
 protected:
  void drain(const std::string& agent, bool is_wanted = true) {
    cluster.step(DrainAgent{.token = 1, .agent = agent, .is_wanted = is_wanted});
  }
  std::vector<model::TaskId> on(const std::string& agent) const {
    const auto& tasks = cluster.state.agents.at(agent).tasks;
    return {tasks.begin(), tasks.end()};
  }
  Harness cluster;
};

TEST_F(NodeDrain, ATaskGoesOnlyWhenItsReplacementServesElsewhere) {
  cluster.add_agents(1);
  cluster.join("p");
  cluster.put(make_app("/web"));
  cluster.run_all("/web");
  cluster.ack("p");
  ASSERT_TRUE(cluster.state.deployments.empty());
  const auto old = cluster.tasks_of("/web").front();
  cluster.add_agents(2);
  drain("a1");
  EXPECT_TRUE(cluster.answer<Done>());
  ASSERT_EQ(on("a2").size(), 1u);
  const auto fresh = on("a2").front();
  EXPECT_EQ(cluster.task(old).leaving, Leaving::no);
  cluster.run(fresh);
  EXPECT_EQ(cluster.task(old).leaving, Leaving::no) << "the proxy does not know the new one yet";
  cluster.ack("p");
  EXPECT_EQ(cluster.task(old).leaving, Leaving::draining);
  cluster.ack("p", {{old, 1}});
  EXPECT_EQ(cluster.task(old).leaving, Leaving::draining) << "a request is under way";
  cluster.ack("p");
  EXPECT_EQ(cluster.kills(cluster.commands), std::vector<model::TaskId>{old});
  cluster.report(old, model::TaskState::killed);
  EXPECT_TRUE(on("a1").empty());
  EXPECT_EQ(cluster.tasks_of("/web"), std::vector<model::TaskId>{fresh});
}

TEST_F(NodeDrain, NothingNewComesAndItLastsOverARestart) {
  cluster.add_agents(2);
  drain("a1");
  cluster.restart();
  cluster.add_agents(2);
  cluster.deploy(make_app("/web", 4));
  EXPECT_TRUE(on("a1").empty());
  EXPECT_EQ(on("a2").size(), 4u);
  drain("a1", false);
  cluster.put(make_app("/web", 8));
  EXPECT_EQ(on("a1").size(), 4u);
}

TEST_F(NodeDrain, WithoutRoomElsewhereTheTasksStayAndTheQueueSaysWhy) {
  cluster.add_agents(1);
  cluster.deploy(make_app("/web", 2));
  drain("a1");
  EXPECT_EQ(on("a1").size(), 2u);
  EXPECT_TRUE(cluster.kills(cluster.history).empty());
  ASSERT_TRUE(cluster.state.queue.contains("/web"));
  const auto reasons = explain_placement(cluster.state, make_app("/web"), cluster.now.instant);
  EXPECT_EQ(reasons, (std::map<std::string, int>{{"AgentMaintenance", 1}}));
  drain("a1", false);
  EXPECT_FALSE(cluster.state.queue.contains("/web"));
  EXPECT_EQ(cluster.tasks_of("/web").size(), 2u);
}

TEST_F(NodeDrain, AnAppThatMustNotRunTwiceStopsFirst) {
  cluster.add_agents(2);
  model::App app = make_app("/single");
  app.upgrade_strategy.minimum_health_capacity = app.upgrade_strategy.maximum_over_capacity = 0;
  cluster.deploy(app);
  const auto old = cluster.tasks_of("/single").front();
  drain(cluster.task(old).agent);
  EXPECT_EQ(cluster.kills(cluster.commands), std::vector<model::TaskId>{old});
  EXPECT_EQ(cluster.tasks_of("/single").size(), 1u);
  cluster.report(old, model::TaskState::killed);
  ASSERT_EQ(cluster.tasks_of("/single").size(), 1u);
  EXPECT_NE(cluster.tasks_of("/single").front(), old);
}

TEST_F(NodeDrain, AnUnknownNodeIsAnError) {
  drain("nobody");
  EXPECT_EQ(cluster.answer<model::ApiError>()->status, 404);
}

}  // namespace
}  // namespace lotse::scheduler

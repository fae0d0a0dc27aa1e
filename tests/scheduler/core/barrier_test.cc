// The route barrier (design section 4), told in scenes.
#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

using Ids = std::vector<model::TaskId>;

class RouteBarrier : public testing::Test {
 protected:
  RouteBarrier() { cluster.add_agents(2); }

  model::TaskId start_one(const model::App& app = make_app("/web")) {
    cluster.deploy(app);
    return cluster.tasks_of("/web").front();
  }
  void kill(const model::TaskId& id) {
    cluster.forget();
    cluster.step(KillTasks{.token = 3, .tasks = {id}});
  }
  Ids kills() const { return cluster.kills(cluster.history); }

  Harness cluster;
};

TEST_F(RouteBarrier, KillsAtOnceWhenNoProxyHoldsALease) {
  const auto id = start_one();
  kill(id);
  EXPECT_EQ(kills(), Ids{id});
  const auto updates = cluster.said<PublishRoutes>(cluster.history);
  ASSERT_FALSE(updates.empty());
  EXPECT_EQ(updates[0].update.set.at(0).state, model::EndpointState::draining);
}

TEST_F(RouteBarrier, KillWaitsUntilEveryProxyHasAppliedAndNothingIsInFlight) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.join("p2");
  cluster.ack("p1");
  cluster.ack("p2");
  kill(id);
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p2", {{id, 2}});
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p2", {{id, 1}});
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p2");
  EXPECT_EQ(kills(), Ids{id});
  EXPECT_TRUE(cluster.in_table(id));  // until it has ended
  cluster.report(id, model::TaskState::killed);
  EXPECT_FALSE(cluster.in_table(id));
}

class DnsBarrier : public testing::Test {
 protected:
  static Settings settings() {
    Settings with_dns;
    with_dns.dns_ttl = 5s;
    return with_dns;
  }
  DnsBarrier() {
    cluster.add_agents(1);
    cluster.deploy(make_app("/web"));
    id = cluster.tasks_of("/web").front();
  }
  void kill() {
    cluster.forget();
    cluster.step(KillTasks{.token = 3, .tasks = {id}});
  }
  void follow() { cluster.step(DnsFollowed{cluster.state.revision}); }
  Ids kills() const { return cluster.kills(cluster.history); }

  Harness cluster{settings()};
  model::TaskId id;
};

TEST_F(DnsBarrier, KillWaitsForOneTtlFromWhenDnsDoesNotTellTheTask) {
  kill();
  cluster.advance(2s);  // the disk was slow: DNS told it all the while
  EXPECT_EQ(kills(), Ids{});
  follow();
  cluster.advance(4900ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(100ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(DnsBarrier, ARevisionBeforeItDrainedSaysNothing) {
  cluster.step(DnsFollowed{cluster.state.revision});
  const std::uint64_t before = cluster.state.revision;
  kill();
  cluster.step(DnsFollowed{before});
  cluster.advance(6s);
  EXPECT_EQ(kills(), Ids{});
}

TEST_F(DnsBarrier, BothDnsAndTheProxiesMustBeDone) {
  cluster.join("p1");
  cluster.ack("p1");
  kill();
  follow();
  for (int i = 0; i < 3; ++i) {
    cluster.advance(2s);
    cluster.ack("p1", {{id, 1}});
  }
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(DnsBarrier, AfterARestartTheTtlCountsAnew) {
  kill();
  follow();
  cluster.advance(4s);
  cluster.restart();
  cluster.add_agents(1);
  cluster.forget();
  cluster.advance(4s);
  EXPECT_EQ(kills(), Ids{});
  follow();
  cluster.advance(5s);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AnOlderAcknowledgementDoesNotOpenIt) {
  const auto id = start_one();
  cluster.join("p1");
  const model::Revision before{cluster.state.term, cluster.state.revision};
  kill(id);
  cluster.ack_revision("p1", before);
  EXPECT_EQ(kills(), Ids{});
  cluster.ack_revision("p1", {cluster.state.term - 1, cluster.state.revision + 100});  // another epoch's number
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AReportOvertakenOnItsWayChangesNothing) {
  const auto id = start_one();
  cluster.join("p1");
  const model::Revision before{cluster.state.term, cluster.state.revision};
  kill(id);
  cluster.ack("p1", {{id, 1}});
  cluster.ack_revision("p1", before);  // late, and it knows of no draining task
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, TheDeadlineCountsFromTheLastAcknowledgement) {
  const auto id = start_one();
  cluster.join("p1");
  kill(id);
  for (int i = 0; i < 10; ++i) {  // 30 s in which it renews its lease but does not apply
    cluster.advance(3s);
    cluster.add_agents(2);
    cluster.ack_revision("p1", {cluster.state.term, 1});
  }
  for (int i = 0; i < 19; ++i) {
    cluster.ack("p1", {{id, 1}});
    cluster.add_agents(2);
    cluster.advance(3s);
  }
  cluster.ack("p1", {{id, 1}});
  cluster.advance(2999ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(1ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AnAppMaySayItsDeadline) {
  model::App app = make_app("/web");
  app.labels["lotse.drainSeconds"] = "2.5";
  const auto id = start_one(app);
  cluster.join("p1");
  kill(id);
  cluster.ack("p1", {{id, 1}});
  cluster.advance(2499ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(1ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AProxyThatDiesCostsOneLease) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  kill(id);
  cluster.advance(11999ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(1ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AJoinerBlocksUntilItsFirstReport) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  kill(id);
  cluster.join("p2");
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p2");
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, BothBootsOfATakeoverCount) {
  const auto id = start_one();
  cluster.step(ProxyJoined{"p1", "old"});
  cluster.step(ProxyJoined{"p1", "new"});
  kill(id);
  const model::Revision applied{cluster.state.term, cluster.state.revision};
  cluster.step(ProxyReported{7, "p1", {.boot = "new", .applied = applied}});
  EXPECT_EQ(kills(), Ids{});
  cluster.step(ProxyReported{7, "p1", {.boot = "old", .applied = applied}});
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, ATaskThatWasNeverPublishedNeedsNone) {
  cluster.put(make_app("/web"));
  const auto id = cluster.tasks_of("/web").front();
  cluster.join("p1");
  kill(id);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, ATaskThatDiesLeavesTheTableAtOnce) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.forget();
  cluster.report(id, model::TaskState::failed, "exit 1");
  const auto updates = cluster.said<PublishRoutes>(cluster.history);
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(updates[0].update.gone, (std::vector<model::GoneTask>{{id, model::GoneWhy::asked}}));
}

TEST_F(RouteBarrier, ADeploymentEndsOnlyWhenEveryProxyCanUseTheNewTask) {
  cluster.join("p1");
  cluster.join("p2");
  cluster.put(make_app("/web"));
  const auto id = cluster.tasks_of("/web").front();
  cluster.run(id);
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  cluster.ack("p1");
  cluster.ack("p2", {}, {id});  // applied, but its own check has not passed
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  cluster.ack("p2");
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(RouteBarrier, AJoinerHoldsADeploymentBackToo) {
  cluster.join("p1");
  cluster.put(make_app("/web"));
  cluster.run_all("/web");
  cluster.join("p2");
  cluster.ack("p1");
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  cluster.advance(12s);  // p2 died again; p1 was silent too
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(RouteBarrier, OldTasksGoOnlyWhenNewOnesServeThroughEveryProxy) {
  const auto old = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  model::App app = make_app("/web");
  app.env["v"] = "2";
  cluster.forget();
  cluster.put(app);
  const auto version = cluster.state.apps.at("/web").current->version;
  const auto fresh = cluster.tasks_of("/web", version).front();
  cluster.run(fresh);
  EXPECT_EQ(cluster.task(old).leaving, Leaving::no);
  cluster.ack("p1");
  EXPECT_EQ(cluster.task(old).leaving, Leaving::draining);
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1", {{old, 1}});
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{old});
  EXPECT_EQ(cluster.state.deployments.size(), 1u);
  cluster.report(old, model::TaskState::killed);
  EXPECT_TRUE(cluster.state.deployments.empty());
}

TEST_F(RouteBarrier, AfterARestartKnownProxiesCountForOneLease) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  cluster.restart();
  kill(id);
  cluster.advance(11999ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(1ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AfterAPauseOfTheSchedulerItselfProxiesCountForOneLease) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  kill(id);
  cluster.ack("p1", {{id, 1}});
  cluster.pause(30s);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(11999ms);
  EXPECT_EQ(kills(), Ids{});
  cluster.advance(1ms);
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, StartsAnewForWhatDrainedBeforeARestart) {
  const auto id = start_one();
  cluster.join("p1");
  cluster.ack("p1");
  kill(id);
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});  // sent, but nobody saw the end
  cluster.restart();
  cluster.forget();
  ASSERT_TRUE(cluster.in_table(id));
  EXPECT_EQ(cluster.state.table.at(id).front().state, model::EndpointState::draining);
  cluster.step(AgentConnected{cluster.task(id).agent});
  EXPECT_EQ(kills(), Ids{});
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});
}

TEST_F(RouteBarrier, AnUnhealthyTaskDrainsBeforeItIsKilled) {
  model::App app = make_app("/web");
  app.health_checks.emplace_back();
  cluster.put(app);
  const auto id = cluster.tasks_of("/web").front();
  cluster.report(id, model::TaskState::running);
  cluster.health({.task = id, .is_ready = true, .alive = true});
  cluster.join("p1");
  cluster.ack("p1");
  cluster.forget();
  cluster.health({.task = id, .is_ready = true, .alive = false, .wants_kill = true});
  EXPECT_EQ(kills(), Ids{});
  const auto events = cluster.events(cluster.history);
  EXPECT_NE(std::find(events.begin(), events.end(), "unhealthy_instance_kill_event"), events.end());
  cluster.ack("p1");
  EXPECT_EQ(kills(), Ids{id});
}

}  // namespace
}  // namespace lotse::scheduler

// The whole scheduler, by what an agent, a proxy and a client of Marathon's API see of it.
#include "scheduler/server/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

using SchedulerTest = ClusterTest;

TEST_F(SchedulerTest, AnAppIsPlacedStartedRoutedAndItsDeploymentEnds) {
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  json definition = hello();
  definition["healthChecks"] = json::array({{{"protocol", "HTTP"}, {"path", "/"}}});
  json result = put_app("/hello", definition);
  EXPECT_FALSE(result.value("deploymentId", "").empty());
  ASSERT_TRUE(wait_until([&] { return agent.running.size() == 1; }));
  const auto& [task, launch] = *agent.running.begin();
  EXPECT_EQ(launch.app.id, "/hello");
  ASSERT_EQ(launch.host_ports.size(), 1u);
  EXPECT_GE(launch.host_ports[0], 31000);

  ASSERT_TRUE(wait_until([&] { return proxy.table.contains(task); }));
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(proxy.table[task].host, "10.0.0.1");
  EXPECT_EQ(proxy.table[task].host_port, launch.host_ports[0]);
  EXPECT_EQ(proxy.table[task].state, model::EndpointState::up);

  json shown = app("/hello");
  EXPECT_EQ(shown["version"], result["version"]);
  EXPECT_EQ(shown["tasksRunning"], 1);
  EXPECT_EQ(shown["tasksHealthy"], 1);
  EXPECT_EQ(shown["tasksStaged"], 0);
  EXPECT_EQ(shown["deployments"], json::array());
  ASSERT_EQ(shown["tasks"].size(), 1u);
  json shown_task = shown["tasks"][0];
  EXPECT_EQ(shown_task["id"], task);
  EXPECT_EQ(shown_task["appId"], "/hello");
  EXPECT_EQ(shown_task["state"], "TASK_RUNNING");
  EXPECT_EQ(shown_task["host"], "10.0.0.1");
  EXPECT_EQ(shown_task["slaveId"], "node-1");
  EXPECT_EQ(shown_task["ports"], json::array({launch.host_ports[0]}));
  EXPECT_EQ(shown_task["healthCheckResults"][0]["alive"], true);
  EXPECT_EQ(shown_task["ipAddresses"][0]["ipAddress"], "172.17.0.2");
  EXPECT_EQ(peer_->get("/v2/tasks")["tasks"][0]["id"], task);
  EXPECT_EQ(peer_->get("/v2/apps/hello/tasks")["tasks"][0]["id"], task);
  EXPECT_EQ(peer_->get("/v1/status")["problems"], json::array());
}

TEST_F(SchedulerTest, ADeploymentWaitsUntilEveryProxyHasAppliedTheNewTask) {
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& quick = add_proxy("quick");
  FakeProxy& late = add_proxy("late");
  late.applies = false;
  put_app("/hello", hello());
  ASSERT_TRUE(wait_until([&] { return quick.table.size() == 1; }));
  ASSERT_TRUE(wait_until([&] { return app("/hello")["tasksRunning"] == 1; }));
  EXPECT_EQ(peer_->get("/v2/deployments").size(), 1u);
  EXPECT_EQ(app("/hello")["deployments"].size(), 1u);
  late.applies = true;
  EXPECT_TRUE(wait_until_deployed());
  EXPECT_EQ(agent.running.size(), 1u);
}

TEST_F(SchedulerTest, AKillWaitsUntilTheTaskIsDrainedEverywhere) {
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  put_app("/hello", hello());
  ASSERT_TRUE(wait_until_deployed());
  model::TaskId task = agent.running.begin()->first;
  proxy.in_flight[task] = 2;
  proxy.report();
  json scaled = put_app("/hello", {{"instances", 0.0}}, 200);
  ASSERT_TRUE(wait_until([&] { return proxy.table[task].state == model::EndpointState::draining; }));
  EXPECT_EQ(app("/hello")["tasks"][0]["state"], "TASK_KILLING");
  int answered = proxy.reports_answered;
  proxy.report();
  ASSERT_TRUE(wait_until([&] { return proxy.reports_answered > answered; }));
  EXPECT_TRUE(std::none_of(agent.commands.begin(), agent.commands.end(), [](const auto& c) { return c.kill; }));
  proxy.in_flight.clear();
  proxy.report();
  ASSERT_TRUE(wait_until([&] { return agent.running.empty(); }));
  ASSERT_TRUE(wait_until_deployed());
  ASSERT_TRUE(wait_until([&] { return proxy.table.empty(); }));
  EXPECT_EQ(app("/hello")["instances"], 0);
  EXPECT_EQ(peer_->get("/v1/status")["term"], 1);
}

TEST_F(SchedulerTest, ARestartReplacesEveryTaskNewOnesFirst) {
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  json definition = hello();
  definition["instances"] = 3;
  put_app("/hello", definition);
  ASSERT_TRUE(wait_until_deployed());
  std::set<model::TaskId> before;
  for (const auto& [task, launch] : agent.running) before.insert(task);
  http::ClientResponse answer = peer_->fetch("POST", "/v2/apps//hello/restart");
  EXPECT_EQ(answer.status, 200) << answer.body;
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(agent.running.size(), 3u);
  for (const auto& [task, launch] : agent.running) EXPECT_FALSE(before.contains(task));
  ASSERT_TRUE(wait_until([&] { return proxy.table.size() == 3; }));
}

TEST_F(SchedulerTest, CommandsAreSentAgainToAnAgentThatReconnects) {
  FakeAgent& agent = add_agent("node-1");
  agent.starts_tasks = false;
  put_app("/hello", hello());
  ASSERT_TRUE(wait_until([&] { return agent.commands.size() == 1; }));
  agent.connect();
  ASSERT_TRUE(wait_until([&] { return agent.commands.size() == 2; }));
  EXPECT_EQ(agent.commands[0].launch->task, agent.commands[1].launch->task);
  EXPECT_EQ(agent.commands[0].term, 1u);
}

TEST_F(SchedulerTest, ANewCommandStreamTakesThePlaceOfTheOldOne) {
  add_agent("node-1");
  auto first = peer_->follow("/v1/agents/node-1/commands");
  ASSERT_TRUE(wait_until([&] { return first->status() == 200; }));
  auto second = peer_->follow("/v1/agents/node-1/commands");
  EXPECT_TRUE(wait_until([&] { return first->is_over(); }));
  EXPECT_FALSE(second->is_over());
}

TEST_F(SchedulerTest, RefusesASecondAgentWithTheSameIdFromAnotherDataDirectory) {
  add_agent("node-1");
  FakeAgent impostor(*peer_, "node-1");
  impostor.registration.data_id = "another";
  EXPECT_EQ(impostor.register_once(), 409);
  FakeAgent successor(*peer_, "node-1");
  successor.registration.incarnation = 2;
  EXPECT_EQ(successor.register_once(), 200);
}

TEST_F(SchedulerTest, AFailedTaskIsShownWithItsWordsAndRetriedWithBackoff) {
  FakeAgent& agent = add_agent("node-1");
  agent.starts_tasks = false;
  put_app("/hello", hello());
  ASSERT_TRUE(wait_until([&] { return agent.commands.size() == 1; }));
  agent.report(agent.commands[0].launch->task, model::TaskState::failed, "No such image: nope:latest");
  ASSERT_TRUE(wait_until([&] { return app("/hello").contains("lastTaskFailure"); }));
  json failure = app("/hello")["lastTaskFailure"];
  EXPECT_EQ(failure["message"], "No such image: nope:latest");
  EXPECT_EQ(failure["state"], "TASK_FAILED");
  EXPECT_EQ(failure["appId"], "/hello");
  json queue = peer_->get("/v2/queue?embed=reason")["queue"];
  ASSERT_EQ(queue.size(), 1u);
  EXPECT_EQ(queue[0]["delay"]["overdue"], false);
  EXPECT_NE(queue[0]["reason"].get<std::string>().find("No such image"), std::string::npos) << queue[0]["reason"];
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/queue//hello/delay").status, 204);
  ASSERT_TRUE(wait_until([&] { return agent.commands.size() >= 2; }));
}

TEST_F(SchedulerTest, AnAppWithoutRoomWaitsInTheQueueWithTheReason) {
  json definition = hello();
  definition["cpus"] = 64;
  put_app("/large", definition);
  json entry = peer_->get("/v2/queue?embed=reason")["queue"][0];
  EXPECT_EQ(entry["count"], 1);
  EXPECT_EQ(entry["app"]["id"], "/large");
  EXPECT_EQ(entry["reason"], "no agent is registered");
  add_agent("node-1");
  entry = peer_->get("/v2/queue?embed=reason")["queue"][0];
  EXPECT_EQ(entry["reason"], "InsufficientCpus on 1 agent");
  bool has_reason = false;
  for (const json& reject : entry["processedOffersSummary"]["rejectSummaryLastOffers"]) {
    has_reason |= reject["reason"] == "InsufficientCpus" && reject["declined"] == 1 && reject["processed"] == 1;
  }
  EXPECT_TRUE(has_reason) << entry;
  EXPECT_EQ(peer_->get("/v1/status")["problems"][0]["where"], "app /large");
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/queue/nobody/delay").status, 404);
}

TEST_F(SchedulerTest, ShowsNodesProxiesAndWhatIsFree) {
  add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  json offers = peer_->get("/v1/offers")["offers"];
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_EQ(offers[0]["agent"], "node-1");
  EXPECT_EQ(offers[0]["cpus"], 4.0);
  EXPECT_EQ(offers[0]["ports"], 1001);
  EXPECT_EQ(peer_->get("/v1/agents/node-1")["state"], "live");
  EXPECT_EQ(peer_->get("/v1/agents")["agents"][0]["id"], "node-1");
  peer_->get("/v1/agents/nobody", 404);
  json proxies = peer_->get("/v1/proxies")["proxies"];
  ASSERT_EQ(proxies.size(), 1u);
  EXPECT_EQ(proxies[0]["id"], "edge");
  EXPECT_EQ(proxies[0]["applied"], model::to_string(proxy.applied));
  EXPECT_EQ(proxies[0]["lag"], 0);
  EXPECT_GT(proxies[0]["leaseSeconds"].get<double>(), 5);
  json table = peer_->get("/v1/routes");
  EXPECT_EQ(table["endpoints"], json::array());
}

TEST_F(SchedulerTest, RefusesWhatAgentsAndProxiesCannotMean) {
  EXPECT_EQ(peer_->fetch("PUT", "/v1/agents/node-1", "{").status, 400);
  EXPECT_EQ(peer_->fetch("PUT", "/v1/proxies/edge", "[]").status, 400);
  EXPECT_EQ(peer_->fetch("POST", "/v1/agents/node-1/status", "nonsense").status, 400);
  FakeAgent other(*peer_, "node-2");
  EXPECT_EQ(peer_->fetch("PUT", "/v1/agents/node-1", model::serialize(other.registration)).status, 400);
  auto commands = peer_->follow("/v1/agents/nobody/commands");
  EXPECT_TRUE(wait_until([&] { return commands->status() == 404; }));
  auto routes = peer_->follow("/v1/routes?proxy=edge");
  EXPECT_TRUE(wait_until([&] { return routes->status() == 400; }));
}

TEST_F(SchedulerTest, TellsItsStoryInMarathonsEvents) {
  FakeAgent& agent = add_agent("node-1");
  auto events = peer_->follow("/v2/events");
  ASSERT_TRUE(wait_until([&] { return events->count("event_stream_attached") == 1; }));
  json definition = hello();
  definition["healthChecks"] = json::array({{{"protocol", "TCP"}}});
  put_app("/shop/hello", definition);
  ASSERT_TRUE(wait_until([&] { return events->count("deployment_success") == 1; }));
  auto first = [&](std::string_view type) {
    for (std::size_t i = 0; i < events->events().size(); ++i) {
      if (events->events()[i].type == type) return i;
    }
    ADD_FAILURE() << "no " << type;
    return events->events().size();
  };
  EXPECT_LT(first("api_post_event"), first("deployment_info"));
  EXPECT_LT(first("deployment_info"), first("status_update_event"));
  EXPECT_LT(first("status_update_event"), first("health_status_changed_event"));
  EXPECT_LT(first("health_status_changed_event"), first("deployment_success"));
  json post = json::parse(events->events()[first("api_post_event")].data);
  EXPECT_EQ(post["appDefinition"]["id"], "/shop/hello");
  EXPECT_EQ(post["eventType"], "api_post_event");
  json status = json::parse(events->events()[first("status_update_event")].data);
  EXPECT_EQ(status["slaveId"], "node-1");
  EXPECT_EQ(status["appId"], "/shop/hello");
  json success = json::parse(events->events()[first("deployment_success")].data);
  EXPECT_EQ(success["plan"]["id"], success["id"]);
  EXPECT_FALSE(success["plan"]["steps"].empty());
  for (const http::SseEvent& event : events->events()) {
    EXPECT_EQ(json::parse(event.data)["eventType"], event.type);
    EXPECT_TRUE(json::parse(event.data).contains("timestamp"));
  }
  EXPECT_EQ(agent.running.size(), 1u);
  http::ClientRequest wrong = peer_->request("GET", "/v2/events");
  wrong.fields.emplace_back("Accept", "application/json");
  auto refused = peer_->fetch(std::move(wrong));
  EXPECT_EQ(refused.status, 405);
  EXPECT_NE(refused.body.find("<html>"), std::string::npos);
}

}  // namespace
}  // namespace lotse::scheduler

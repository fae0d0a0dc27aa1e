// What Marathon's clients hear: every event over the stream and by POST, and the small pages around it.
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/log.h"
#include "http/server.h"
#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

class MarathonEventsTest : public ClusterTest {
 protected:
  void TearDown() override {
    stream_.reset();
    hook_.reset();
    stop();
  }
  std::vector<json> events(std::string_view type) {
    std::vector<json> found;
    for (const auto& event : stream_->events()) {
      if (event.type == type) found.push_back(json::parse(event.data));
    }
    return found;
  }
  bool hears(std::string_view type) {
    return wait_until([&] { return stream_->count(type) > 0; });
  }
  void follow(const std::string& query = "") {
    stream_ = peer_->follow("/v2/events" + query);
    ASSERT_TRUE(wait_until([&] { return stream_->status() == 200; }));
  }
  json checked() {
    json definition = hello();
    definition["healthChecks"] = json::array({{{"protocol", "HTTP"}, {"path", "/ready"}, {"portIndex", 0}}});
    return definition;
  }
  // A server that notes what is posted to it.
  std::string listen_for_posts(int status = 200) {
    hook_router_.add("POST", "/hook", [this, status](http::ServerRequest& request, http::Responder responder) {
      posted_.push_back(json::parse(request.body, nullptr, false));
      responder.respond({.status = status, .fields = {}, .body = "", .content_type = "text/plain"});
    });
    hook_ = std::make_unique<http::Server>(loop_, hook_router_, http::Server::Options{});
    auto address = hook_->listen(*net::Address::parse("127.0.0.1:0"));
    EXPECT_TRUE(address);
    return "http://" + address->to_string() + "/hook?from=lotse";
  }
  std::vector<std::string> posted_types() const {
    std::vector<std::string> types;
    for (const json& each : posted_) types.push_back(each.value("eventType", ""));
    return types;
  }
  bool was_posted(const std::string& type) const {
    const auto types = posted_types();
    return std::find(types.begin(), types.end(), type) != types.end();
  }

  std::unique_ptr<Follower> stream_;
  http::Router hook_router_;
  std::unique_ptr<http::Server> hook_;
  std::vector<json> posted_;
};

TEST_F(MarathonEventsTest, HealthChecksComeFailAndGo) {
  FakeAgent& agent = add_agent("node-1");
  follow();
  put_app("/x", checked());
  ASSERT_TRUE(wait_until_deployed());
  ASSERT_TRUE(hears("add_health_check_event"));
  json added = events("add_health_check_event")[0];
  EXPECT_EQ(added["appId"], "/x");
  EXPECT_EQ(added["healthCheck"]["path"], "/ready");
  EXPECT_EQ(added["version"], app("/x")["version"]);

  const std::string task = agent.running.begin()->first;
  model::StatusReport report;
  model::TaskHealth health{.task = task, .is_ready = true, .alive = false};
  health.results = {{.alive = false, .consecutive_failures = 1, .last_failure_cause = "500"}};
  report.health.push_back(health);
  agent.report_whole(report);
  ASSERT_TRUE(hears("failed_health_check_event"));
  json failed = events("failed_health_check_event")[0];
  EXPECT_EQ(failed["taskId"], task.substr(0, task.rfind("._app")));
  EXPECT_EQ(failed["healthCheck"]["path"], "/ready");
  EXPECT_TRUE(hears("health_status_changed_event"));

  EXPECT_EQ(peer_->fetch("DELETE", "/v2/apps/x").status, 200);
  ASSERT_TRUE(hears("app_terminated_event"));
  ASSERT_TRUE(hears("remove_health_check_event"));
  EXPECT_EQ(events("remove_health_check_event")[0]["appId"], "/x");
}

TEST_F(MarathonEventsTest, ARefusedChangeIsToldWithItsReason) {
  add_agent("node-1").starts_tasks = false;
  follow("?event_type=group_change_failed&plan-format=light");
  put_app("/shop/x", hello());
  EXPECT_EQ(peer_->fetch("PUT", "/v2/apps/shop/x", R"({"instances": 2})").status, 409);
  ASSERT_TRUE(hears("group_change_failed"));
  json failed = events("group_change_failed")[0];
  EXPECT_EQ(failed["groupId"], "/shop");
  EXPECT_TRUE(failed["reason"].get<std::string>().starts_with("App is locked"));
  EXPECT_EQ(stream_->events().size(), 1u) << "nothing else was asked for";
}

TEST_F(MarathonEventsTest, PlansAreWholeUnlessAskedForLight) {
  add_agent("node-1");
  follow("?event_type=deployment_info");
  auto light = peer_->follow("/v2/events?event_type=deployment_info&plan-format=light");
  ASSERT_TRUE(wait_until([&] { return light->status() == 200; }));
  put_app("/x", hello());
  ASSERT_TRUE(wait_until([&] { return light->count("deployment_info") > 0 && stream_->count("deployment_info") > 0; }));
  json whole = events("deployment_info")[0]["plan"], small = json::parse(light->events()[0].data)["plan"];
  EXPECT_EQ(whole["original"]["id"], "/") << "marathon-python makes an object of it";
  EXPECT_EQ(whole["target"]["apps"], json::array());
  EXPECT_FALSE(small.contains("original") || small.contains("target"));
  EXPECT_EQ(small["steps"], whole["steps"]);
}

TEST_F(MarathonEventsTest, SubscriptionsByUrlAreKeptListedAndEnded) {
  const std::string url = listen_for_posts(),
                    target = "/v2/eventSubscriptions?callbackUrl=" + http::percent_encode(url);
  EXPECT_EQ(peer_->get("/v2/eventSubscriptions"), (json{{"callbackUrls", json::array()}}));
  auto answer = peer_->fetch("POST", target);
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json_of(answer)["eventType"], "subscribe_event");
  EXPECT_EQ(json_of(answer)["callbackUrl"], url);
  EXPECT_EQ(json_of(answer)["clientIp"], "127.0.0.1");
  EXPECT_EQ(peer_->get("/v2/eventSubscriptions")["callbackUrls"], json::array({url}));
  put_app("/x", hello());
  ASSERT_TRUE(wait_until([&] { return was_posted("api_post_event") && was_posted("deployment_info"); }));
  EXPECT_EQ(posted_types().front(), "subscribe_event");

  stop();
  start();
  EXPECT_EQ(peer_->get("/v2/eventSubscriptions")["callbackUrls"], json::array({url}));
  ASSERT_TRUE(wait_until([&] { return was_posted("scheduler_reregistered_event"); }));

  EXPECT_EQ(json_of(peer_->fetch("DELETE", target))["eventType"], "unsubscribe_event");
  EXPECT_EQ(peer_->get("/v2/eventSubscriptions")["callbackUrls"], json::array());
  EXPECT_EQ(peer_->fetch("POST", "/v2/eventSubscriptions").status, 400);
  EXPECT_EQ(peer_->fetch("POST", "/v2/eventSubscriptions?callbackUrl=https%3A%2F%2Fx%2F").status, 422);
}

TEST_F(MarathonEventsTest, AUrlThatRefusesIsLeftAloneForAWhileAndHoldsNobodyUp) {
  const std::string url = listen_for_posts(500);
  peer_->fetch("POST", "/v2/eventSubscriptions?callbackUrl=" + http::percent_encode(url));
  ASSERT_TRUE(wait_until([&] { return posted_.size() == 1; }));
  put_app("/x", hello());
  put_app("/y", hello());
  EXPECT_EQ(posted_.size(), 1u);
}

TEST_F(MarathonEventsTest, AbdicatesAndLeadsAgainInANewTerm) {
  put_app("/x", hello());
  follow();
  auto answer = peer_->fetch("DELETE", "/v2/leader");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(json_of(answer), (json{{"message", "Leadership abdicated"}}));
  ASSERT_TRUE(wait_until([&] { return stream_->is_over(); })) << "followers have to connect anew";
  EXPECT_EQ(app("/x")["id"], "/x");
  EXPECT_EQ(peer_->get("/v2/leader")["leader"], address_.to_string());
}

TEST_F(MarathonEventsTest, ABackupIsTakenWhileItRunsAndRestoredByTheNextLeader) {
  TemporaryFolder folder;
  const std::string file = folder.path() + "/copy.db";
  put_app("/before", hello());
  auto answer = peer_->fetch("POST", "/v1/backup?file=" + http::percent_encode(file));
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(peer_->fetch("POST", "/v1/backup?file=" + http::percent_encode(file)).status, 409) << "it exists";
  EXPECT_EQ(peer_->fetch("POST", "/v1/backup?file=relative").status, 400);
  put_app("/after", hello());
  follow();
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/leader?restore=file:///nowhere").status, 400);
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/leader?restore=" + http::percent_encode("file://" + file)).status, 200);
  ASSERT_TRUE(wait_until([&] { return stream_->is_over(); }));
  EXPECT_EQ(app("/before")["id"], "/before");
  peer_->get("/v2/apps/after", 404);
}

TEST_F(MarathonEventsTest, ItsLogLevelCanBeLookedAtAndChanged) {
  EXPECT_EQ(peer_->get("/logging")["ROOT"], "INFO");
  auto answer = peer_->fetch("POST", "/logging", R"({"level": "error", "logger": "ROOT", "durationSeconds": 3600})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(peer_->get("/logging")["ROOT"], "ERROR");
  EXPECT_EQ(peer_->fetch("POST", "/logging", R"({"level": "loud"})").status, 422);
  EXPECT_EQ(peer_->fetch("POST", "/logging", R"({})").status, 422);
  EXPECT_EQ(peer_->get("/config")["max_running_deployments"], 100);
  stop();
  EXPECT_EQ(log::level(), log::Level::info) << "what was set for a while ends with us";
}

TEST_F(MarathonEventsTest, TheQueueShowsWhichAgentsDidNotTakeAnApp) {
  add_agent("node-1");
  json definition = hello();
  definition["cpus"] = 1000;
  put_app("/huge", definition);
  json entry = peer_->get("/v2/queue")["queue"][0];
  std::set<std::string> fields;
  for (const auto& [name, value] : entry.items()) fields.insert(name);
  // marathon-python refuses any other.
  EXPECT_EQ(fields, (std::set<std::string>{"app", "count", "delay", "processedOffersSummary", "since"}));
  EXPECT_EQ(peer_->get("/v2/queue?embed=reason")["queue"][0]["reason"], "InsufficientCpus on 1 agent");
  EXPECT_EQ(entry["processedOffersSummary"]["unusedOffersCount"], 1);
  json offers = peer_->get("/v2/queue?embed=lastUnusedOffers")["queue"][0]["lastUnusedOffers"];
  ASSERT_EQ(offers.size(), 1u);
  EXPECT_EQ(offers[0]["reason"], json::array({"InsufficientCpus"}));
  EXPECT_EQ(offers[0]["offer"]["hostname"], "10.0.0.1");
  EXPECT_EQ(offers[0]["offer"]["resources"][0]["scalar"], 4.0);
}

TEST_F(MarathonEventsTest, ReadinessIsShownWhileItIsWaitedFor) {
  FakeAgent& agent = add_agent("node-1");
  json definition = hello();
  definition["readinessChecks"] =
      json::array({{{"name", "ready"}, {"portName", "http"}, {"preserveLastResponse", true}}});
  std::string id = put_app("/x", definition)["deploymentId"];
  ASSERT_TRUE(wait_until([&] { return agent.running.size() == 1; }));
  model::StatusReport report;
  model::TaskHealth health{.task = agent.running.begin()->first, .is_ready = true, .readiness_passed = false};
  health.readiness = model::ReadinessResult{.status = 503, .content_type = "text/plain", .body = "not yet"};
  report.health.push_back(health);
  agent.report_whole(report);
  json shown;
  ASSERT_TRUE(wait_until([&] { return agent.acknowledged > 0; }));
  for (int i = 0; i < 100 && shown.empty(); ++i) {
    shown = peer_->get("/v2/apps?embed=apps.readiness")["apps"][0]["readinessCheckResults"];
  }
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_EQ(shown[0]["name"], "ready");
  EXPECT_EQ(shown[0]["ready"], false);
  EXPECT_EQ(peer_->get("/v2/deployments")[0]["currentActions"][0]["readinessCheckResults"].size(), 1u);
  EXPECT_EQ(peer_->get("/v1/deployments/" + id)["state"], "running");
}

TEST_F(MarathonEventsTest, TellsHowADeploymentEnded) {
  add_agent("node-1");
  std::string id = put_app("/x", hello())["deploymentId"];
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(peer_->get("/v1/deployments/" + id)["state"], "success");
  agents_.front()->starts_tasks = false;
  id = put_app("/y", hello())["deploymentId"];
  EXPECT_EQ(peer_->fetch("DELETE", "/v2/deployments/" + id + "?force=true").status, 202);
  json ended = peer_->get("/v1/deployments/" + id);
  EXPECT_EQ(ended["state"], "failed");
  EXPECT_EQ(ended["reason"], "cancelled by request");
  peer_->get("/v1/deployments/nothing", 404);
}

TEST_F(MarathonEventsTest, DrainsANodeByRequest) {
  FakeAgent& first = add_agent("node-1");
  put_app("/x", hello());
  ASSERT_TRUE(wait_until_deployed());
  FakeAgent& second = add_agent("node-2");
  auto answer = peer_->fetch("POST", "/v1/agents/node-1/drain");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(json_of(answer)["draining"], true);
  ASSERT_TRUE(wait_until([&] { return first.running.empty() && second.running.size() == 1; }));
  EXPECT_EQ(peer_->get("/v1/offers")["offers"].size(), 1u);
  EXPECT_EQ(json_of(peer_->fetch("POST", "/v1/agents/node-1/undrain"))["draining"], false);
  EXPECT_EQ(peer_->fetch("POST", "/v1/agents/nobody/drain").status, 404);
}

// As marathon-python 0.13 asks: booleans are capitalised, embeds have the prefix of one app, rolling back is a path.
TEST_F(MarathonEventsTest, UnderstandsMarathonPythonsWayOfAsking) {
  FakeAgent& agent = add_agent("node-1");
  json definition = hello();
  definition["instances"] = 2;
  put_app("/g/x", definition);
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(peer_->get("/v2/apps?embed=app.tasks&embed=app.counts")["apps"][0]["tasks"].size(), 2u);
  auto killed = peer_->fetch("DELETE", "/v2/apps/g/x/tasks/" + agent.running.begin()->first + "?scale=True&wipe=False");
  EXPECT_EQ(killed.status, 200) << killed.body;
  EXPECT_TRUE(json_of(killed).contains("deploymentId"));
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(app("/g/x")["instances"], 1);
  json versions = peer_->get("/v2/groups/g/versions");
  ASSERT_EQ(versions.size(), 2u);
  auto rolled = peer_->fetch("PUT", "/v2/groups/g/versions/" + versions[1].get<std::string>() + "?force=False");
  EXPECT_EQ(rolled.status, 200) << rolled.body;
  EXPECT_EQ(app("/g/x")["instances"], 2);
  const std::set<std::string> known{"master",
                                    "ha",
                                    "checkpoint",
                                    "framework_name",
                                    "hostname",
                                    "local_port_min",
                                    "local_port_max",
                                    "mesos_role",
                                    "features",
                                    "webui_url",
                                    "leader_proxy_connection_timeout_ms",
                                    "leader_proxy_read_timeout_ms"};
  json config = peer_->get("/v2/info")["marathon_config"];
  for (const auto& [name, value] : config.items()) EXPECT_TRUE(known.contains(name)) << name;
}

}  // namespace
}  // namespace lotse::scheduler

// What was acknowledged survives a kill -9, and a full disk changes nothing (design, P4).
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

class DurabilityTest : public ClusterTest {
 protected:
  void SetUp() override {}
  void TearDown() override {
    if (child_ > 0) kill_child();
    stop();
  }

  // A scheduler in a process of its own, so that it can be killed.
  void start_child() {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    child_ = fork();
    ASSERT_GE(child_, 0);
    if (child_ == 0) {
      net::Loop loop;
      SchedulerOptions options;
      options.listen = "127.0.0.1:0";
      options.data = data_.path();
      Scheduler scheduler(loop, options);
      auto address = scheduler.start();
      if (!address) _exit(1);
      std::uint16_t port = address->port();
      if (write(pipe[1], &port, sizeof(port)) != sizeof(port)) _exit(1);
      loop.run();
      _exit(0);
    }
    std::uint16_t port = 0;
    close(pipe[1]);
    ASSERT_EQ(read(pipe[0], &port, sizeof(port)), static_cast<ssize_t>(sizeof(port)));
    close(pipe[0]);
    peer_ = std::make_unique<HttpPeer>(loop_, *net::Address::from_ip("127.0.0.1", port));
  }
  void kill_child() {
    EXPECT_EQ(kill(child_, SIGKILL), 0);
    EXPECT_EQ(waitpid(child_, nullptr, 0), child_);
    child_ = -1;
  }

  pid_t child_ = -1;
};

// Files of this process may not grow beyond 4 KiB while it lives: the log of the store is longer.
class FullDisk {
 public:
  FullDisk() {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit small = before_;
    small.rlim_cur = 4096;
    setrlimit(RLIMIT_FSIZE, &small);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;

 private:
  rlimit before_{};
};

TEST_F(DurabilityTest, EveryAcknowledgedAppIsThereAfterAKill) {
  start_child();
  std::map<std::string, json> acknowledged;
  for (int i = 0; i < 20; ++i) {
    std::string id = "/app-" + std::to_string(i);
    acknowledged[id] = put_app(id, hello());
  }
  kill_child();
  peer_.reset();
  start();
  for (const auto& [id, answer] : acknowledged) {
    json shown = app(id);
    EXPECT_EQ(shown["version"], answer["version"]);
    EXPECT_EQ(shown["deployments"][0]["id"], answer["deploymentId"]);
  }
  EXPECT_EQ(peer_->get("/v2/deployments").size(), 20u);
  EXPECT_EQ(peer_->get("/v1/status")["term"], 2);
}

TEST_F(DurabilityTest, RunningTasksAndTheirRoutesAreShownAsTheyWereAndTheDeploymentGoesOn) {
  start_child();
  json status = peer_->get("/v1/status");
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  json definition = hello();
  definition["instances"] = 2;
  put_app("/x", definition);
  ASSERT_TRUE(wait_until_deployed());
  ASSERT_TRUE(wait_until([&] { return proxy.table.size() == 2 && agent.acknowledged == 2; }));
  auto running = agent.running;
  agent.starts_tasks = false;
  put_app("/x", {{"cpus", 0.2}}, 200);  // the upgrade is under way when the scheduler is killed
  ASSERT_TRUE(wait_until([&] { return agent.commands.size() > 2; }));
  kill_child();
  agents_.clear();
  proxies_.clear();
  peer_.reset();

  start();
  EXPECT_EQ(peer_->get("/v1/status")["cluster"], status["cluster"]);
  EXPECT_EQ(app("/x")["tasksRunning"], 2);
  json table = peer_->get("/v1/routes");
  EXPECT_EQ(table["endpoints"].size(), 2u);
  ASSERT_EQ(peer_->get("/v1/proxies")["proxies"].size(), 1u) << "a known proxy counts for one lease";
  ASSERT_EQ(peer_->get("/v2/deployments").size(), 1u);
  FakeAgent& again = add_agent("node-1");
  again.running = running;
  again.registration.incarnation = 2;
  EXPECT_EQ(again.register_once(), 200);
  again.connect();
  add_proxy("edge");
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(again.running.size(), 2u);
  for (const auto& [task, launch] : running) EXPECT_FALSE(again.running.contains(task));
}

TEST_F(DurabilityTest, HealthIsThereAgainAfterAStartThoughItIsNotSyncedEachTime) {
  start();
  FakeAgent& agent = add_agent("node-1");
  json definition = hello();
  definition["healthChecks"] = json::array({{{"protocol", "TCP"}}});
  put_app("/x", definition);
  ASSERT_TRUE(wait_until([&] { return app("/x")["tasksHealthy"] == 1; }));
  EXPECT_EQ(agent.running.size(), 1u);
  stop();
  start();
  EXPECT_EQ(app("/x")["tasksHealthy"], 1);
  EXPECT_EQ(app("/x")["tasks"][0]["healthCheckResults"][0]["alive"], true);
}

TEST_F(DurabilityTest, AFullDiskRefusesChangesAndLeavesTheStateAsItWas) {
  start();
  FakeAgent& agent = add_agent("node-1");
  FakeProxy& proxy = add_proxy("edge");
  put_app("/kept", hello());
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(agent.register_once(), 200);  // a heartbeat that says the term and cluster it has learnt
  json before = app("/kept");
  {
    FullDisk disk;
    auto answer = peer_->fetch("PUT", "/v2/apps/lost", hello().dump());
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_NE(json_of(answer)["message"].get<std::string>().find("scheduler.db"), std::string::npos) << answer.body;
    auto refused = peer_->fetch("PUT", "/v2/apps/kept", R"({"instances": 5})");
    EXPECT_EQ(refused.status, 503);
    // What only reads goes on, and so do leases and streams.
    ASSERT_TRUE(wait_until([&] { return app("/kept") == before; }));
    peer_->get("/v2/apps/lost", 404);
    EXPECT_EQ(peer_->get("/v1/status")["readOnly"], true);
    EXPECT_EQ(peer_->get("/v1/status")["problems"][0]["where"], "store");
    int answered = proxy.reports_answered;
    proxy.report();
    EXPECT_TRUE(wait_until([&] { return proxy.reports_answered > answered; }));
    EXPECT_EQ(proxy.reports_refused, 0);
    EXPECT_EQ(agent.register_once(), 200);
    agent.report(agent.running.begin()->first, model::TaskState::failed, "out of memory");
    EXPECT_TRUE(wait_until([&] { return agent.refused_reports == 1; })) << "the agent keeps it and tries again";
    EXPECT_EQ(app("/kept")["tasksRunning"], 1);
    auto joiner = peer_->follow("/v1/routes?proxy=new&boot=1");
    EXPECT_TRUE(wait_until([&] { return joiner->count("snapshot") == 1; }));
  }
  ASSERT_TRUE(wait_until([&] { return peer_->get("/v1/status")["readOnly"] == false; }));
  EXPECT_EQ(agent.commands.size(), 1u) << "nothing of what was refused reached the agent";
  EXPECT_EQ(put_app("/lost", hello()).count("deploymentId"), 1u);
  stop();
  start();
  EXPECT_EQ(peer_->get("/v2/apps")["apps"].size(), 2u);
  EXPECT_EQ(app("/kept")["instances"], 1);
}

TEST_F(DurabilityTest, ASecondSchedulerOnTheSameDataIsRefused) {
  start();
  Scheduler second(loop_, options_);
  auto address = second.start();
  ASSERT_FALSE(address);
  EXPECT_NE(address.error().text().find("in use by another process"), std::string::npos);
}

TEST_F(DurabilityTest, SaysWhenItsAddressIsTakenAndLetsGoOfItsData) {
  start();
  SchedulerOptions other = options_;
  TemporaryFolder data;
  other.data = data.path();
  other.listen = address_.to_string();
  {
    Scheduler second(loop_, other);
    auto address = second.start();
    ASSERT_FALSE(address);
    EXPECT_NE(address.error().text().find("cannot be listened on"), std::string::npos) << address.error().text();
  }
  other.listen = "127.0.0.1:0";
  Scheduler third(loop_, other);
  EXPECT_TRUE(third.start());
}

}  // namespace
}  // namespace lotse::scheduler

// An agent, its scheduler and its data folder on one loop. At the end every task is ended and removed.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "http/client.h"
#include "http/url.h"
#include "net/listen.h"
#include "tests/agent/fake_scheduler.h"
#include "tests/agent/test_apps.h"
#include "tests/agent/test_loop.h"
#include "tests/temporary_folder.h"

namespace lotse::agent {

class AgentFixture : public ::testing::Test {
 protected:
  AgentFixture() {
    options.scheduler = scheduler.url();
    options.listen = "127.0.0.1:0";
    options.data = folder.path() + "/data";
    options.id = "agent-under-test";
    options.heartbeat_interval = std::chrono::milliseconds(100);
  }

  void TearDown() override {
    bool stopped = !agent;
    if (!agent) start();  // a test that ended with the agent away: its tasks are found and ended
    scheduler.term += 100;
    scheduler.cluster = cluster;
    scheduler.registration_status = scheduler.status_status = 200;
    options.kill_tasks_on_stop = true;
    agent.reset();
    start();
    run_until(loop, [&] { return scheduler.is_connected(); });
    stopped = false;
    agent->stop({}, [&] { stopped = true; });
    EXPECT_TRUE(run_until(
        loop, [&] { return stopped; }, std::chrono::seconds(60)));
    agent.reset();
    scheduler.drop_streams();
  }

  void start() {
    cluster = cluster.empty() ? scheduler.cluster : cluster;
    agent = std::make_unique<Agent>(
        loop, options,
        AgentCallbacks{.on_refused = [this](const Problem& problem) { refusals.push_back(problem); },
                       .on_registered = {}});
    auto bound = agent->start();
    ASSERT_TRUE(bound.has_value()) << bound.error().text();
    api = bound->to_string();
  }
  void start_and_connect() {
    start();
    ASSERT_TRUE(run_until(loop, [&] { return scheduler.is_connected(); }));
  }
  void restart() {
    agent.reset();
    scheduler.drop_streams();
    start_and_connect();
  }

  http::ClientResponse get(const std::string& target) {
    http::ClientRequest request;
    request.endpoint = http::parse_url("http://" + api)->endpoint;
    request.target = target;
    std::optional<Result<http::ClientResponse>> answer;
    auto call =
        client.send(std::move(request), [&](Result<http::ClientResponse> got) { answer.emplace(std::move(got)); });
    EXPECT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
    return answer && *answer ? std::move(**answer) : http::ClientResponse{};
  }

  bool answers(const std::string& target) {  // with 200, sooner or later
    Instant deadline = loop.clock().now() + std::chrono::seconds(30);
    while (loop.clock().now() < deadline) {
      if (get(target).status == 200) return true;
    }
    return false;
  }

  std::optional<bool> is_alive(const model::TaskId& task) const {
    const model::TaskHealth* health = scheduler.health_of(task);
    return health == nullptr ? std::nullopt : health->alive;
  }
  bool is_ready(const model::TaskId& task) const {
    const model::TaskHealth* health = scheduler.health_of(task);
    return health != nullptr && health->is_ready;
  }

  struct LogReader final : http::ClientListener {
    LogReader(AgentFixture& fixture, const std::string& target) {
      http::ClientRequest request;
      request.endpoint = http::parse_url("http://" + fixture.api)->endpoint;
      request.target = target;
      call = fixture.client.stream(std::move(request), *this);
    }
    void on_head(int, const http::Fields&) override {}
    void on_body(std::string_view bytes) override { text += bytes; }
    void on_complete() override { is_over = true; }
    void on_failed(Error) override { is_over = true; }
    std::string text;
    bool is_over = false;
    std::unique_ptr<http::Call> call;
  };

  TemporaryFolder folder;
  net::Loop loop;
  http::Client client{loop};
  FakeScheduler scheduler{loop};
  AgentOptions options;
  std::string api, cluster;
  std::vector<Problem> refusals;
  std::unique_ptr<Agent> agent;
};

}  // namespace lotse::agent

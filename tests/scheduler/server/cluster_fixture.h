// A scheduler in this process, and agents and proxies that speak its protocol over real HTTP but run nothing.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "model/agent_protocol.h"
#include "model/routes.h"
#include "scheduler/server/scheduler.h"
#include "tests/scheduler/server/http_peer.h"
#include "tests/temporary_folder.h"

namespace lotse::scheduler {

// Fire and forget: requests whose answers only count by their status.
class Sender {
 public:
  explicit Sender(HttpPeer& peer) : peer_(peer) {}
  void send(std::string method, std::string target, std::string body,
            std::function<void(const http::ClientResponse&)> on_answer) {
    auto call = peer_.client().send(peer_.request(std::move(method), std::move(target), std::move(body)),
                                    [on_answer = std::move(on_answer)](Result<http::ClientResponse> answer) {
                                      if (answer && on_answer) on_answer(*answer);
                                    });
    calls_.push_back(std::move(call));
  }
  HttpPeer& peer() { return peer_; }

 private:
  HttpPeer& peer_;
  std::vector<std::unique_ptr<http::Call>> calls_;
};

class FakeAgent {
 public:
  FakeAgent(HttpPeer& peer, std::string id);
  int register_once();  // the status of the answer
  void connect();       // the command stream
  void work();          // does what new commands ask for; call it while waiting

  model::AgentRegistration registration;
  bool starts_tasks = true;  // else launches are noted and nothing happens
  bool are_tasks_healthy = true;
  std::map<model::TaskId, model::LaunchTask> running;
  std::vector<model::AgentCommand> commands;  // all, in order, resent ones too
  std::uint64_t acknowledged = 0;
  int refused_reports = 0;  // not answered 200
  void report(const model::TaskId& task, model::TaskState state, std::string message = {});
  void report_health(const model::TaskId& task, bool alive);
  void report_whole(model::StatusReport report) { post(std::move(report)); }  // its identity is added

 private:
  void post(model::StatusReport report);
  Sender sender_;
  std::unique_ptr<Follower> stream_;
  std::size_t seen_ = 0;
  std::uint64_t next_number_ = 1;
};

class FakeProxy {
 public:
  FakeProxy(HttpPeer& peer, std::string id);
  void connect();
  void work();  // applies what came and reports it, unless told not to; call it while waiting
  void report();

  bool applies = true;
  std::map<model::TaskId, model::Endpoint> table;
  std::map<model::TaskId, std::uint64_t> in_flight;  // said in reports
  model::Revision applied;
  bool has_snapshot = false;
  bool is_over() const { return stream_ != nullptr && stream_->is_over(); }
  int reports_answered = 0, reports_refused = 0;

 private:
  Sender sender_;
  std::unique_ptr<Follower> stream_;
  std::string id_, boot_;
  std::size_t seen_ = 0;
};

class ClusterTest : public testing::Test {
 protected:
  void SetUp() override { start(); }
  void TearDown() override { stop(); }
  void start();
  void stop();
  FakeAgent& add_agent(const std::string& id);                          // registered and connected
  FakeProxy& add_proxy(const std::string& id);                          // connected, snapshot applied
  [[nodiscard]] bool wait_until(const std::function<bool()>& is_done);  // everybody works meanwhile
  [[nodiscard]] bool wait_until_deployed();
  nlohmann::json put_app(const std::string& id, const nlohmann::json& definition, int status = 201);
  nlohmann::json app(const std::string& id) { return peer_->get("/v2/apps" + id)["app"]; }
  nlohmann::json json_of(const http::ClientResponse& answer) {
    return nlohmann::json::parse(answer.body, nullptr, false);
  }
  static nlohmann::json hello() {  // one instance of something with one port
    return nlohmann::json::parse(R"({"cmd": "sleep 1000", "cpus": 0.1, "mem": 32, "instances": 1,
      "portDefinitions": [{"port": 0, "name": "http"}]})");
  }

  TemporaryFolder data_;
  SchedulerOptions options_;
  net::Loop loop_;
  net::Address address_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<HttpPeer> peer_;
  std::vector<std::unique_ptr<FakeAgent>> agents_;
  std::vector<std::unique_ptr<FakeProxy>> proxies_;
};

}  // namespace lotse::scheduler

// A whole scheduler on a thread of its own, and agents and clients that speak to it over real HTTP from the caller's
// thread. Agents run nothing: they report `running`, then health, for every launch, and `killed` for every kill.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "http/client.h"
#include "http/sse.h"
#include "model/agent_protocol.h"
#include "net/loop.h"
#include "net/timers.h"
#include "scheduler/server/scheduler.h"

namespace lotse::bench {

class LiveCluster;

class LiveAgent final : public http::ClientListener {
 public:
  LiveAgent(LiveCluster& cluster, int number);
  void beat();
  void report_health(const model::TaskId& task, bool alive);
  const std::map<model::TaskId, model::AppId>& tasks() const { return tasks_; }

  void on_head(int, const http::Fields&) override {}
  void on_body(std::string_view bytes) override;
  void on_complete() override {}
  void on_failed(Error) override {}

 private:
  void follow();
  void take(const model::AgentCommand& command, model::StatusReport& running, model::StatusReport& health);
  void post(model::StatusReport report);

  LiveCluster& cluster_;
  model::AgentRegistration registration_;
  std::unique_ptr<http::Call> stream_;
  http::SseParser parser_{64 * 1024 * 1024};
  std::map<model::TaskId, model::AppId> tasks_;
  std::uint64_t next_number_ = 1;
};

// A proxy as the scheduler sees it: follows the routes, acknowledges each revision, and tells when one arrived.
class LiveProxy final : public http::ClientListener {
 public:
  explicit LiveProxy(LiveCluster& cluster) : cluster_(cluster) {}
  void follow();
  void report();
  bool has_snapshot() const { return has_snapshot_; }
  std::function<void(const model::RouteUpdate&)> on_update;

  void on_head(int, const http::Fields&) override {}
  void on_body(std::string_view bytes) override;
  void on_complete() override {}
  void on_failed(Error) override {}

 private:
  LiveCluster& cluster_;
  std::unique_ptr<http::Call> stream_;
  http::SseParser parser_{64 * 1024 * 1024};
  model::Revision applied_;
  bool has_snapshot_ = false;
};

class LiveCluster {
 public:
  explicit LiveCluster(std::string directory, int agents = 50);
  ~LiveCluster();

  using OnAnswer = std::function<void(const http::ClientResponse&)>;
  void send(std::string method, std::string target, std::string body, OnAnswer on_answer = {});
  http::ClientResponse fetch(std::string method, std::string target, std::string body = {});
  http::ClientRequest request(std::string method, std::string target, std::string body = {}) const;
  void run_until(const std::function<bool()>& is_done);

  void deploy(int apps, int instances);  // and waits until all run
  void settle();                         // waits until no deployment runs
  std::size_t tasks() const;
  net::Loop& loop() { return loop_; }
  http::Client& client() { return client_; }
  LiveProxy& proxy() { return proxy_; }
  std::vector<std::unique_ptr<LiveAgent>>& agents() { return agents_; }

 private:
  void beat();

  std::unique_ptr<scheduler::Scheduler> scheduler_;  // lives and dies on its thread
  net::Loop* scheduler_loop_ = nullptr;
  std::thread thread_;
  net::Loop loop_;
  http::Client client_;
  http::Endpoint endpoint_;
  std::uint64_t next_call_ = 0;
  std::map<std::uint64_t, std::unique_ptr<http::Call>> calls_;
  LiveProxy proxy_{*this};
  std::vector<std::unique_ptr<LiveAgent>> agents_;
  net::Timer heartbeat_;
};

}  // namespace lotse::bench

// A scheduler that does what the test says: keeps what an agent sent, sends it commands. Speaks the real protocol over
// a real socket on the test's own loop.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/server.h"
#include "http/sse.h"
#include "model/agent_protocol.h"
#include "net/loop.h"

namespace lotse::agent {

class FakeScheduler {
 public:
  explicit FakeScheduler(net::Loop& loop, std::string address = "127.0.0.1:0");
  std::string url() const { return "http://" + address; }

  void send(const model::AgentCommand& command);
  void launch(const model::LaunchTask& launch);
  void kill(const model::TaskId& task, double grace_seconds = 3);
  void drop_streams() { streams.clear(); }

  bool has(const model::TaskId& task, model::TaskState state) const;
  const model::TaskStatus* last(const model::TaskId& task) const;
  std::vector<model::TaskState> states(const model::TaskId& task) const;
  const model::TaskHealth* health_of(const model::TaskId& task) const;
  bool is_connected() const { return !streams.empty() && streams.back()->is_open(); }

  std::uint64_t term = 1;
  std::string cluster = "test-cluster";
  int registration_status = 200;  // 409 refuses
  int status_status = 200;        // of POST status: 503 fails without committing
  bool closes_before_answer = false;
  std::string address;
  std::vector<model::AgentRegistration> registrations;
  std::vector<model::TaskStatus> statuses;  // committed, once each
  std::uint64_t acknowledged = 0;
  std::uint64_t doubled = 0;  // statuses that came again
  std::map<model::TaskId, model::TaskHealth> health;
  std::vector<std::unique_ptr<http::ServerStream>> streams;
  std::uint64_t sequence = 0;

 private:
  void on_register(http::ServerRequest& request, http::Responder responder);
  void on_status(http::ServerRequest& request, http::Responder responder);
  http::Router router_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace lotse::agent

// The agent's own HTTP API: confirm a task, read its log, metrics. It starts and stops nothing: that is the scheduler's
// business, over the command stream. Owned by the agent; one loop thread.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include "agent/runtime.h"
#include "agent/tasks.h"
#include "http/server.h"
#include "net/timers.h"

namespace lotse::agent {

class AgentApi {
 public:
  static constexpr std::size_t kFollowersMax = 64;
  static constexpr std::size_t kLogAnswersMax = 64;
  static constexpr std::size_t kLogBytesMax = 1024 * 1024;  // of an answer that does not follow

  AgentApi(net::Loop& loop, Tasks& tasks, std::function<Runtime&(RuntimeKind)> runtime_of,
           std::function<std::string()> metrics);
  ~AgentApi();
  AgentApi(const AgentApi&) = delete;
  Result<net::Address> listen(const net::Address& address) { return server_.listen(address); }

 private:
  struct Follow {
    std::unique_ptr<http::ServerStream> stream;
    std::unique_ptr<LogFollower> follower;
    bool is_over = false;
  };
  void add_routes();
  void list_tasks(http::Responder responder) const;
  void confirm_task(const std::string& task, http::Responder responder) const;
  void answer_log(const http::ServerRequest& request, http::Responder responder);
  void follow_log(const TaskDriver& driver, http::Responder responder);
  Async<Unit> send_log(model::TaskId task, RuntimeKind kind, http::Responder responder);
  void end_follow(std::uint64_t number);
  void sweep();

  net::Loop& loop_;
  Tasks& tasks_;
  std::function<Runtime&(RuntimeKind)> runtime_of_;
  std::function<std::string()> metrics_;
  http::Router router_;
  net::Timer sweep_timer_;
  std::map<std::uint64_t, Follow> follows_;
  std::uint64_t next_follow_ = 1;
  std::list<Async<Unit>> log_answers_;
  http::Server server_;
};

}  // namespace lotse::agent

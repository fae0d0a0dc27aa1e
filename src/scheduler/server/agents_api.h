// The agents' side of the scheduler: registration, the command stream, statuses; and for people the nodes and what
// they have free (design section 3). Commands arrive through send(), released by the engine. Owned by the API; loop
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "http/server.h"
#include "net/loop.h"
#include "net/timers.h"
#include "scheduler/server/command_writer.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

class AgentsApi {
 public:
  AgentsApi(net::Loop& loop, Engine& engine);
  ~AgentsApi();
  void add_to(http::Router& router);

  // An agent without a stream loses it: the core sends it again when the stream is opened.
  void send(const model::AgentId& agent, const model::AgentCommand& command);
  void reconnect_all();  // commands may have been lost: asks the core for what is unconfirmed
  std::size_t streams() const { return streams_.size(); }
  void close_all() { streams_.clear(); }

 private:
  struct CommandStream {
    std::unique_ptr<http::ServerStream> stream;
    std::uint64_t generation = 0;  // tells a replaced stream's callbacks from ours
  };
  void register_agent(http::ServerRequest& request, http::Responder responder);
  void open_commands(const http::ServerRequest& request, http::Responder responder);
  void take_report(http::ServerRequest& request, http::Responder responder);
  void list(http::Responder responder);
  void show(const model::AgentId& id, http::Responder responder);
  void drain(const http::ServerRequest& request, bool is_wanted, http::Responder responder);
  void list_offers(http::Responder responder);
  void remove_later(const model::AgentId& agent, std::uint64_t generation);
  void beat();

  net::Loop& loop_;
  Engine& engine_;
  std::map<model::AgentId, CommandStream> streams_;
  CommandWriter writer_;
  std::uint64_t next_generation_ = 1, sequence_ = 0;
  net::Timer heartbeat_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

nlohmann::json agent_info(const Agent& agent, Now now);
std::string_view to_string(AgentHealth health);  // live, suspect, lost

}  // namespace lotse::scheduler

// /v2/deployments and /v2/queue: what is under way and what waits, and why (MARATHON.md section 2);
// /v1/deployments/{id}: how one goes, or went, which Marathon never told. Owned by the API; loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "http/server.h"
#include "scheduler/server/engine.h"

namespace lotse::scheduler {

class DeploymentsApi {
 public:
  explicit DeploymentsApi(Engine& engine) : engine_(engine) {}
  void add_to(http::Router& router);

 private:
  void list(http::Responder responder);
  void show(const std::string& id, http::Responder responder);
  void cancel(const http::ServerRequest& request, http::Responder responder);
  void list_queue(const http::ServerRequest& request, http::Responder responder);
  void reset_delay(const http::ServerRequest& request, http::Responder responder);

  Engine& engine_;
};

// Why nothing more of the app is launched now, in a sentence: "no agent is registered", "InsufficientCpus on 2 agents",
// "waits 4 s after 3 failures in a row". For /v2/queue and `lotse status`.
std::string reason_of_waiting(const State& state, const App& app, Now now);

}  // namespace lotse::scheduler

// Everything the scheduler answers over HTTP, put together: the router, the streams, and the engine's output to them.
// Holds no logic of its own. Owned by Scheduler; loop thread.
#pragma once

#include <string>

#include "http/server.h"
#include "net/loop.h"
#include "scheduler/server/agents_api.h"
#include "scheduler/server/apps_api.h"
#include "scheduler/server/deployments_api.h"
#include "scheduler/server/dns_service.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_callbacks.h"
#include "scheduler/server/event_streams.h"
#include "scheduler/server/groups_api.h"
#include "scheduler/server/info_api.h"
#include "scheduler/server/proxies_api.h"
#include "scheduler/server/route_streams.h"
#include "scheduler/server/status_api.h"
#include "scheduler/server/tasks_api.h"

namespace lotse::scheduler {

class Api final : public EngineOutput {
 public:
  Api(net::Loop& loop, Engine& engine, Store& store, const InfoApi::Options& info);
  const http::Router& router() const { return router_; }
  void close_streams();
  void follow_with(DnsService& dns);  // which outlives it, or is told nothing more

  void send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) override;
  void publish_routes(const model::RouteUpdate& update) override;
  void emit(const Emit& event) override;
  void routes_reset() override;
  void writable_again() override;

 private:
  Engine& engine_;
  EventStreams events_;
  EventCallbacks callbacks_;
  RouteStreams routes_;
  AgentsApi agents_;
  ProxiesApi proxies_;
  TasksApi tasks_;
  AppsApi apps_;
  GroupsApi groups_;
  DeploymentsApi deployments_;
  InfoApi info_;
  StatusApi status_;
  DnsService* dns_ = nullptr;
  http::Router router_;
};

}  // namespace lotse::scheduler

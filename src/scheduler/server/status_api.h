// GET /v1/status: one look at everything, and what is wrong with it, for `lotse status`; and /metrics, ours in
// Prometheus' form and in the JSON that Marathon's clients know. Reads only. Owned by the API; loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "http/server.h"
#include "net/loop.h"
#include "scheduler/server/agents_api.h"
#include "scheduler/server/dns_service.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"
#include "scheduler/server/route_streams.h"
#include "scheduler/server/store.h"

namespace lotse::scheduler {

class StatusApi {
 public:
  struct Parts {  // what is looked at
    net::Loop& loop;
    Engine& engine;
    const Store& store;
    const EventStreams& events;
    const RouteStreams& routes;
    const AgentsApi& agents;
    std::string leader, version;
  };
  explicit StatusApi(Parts parts) : parts_(std::move(parts)) {}
  void add_to(http::Router& router);
  void show(const DnsService& dns) { dns_ = &dns; }

 private:
  void status(http::Responder responder);
  void metrics(const http::ServerRequest& request, http::Responder responder);
  std::string prometheus_text();
  nlohmann::json metrics_json();

  Parts parts_;
  const DnsService* dns_ = nullptr;
};

}  // namespace lotse::scheduler

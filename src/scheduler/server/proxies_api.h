// The proxies' side of the scheduler: the route stream with its lease, the reports, and for people who follows and how
// far (design sections 3 and 4). Owned by the API; loop thread.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "http/server.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/route_streams.h"

namespace lotse::scheduler {

class ProxiesApi {
 public:
  ProxiesApi(Engine& engine, RouteStreams& routes) : engine_(engine), routes_(routes) {}
  void add_to(http::Router& router);

 private:
  void follow_routes(const http::ServerRequest& request, http::Responder responder);
  void take_report(http::ServerRequest& request, http::Responder responder);
  void list(http::Responder responder);

  Engine& engine_;
  RouteStreams& routes_;
};

nlohmann::json proxy_info(const State& state, const Proxy& proxy, Now now);

}  // namespace lotse::scheduler

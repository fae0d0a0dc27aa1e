#include "scheduler/server/api.h"

#include <nlohmann/json.hpp>

#include "model/api_error.h"
#include "scheduler/server/event_json.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {

Api::Api(net::Loop& loop, Engine& engine, Store& store, const InfoApi::Options& info)
    : engine_(engine),
      events_(loop),
      callbacks_(loop, engine, events_),
      routes_(loop),
      agents_(loop, engine),
      proxies_(engine, routes_),
      tasks_(engine),
      apps_(engine, events_, tasks_),
      groups_(engine),
      deployments_(engine),
      info_(loop, engine, store, events_, info),
      status_({loop, engine, store, events_, routes_, agents_, info.leader, info.lotse_version}) {
  apps_.add_to(router_);
  tasks_.add_to(router_);
  groups_.add_to(router_);
  deployments_.add_to(router_);
  info_.add_to(router_);
  callbacks_.add_to(router_);
  agents_.add_to(router_);
  proxies_.add_to(router_);
  status_.add_to(router_);
  router_.set_fallback([](http::ServerRequest& request, http::Responder responder) {
    respond_error(responder, {404, "There is nothing at " + request.method + " " + request.path, {}, "", {}});
  });
  engine_.set_output(*this);
  routes_reset();
  Emit registered;
  registered.type = engine.state().term <= 1 ? "scheduler_registered_event" : "scheduler_reregistered_event";
  registered.message = engine.state().cluster;
  registered.host = info.leader;
  emit(registered);  // streams begin later; subscriptions by URL outlive a restart
}

void Api::close_streams() {
  events_.close_all();
  callbacks_.close_all();
  routes_.close_all();
  agents_.close_all();
}

void Api::send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) {
  agents_.send(agent, command);
}

void Api::follow_with(DnsService& dns) {
  dns_ = &dns;
  status_.show(dns);
}

void Api::publish_routes(const model::RouteUpdate& update) {
  if (dns_ != nullptr) dns_->publish(update);
  routes_.publish(update);
}

void Api::emit(const Emit& event) {
  if (events_.has_subscribers()) events_.send(event.type, event_json(event, engine_.now().wall));
}

void Api::routes_reset() {
  const State& state = engine_.state();
  routes_.reset(model::Revision{state.term, state.revision}, all_endpoints(state));
  if (dns_ != nullptr) dns_->reset();
}

void Api::writable_again() {
  if (dns_ != nullptr) dns_->reset();
  agents_.reconnect_all();
}

}  // namespace lotse::scheduler

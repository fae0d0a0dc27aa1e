#include "scheduler/server/proxies_api.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "model/routes.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {

using nlohmann::json;

json proxy_info(const State& state, const Proxy& proxy, Now now) {
  bool is_of_this_epoch = proxy.applied && proxy.applied->epoch == state.term;
  json info = {{"id", proxy.id},
               {"boot", proxy.boot},
               {"leaseSeconds", std::chrono::duration<double>(proxy.lease_until - now.instant).count()},
               {"applied", proxy.applied ? json(model::to_string(*proxy.applied)) : json()},
               {"address", proxy.address},
               {"requestsPerSecond", proxy.requests_per_second},
               {"pending", proxy.pending},
               {"draining", proxy.in_flight}};
  // In revisions; null until it has applied one of this epoch.
  info["lag"] = is_of_this_epoch && proxy.applied->number <= state.revision
                    ? json(state.revision - proxy.applied->number)
                    : json();
  return info;
}

void ProxiesApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("GET", "/v1/routes",
             [this](ServerRequest& request, Responder responder) { follow_routes(request, std::move(responder)); });
  router.add("PUT", "/v1/proxies/{id}",
             [this](ServerRequest& request, Responder responder) { take_report(request, std::move(responder)); });
  router.add("GET", "/v1/proxies", [this](ServerRequest&, Responder responder) { list(std::move(responder)); });
}

void ProxiesApi::follow_routes(const http::ServerRequest& request, http::Responder responder) {
  if (!accepts_explicitly(request, "text/event-stream")) return routes_.answer_json(std::move(responder));
  std::optional<model::Revision> last;
  if (const std::string* id = request.field("last-event-id")) last = model::parse_revision(*id);
  std::string proxy(request.parameter("proxy").value_or("")), boot(request.parameter("boot").value_or(""));
  if (proxy.empty()) return routes_.follow(std::move(responder), last);  // looking only: no lease
  if (boot.empty()) {
    return respond_error(responder, {400, "A proxy's lease is per boot: `boot` is missing", {}, "", {}});
  }
  // The lease first (and stored), then the snapshot: a joiner is counted from its first byte.
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  Engine::OnReleased follow = [this, waiting, last] {
    if (!waiting->is_gone()) routes_.follow(std::move(*waiting), last);
  };
  engine_.submit(ProxyJoined{std::move(proxy), std::move(boot)}, std::move(follow));
}

void ProxiesApi::take_report(http::ServerRequest& request, http::Responder responder) {
  auto report = model::parse_proxy_report(request.body);
  if (!report) return respond_error(responder, {400, report.error().text(), {}, "", {}});
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  ProxyReported event{0, request.captures.at(0), std::move(*report)};
  engine_.submit(std::move(event), [waiting](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    if (const auto* ok = std::get_if<model::ProxyReportAnswer>(&answer)) {
      respond_text(*waiting, 200, model::serialize(*ok), "application/json");
    }
  });
}

void ProxiesApi::list(http::Responder responder) {
  const State& state = engine_.state();
  json proxies = json::array();
  for (const auto& [key, proxy] : state.proxies) proxies.push_back(proxy_info(state, proxy, engine_.now()));
  std::string revision = model::to_string(model::Revision{state.term, state.revision});
  respond_json(responder, 200, {{"revision", revision}, {"proxies", std::move(proxies)}});
}

}  // namespace lotse::scheduler

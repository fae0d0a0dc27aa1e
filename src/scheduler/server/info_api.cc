#include "scheduler/server/info_api.h"

#include <nlohmann/json.hpp>
#include <set>

#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

constexpr std::string_view kPage = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Lotse</title>
<style>body{font:16px/1.5 sans-serif;margin:3em auto;max-width:40em}code{background:#eee;padding:0 .3em}</style></head>
<body><h1>Lotse</h1>
<p>The scheduler's API: Marathon's under <code>/v2</code>, our own under <code>/v1</code>.</p>
<ul>
<li><a href="/v1/status">/v1/status</a>: nodes, proxies, apps, deployments, and what is wrong</li>
<li><a href="/v2/apps?embed=apps.tasks">/v2/apps</a>, <a href="/v2/tasks">/v2/tasks</a>,
<a href="/v2/deployments">/v2/deployments</a>, <a href="/v2/queue">/v2/queue</a>, <a href="/v2/info">/v2/info</a></li>
<li><a href="/v1/agents">/v1/agents</a>, <a href="/v1/proxies">/v1/proxies</a>, <a href="/v1/offers">/v1/offers</a>,
<a href="/v1/routes">/v1/routes</a></li>
<li><a href="/metrics/prometheus">/metrics/prometheus</a></li>
</ul></body></html>
)";

}  // namespace

void InfoApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("GET", "/v2/info", [this](ServerRequest&, Responder responder) { info(std::move(responder)); });
  router.add("GET", "/v2/leader", [this](ServerRequest&, Responder responder) {
    respond_json(responder, 200, {{"leader", options_.leader}});
  });
  router.add("GET", "/v2/plugins", [](ServerRequest&, Responder responder) {
    respond_json(responder, 200, {{"plugins", json::array()}});
  });
  router.add("GET", "/ping",
             [this](ServerRequest& request, Responder responder) { ping(request, std::move(responder)); });
  router.add("GET", "/v2/events",
             [this](ServerRequest& request, Responder responder) { follow_events(request, std::move(responder)); });
  router.add("GET", "/ui", [this](ServerRequest&, Responder responder) { page(std::move(responder)); });
  router.add("GET", "/", [](ServerRequest&, Responder responder) {
    http::ServerResponse response;
    response.status = 302;
    response.fields.emplace_back("Location", "/ui/");
    responder.respond(std::move(response));
  });
}

void InfoApi::info(http::Responder responder) {
  const Settings& settings = engine_.state().settings;
  json marathon_config = {{"master", "lotse"},
                          {"ha", false},
                          {"checkpoint", true},
                          {"framework_name", "marathon"},
                          {"hostname", options_.leader.substr(0, options_.leader.rfind(':'))},
                          {"http_port", options_.port},
                          {"leader_proxy_connection_timeout_ms", 5000},
                          {"leader_proxy_read_timeout_ms", 10000},
                          {"local_port_min", settings.service_port_first},
                          {"local_port_max", settings.service_port_last},
                          {"mesos_role", "*"},
                          {"features", json::array()},
                          {"webui_url", nullptr}};
  respond_json(responder, 200,
               {{"name", "marathon"},
                {"version", kMarathonVersion},
                {"buildref", "lotse-" + options_.lotse_version},
                {"elected", true},
                {"leader", options_.leader},
                {"frameworkId", engine_.state().cluster},
                {"marathon_config", std::move(marathon_config)},
                {"zookeeper_config", json::object()},
                {"event_subscriber", nullptr},
                {"http_config", {{"http_port", options_.port}, {"https_port", nullptr}}}});
}

void InfoApi::ping(const http::ServerRequest& request, http::Responder responder) {
  if (accepts(request, "text/plain")) return respond_text(responder, 200, "pong", "text/plain");
  if (accepts(request, "application/json")) return respond_text(responder, 200, "\"pong\"", "application/json");
  respond_text(responder, 204, "", "text/plain");
}

void InfoApi::follow_events(const http::ServerRequest& request, http::Responder responder) {
  // Marathon refuses curl's */* as well; nobody depends on that, and `curl -N` is how people look.
  if (!accepts(request, "text/event-stream")) {
    return respond_text(responder, 405,
                        "<html><head><title>Error 405</title></head><body><h2>HTTP ERROR 405</h2>"
                        "<p>This is a stream of server-sent events: ask with Accept: text/event-stream.</p>"
                        "</body></html>\n",
                        "text/html");
  }
  std::set<std::string> types;
  for (const auto& [name, value] : request.parameters) {
    if (name == "event_type" && !value.empty()) types.insert(value);
  }
  events_.follow(std::move(responder), std::move(types), request.peer.ip());
}

void InfoApi::page(http::Responder responder) {
  respond_text(responder, 200, std::string(kPage), "text/html; charset=utf-8");
}

}  // namespace lotse::scheduler

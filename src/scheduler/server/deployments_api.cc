#include "scheduler/server/deployments_api.h"

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "scheduler/server/app_path.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

// Marathon's, in the order in which an offer is looked at.
constexpr std::array<std::string_view, 10> kReasons{
    "UnfulfilledRole",        "UnfulfilledConstraint", "NoCorrespondingReservationFound",
    "AgentMaintenance",       "InsufficientCpus",      "InsufficientMemory",
    "InsufficientDisk",       "InsufficientGpus",      "InsufficientPorts",
    "DeclinedScarceResources"};

double seconds_left(const App& app, Now now) {
  return std::max(0.0, std::chrono::duration<double>(app.backoff.until - now.instant).count());
}

// Each agent is an offer: how many were looked at for each reason, and how many it turned down.
json reject_summary(const std::map<std::string, int>& reasons, int agents) {
  json summary = json::array();
  int left = agents;
  auto add = [&](const std::string& reason) {
    auto found = reasons.find(reason);
    int declined = found == reasons.end() ? 0 : found->second;
    summary.push_back({{"reason", reason}, {"declined", declined}, {"processed", left}});
    left = std::max(0, left - declined);
  };
  for (std::string_view reason : kReasons) add(std::string(reason));
  for (const auto& [reason, count] : reasons) {
    if (!reason.empty() && std::find(kReasons.begin(), kReasons.end(), reason) == kReasons.end()) add(reason);
  }
  return summary;
}

json offers_summary(const State& state, const App& app, Now now) {
  std::map<std::string, int> reasons = explain_placement(state, *app.queued->definition, now.instant);
  int agents = 0, declined = 0;
  for (const auto& [reason, count] : reasons) {
    agents += count;
    if (!reason.empty()) declined += count;
  }
  json rejects = reject_summary(reasons, agents);
  json summary = {{"processedOffersCount", agents},
                  {"unusedOffersCount", declined},
                  {"rejectSummaryLastOffers", rejects},
                  {"rejectSummaryLaunchAttempt", rejects}};
  if (declined > 0) summary["lastUnusedOfferAt"] = format_timestamp(now.wall);
  return summary;
}

// Each agent as Mesos' offer of what it has free, and why the app did not take it. At most so many: the rest is alike.
constexpr std::size_t kUnusedOffersMax = 100;

json unused_offers(const State& state, const App& app, Now now) {
  json offers = json::array();
  for (const auto& [agent, reason] : explain_agents(state, *app.queued->definition, now.instant, kUnusedOffersMax)) {
    if (reason.empty()) continue;
    const Agent& known = state.agents.at(agent);
    auto scalar = [](const char* name, double value) {
      return json{{"name", name}, {"role", "*"}, {"scalar", value}, {"set", json::array()}, {"ranges", json::array()}};
    };
    json attributes = json::array();
    for (const auto& [name, text] : known.registration.attributes) {
      attributes.push_back({{"name", name}, {"text", text}, {"ranges", json::array()}, {"set", json::array()}});
    }
    json resources = json::array(
        {scalar("cpus", static_cast<double>(known.total.micro_cpus - known.used.micro_cpus) / 1e6),
         scalar("mem", static_cast<double>(known.total.mem_kib - known.used.mem_kib) / 1024),
         scalar("disk", static_cast<double>(known.total.disk_kib - known.used.disk_kib) / 1024),
         {{"name", "ports"},
          {"role", "*"},
          {"set", json::array()},
          {"ranges", {{{"begin", known.registration.ports.first}, {"end", known.registration.ports.last}}}}}});
    offers.push_back({{"offer",
                       {{"id", agent},
                        {"agentId", agent},
                        {"hostname", known.registration.host},
                        {"resources", std::move(resources)},
                        {"attributes", std::move(attributes)}}},
                      {"reason", json::array({reason})},
                      {"timestamp", format_timestamp(now.wall)}});
  }
  return offers;
}

}  // namespace

std::string reason_of_waiting(const State& state, const App& app, Now now) {
  if (double seconds = seconds_left(app, now); seconds > 0 && app.backoff.failures > 0) {
    std::string reason = "waits " + std::to_string(static_cast<int>(seconds + 0.999)) + " s after " +
                         std::to_string(app.backoff.failures) + " failure" + (app.backoff.failures == 1 ? "" : "s");
    if (app.last_failure) reason += "; the last: " + app.last_failure->message;
    return reason;
  }
  if (state.agents.empty()) return "no agent is registered";
  std::string reason;
  const model::App& definition = app.queued ? *app.queued->definition : *app.current;
  for (const auto& [what, count] : explain_placement(state, definition, now.instant)) {
    if (what.empty()) return "there is room: it is about to start";
    reason +=
        (reason.empty() ? "" : ", ") + what + " on " + std::to_string(count) + (count == 1 ? " agent" : " agents");
  }
  return reason.empty() ? "no agent offers anything" : reason;
}

void DeploymentsApi::add_to(http::Router& router) {
  router.add("GET", "/v2/deployments",
             [this](http::ServerRequest&, http::Responder responder) { list(std::move(responder)); });
  router.add("DELETE", "/v2/deployments/{id}", [this](http::ServerRequest& request, http::Responder responder) {
    cancel(request, std::move(responder));
  });
  router.add("GET", "/v1/deployments/{id}", [this](http::ServerRequest& request, http::Responder responder) {
    show(request.captures.at(0), std::move(responder));
  });
  router.add("GET", "/v2/queue", [this](http::ServerRequest& request, http::Responder responder) {
    list_queue(request, std::move(responder));
  });
  router.add("DELETE", "/v2/queue/{rest...}", [this](http::ServerRequest& request, http::Responder responder) {
    reset_delay(request, std::move(responder));
  });
}

void DeploymentsApi::list(http::Responder responder) {
  json deployments = json::array();
  for (const auto& [id, deployment] : engine_.state().deployments)
    deployments.push_back(deployment_info(engine_.state(), deployment));
  respond_json(responder, 200, deployments);
}

// What a pipeline waits for: {"id","version","state":"running|success|failed","reason"?,"rollback"?}.
void DeploymentsApi::show(const std::string& id, http::Responder responder) {
  const State& state = engine_.state();
  if (auto running = state.deployments.find(id); running != state.deployments.end()) {
    json info = deployment_info(state, running->second);
    info["state"] = "running";
    return respond_json(responder, 200, info);
  }
  const auto& ended = state.ended_deployments;
  auto found = std::find_if(ended.begin(), ended.end(), [&](const EndedDeployment& each) { return each.id == id; });
  if (found == ended.end()) {
    return respond_error(responder, {404, "DeploymentPlan " + id + " does not exist", {}, "", {}});
  }
  json info = {{"id", id}, {"version", found->version}, {"state", found->is_success ? "success" : "failed"}};
  if (!found->reason.empty()) info["reason"] = found->reason;
  if (!found->rollback.empty()) info["rollback"] = found->rollback;
  respond_json(responder, 200, info);
}

void DeploymentsApi::cancel(const http::ServerRequest& request, http::Responder responder) {
  const std::string& id = request.captures.at(0);
  if (!engine_.state().deployments.contains(id)) {
    return respond_error(responder, {404, "DeploymentPlan " + id + " does not exist", {}, "", {}});
  }
  CancelDeployment event;
  event.deployment = id;
  event.force = request.flag("force", false);
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(std::move(event), [waiting](const Answer& answer) {
    if (!std::holds_alternative<Done>(answer)) return respond_deployment(*waiting, answer);
    respond_text(*waiting, 202, "", "application/json");  // forced: it only stops, and nothing is said of it
  });
}

void DeploymentsApi::list_queue(const http::ServerRequest& request, http::Responder responder) {
  const State& state = engine_.state();
  Now now = engine_.now();
  json queue = json::array();
  auto embeds = [&](std::string_view what) {
    return std::any_of(request.parameters.begin(), request.parameters.end(),
                       [&](const auto& each) { return each.first == "embed" && each.second == what; });
  };
  for (const model::AppId& id : state.queue) {
    auto found = state.apps.find(id);
    if (found == state.apps.end() || !found->second.queued) continue;
    const App& app = found->second;
    double delay = seconds_left(app, now);
    json entry = {{"count", app.queued->count},
                  {"delay", {{"timeLeftSeconds", static_cast<long>(delay + 0.999)}, {"overdue", delay <= 0}}},
                  {"since", format_timestamp(app.queued->since)},
                  {"app", model::to_json(*app.queued->definition)},
                  {"processedOffersSummary", offers_summary(state, app, now)}};
    // Older clients refuse fields that they do not know, so these come only where they say something or were asked for.
    if (app.queued->definition->role != "*") entry["role"] = app.queued->definition->role;
    if (embeds("reason")) entry["reason"] = reason_of_waiting(state, app, now);
    if (embeds("lastUnusedOffers")) entry["lastUnusedOffers"] = unused_offers(state, app, now);
    queue.push_back(std::move(entry));
  }
  respond_json(responder, 200, {{"queue", std::move(queue)}});
}

void DeploymentsApi::reset_delay(const http::ServerRequest& request, http::Responder responder) {
  auto id = parse_queue_delay_path(request.captures.at(0));
  if (!id) return respond_error(responder, {404, "Only /v2/queue/{id}/delay can be deleted", {}, "", {}});
  if (!engine_.state().queue.contains(*id)) {
    return respond_error(responder, {404, "Application " + *id + " not found in tasks queue.", {}, "", {}});
  }
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(ResetDelay{0, *id}, [waiting](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    respond_text(*waiting, 204, "", "application/json");
  });
}

}  // namespace lotse::scheduler

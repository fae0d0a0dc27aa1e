#include "scheduler/server/agents_api.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/log.h"
#include "http/sse.h"
#include "model/agent_protocol.h"
#include "scheduler/server/app_view.h"
#include "scheduler/server/responses.h"

namespace lotse::scheduler {
namespace {

using nlohmann::json;

constexpr Duration kHeartbeat = std::chrono::seconds(3);
// Launches carry whole definitions; a burst of hundreds fits. Beyond, the stream closes and all is sent again.
constexpr std::size_t kCommandBytesMax = 16 * 1024 * 1024;

json resources_json(const Resources& resources) {
  return {{"cpus", static_cast<double>(resources.micro_cpus) / 1e6},
          {"mem", static_cast<double>(resources.mem_kib) / 1024},
          {"disk", static_cast<double>(resources.disk_kib) / 1024}};
}

Resources free_of(const Agent& agent) {
  Resources room = agent.total;
  room -= agent.used;
  return room;
}

void respond_text_answer(http::Responder& responder, std::string body) {
  respond_text(responder, 200, std::move(body), "application/json");
}

}  // namespace

std::string_view to_string(AgentHealth health) {
  switch (health) {
    case AgentHealth::live:
      return "live";
    case AgentHealth::suspect:
      return "suspect";
    case AgentHealth::lost:
      return "lost";
  }
  return "lost";
}

json agent_info(const Agent& agent, Now now) {
  const model::AgentRegistration& registration = agent.registration;
  json tasks = json::array();
  for (const model::TaskId& id : agent.tasks) tasks.push_back(id);
  return {{"id", registration.id},
          {"host", registration.host},
          {"api", registration.api},
          {"state", std::string(to_string(agent.health))},
          {"draining", agent.is_draining},
          {"lastHeardSeconds", std::chrono::duration<double>(now.instant - agent.last_heard).count()},
          {"incarnation", registration.incarnation},
          {"attributes", registration.attributes},
          {"role", registration.role},
          {"runtime", registration.runtime},
          {"runtimeProblem", registration.runtime_problem},
          {"ports", {{"first", registration.ports.first}, {"last", registration.ports.last}}},
          {"portsUsed", agent.ports_used.size()},
          {"portsQuarantined", agent.ports_quarantined.size()},
          {"resources", resources_json(agent.total)},
          {"used", resources_json(agent.used)},
          {"free", resources_json(free_of(agent))},
          {"tasks", std::move(tasks)}};
}

AgentsApi::AgentsApi(net::Loop& loop, Engine& engine)
    : loop_(loop), engine_(engine), heartbeat_(loop.timers(), [this] { beat(); }) {
  heartbeat_.start(kHeartbeat);
}

AgentsApi::~AgentsApi() { *alive_ = false; }

void AgentsApi::add_to(http::Router& router) {
  using http::Responder;
  using http::ServerRequest;
  router.add("PUT", "/v1/agents/{id}",
             [this](ServerRequest& request, Responder responder) { register_agent(request, std::move(responder)); });
  router.add("GET", "/v1/agents/{id}/commands",
             [this](ServerRequest& request, Responder responder) { open_commands(request, std::move(responder)); });
  router.add("POST", "/v1/agents/{id}/status",
             [this](ServerRequest& request, Responder responder) { take_report(request, std::move(responder)); });
  router.add("GET", "/v1/agents", [this](ServerRequest&, Responder responder) { list(std::move(responder)); });
  router.add("GET", "/v1/agents/{id}", [this](ServerRequest& request, Responder responder) {
    show(request.captures.at(0), std::move(responder));
  });
  router.add("POST", "/v1/agents/{id}/drain",
             [this](ServerRequest& request, Responder responder) { drain(request, true, std::move(responder)); });
  for (const auto& [method, path] :
       {std::pair("DELETE", "/v1/agents/{id}/drain"), {"POST", "/v1/agents/{id}/undrain"}}) {
    router.add(method, path,
               [this](ServerRequest& request, Responder responder) { drain(request, false, std::move(responder)); });
  }
  router.add("GET", "/v1/offers", [this](ServerRequest&, Responder responder) { list_offers(std::move(responder)); });
}

void AgentsApi::register_agent(http::ServerRequest& request, http::Responder responder) {
  auto registration = model::parse_agent_registration(request.body);
  if (!registration) return respond_error(responder, {400, registration.error().text(), {}, "", {}});
  if (registration->id != request.captures.at(0)) {
    return respond_error(responder, {400, "The registration is of agent '" + registration->id + "'", {}, "", {}});
  }
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(AgentRegistered{0, std::move(*registration)}, [waiting](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    if (const auto* ok = std::get_if<model::AgentAnswer>(&answer)) respond_text_answer(*waiting, model::serialize(*ok));
  });
}

// A new stream takes the place of the old one: the agent has only one, and knows best which.
void AgentsApi::open_commands(const http::ServerRequest& request, http::Responder responder) {
  const model::AgentId id = request.captures.at(0);
  if (!engine_.state().agents.contains(id)) {
    return respond_error(responder, {404, "Agent '" + id + "' is not registered", {}, "", {}});
  }
  http::StreamOptions options;
  options.queue_bytes_max = kCommandBytesMax;
  auto stream = responder.stream(std::move(options));
  if (stream == nullptr) return;
  std::uint64_t generation = next_generation_++;
  stream->set_callbacks({}, [this, id, generation] { remove_later(id, generation); });
  bool is_open = stream->write(": heartbeat\n\n");
  streams_[id] = {std::move(stream), generation};
  if (!is_open) return remove_later(id, generation);
  engine_.submit(AgentConnected{id});
}

void AgentsApi::take_report(http::ServerRequest& request, http::Responder responder) {
  auto report = model::parse_status_report(request.body);
  if (!report) return respond_error(responder, {400, report.error().text(), {}, "", {}});
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  AgentReported event{0, request.captures.at(0), std::move(*report)};
  engine_.submit(std::move(event), [waiting](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    if (const auto* ok = std::get_if<model::StatusAnswer>(&answer)) {
      respond_text_answer(*waiting, model::serialize(*ok));
    }
  });
}

void AgentsApi::list(http::Responder responder) {
  json agents = json::array();
  for (const auto& [id, agent] : engine_.state().agents) agents.push_back(agent_info(agent, engine_.now()));
  respond_json(responder, 200, {{"agents", std::move(agents)}});
}

void AgentsApi::show(const model::AgentId& id, http::Responder responder) {
  auto found = engine_.state().agents.find(id);
  if (found == engine_.state().agents.end()) {
    return respond_error(responder, {404, "Agent '" + id + "' does not exist", {}, "", {}});
  }
  json info = agent_info(found->second, engine_.now());
  json tasks = json::array();
  for (const model::TaskId& task : found->second.tasks) {
    if (const Task* known = find_task(engine_.state(), task)) tasks.push_back(task_info(*known, true));
  }
  info["tasks"] = std::move(tasks);
  respond_json(responder, 200, info);
}

void AgentsApi::drain(const http::ServerRequest& request, bool is_wanted, http::Responder responder) {
  const model::AgentId id = request.captures.at(0);
  auto waiting = std::make_shared<http::Responder>(std::move(responder));
  engine_.submit(DrainAgent{.agent = id, .is_wanted = is_wanted}, [this, id, waiting](const Answer& answer) {
    if (const auto* error = std::get_if<model::ApiError>(&answer)) return respond_error(*waiting, *error);
    show(id, std::move(*waiting));
  });
}

// What could be placed, agent by agent: as visible as offers were in Mesos.
void AgentsApi::list_offers(http::Responder responder) {
  json offers = json::array();
  for (const auto& [id, agent] : engine_.state().agents) {
    if (agent.health != AgentHealth::live || agent.is_draining) continue;
    const model::PortRange& ports = agent.registration.ports;
    auto total = static_cast<std::size_t>(std::max(0, ports.last - ports.first + 1));
    std::size_t taken = agent.ports_used.size() + agent.ports_quarantined.size();
    json offer = resources_json(free_of(agent));
    offer.update({{"agent", id},
                  {"host", agent.registration.host},
                  {"ports", total - std::min(total, taken)},
                  {"attributes", agent.registration.attributes},
                  {"role", agent.registration.role},
                  {"runtime", agent.registration.runtime}});
    offers.push_back(std::move(offer));
  }
  respond_json(responder, 200, {{"offers", std::move(offers)}});
}

void AgentsApi::send(const model::AgentId& agent, const model::AgentCommand& command) {
  auto found = streams_.find(agent);
  if (found == streams_.end()) return;
  std::string frame, id = std::to_string(engine_.state().term) + "-" + std::to_string(++sequence_);
  http::append_sse_event(frame, "command", writer_.text_of(command), id);
  if (found->second.stream->write(frame)) return;
  log::warn("scheduler", "command stream of agent {} lags or broke: closed", agent);
  remove_later(agent, found->second.generation);
}

void AgentsApi::reconnect_all() {
  for (const auto& [id, stream] : streams_) engine_.submit(AgentConnected{id});
}

void AgentsApi::remove_later(const model::AgentId& agent, std::uint64_t generation) {
  loop_.defer([this, agent, generation, is_alive = alive_] {
    if (!*is_alive) return;
    auto found = streams_.find(agent);
    if (found != streams_.end() && found->second.generation == generation) streams_.erase(found);
  });
}

void AgentsApi::beat() {
  heartbeat_.start(kHeartbeat);
  for (auto& [id, stream] : streams_) {
    if (stream.stream->queued_bytes() == 0 && !stream.stream->write(": heartbeat\n\n")) {
      remove_later(id, stream.generation);
    }
  }
}

}  // namespace lotse::scheduler

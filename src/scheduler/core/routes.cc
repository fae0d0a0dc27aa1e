#include "scheduler/core/routes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "scheduler/core/scaling.h"

namespace lotse::scheduler {
namespace {

constexpr int kWeightMax = 1000;

int weight_of(const model::App& app) {
  auto label = app.labels.find("lotse.weight");
  if (label == app.labels.end()) return 100;
  int weight = 0;
  const std::string& text = label->second;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (error != std::errc{} || end != text.data() + text.size()) return 100;
  return std::clamp(weight, 0, kWeightMax);
}

model::EndpointState endpoint_state(const Task& task) {
  if (task.leaving != Leaving::no) return model::EndpointState::draining;
  return task.alive.value_or(true) ? model::EndpointState::up : model::EndpointState::down;
}

bool belongs_into_table(const Task& task) {
  if (task.is_zombie || task.state != model::TaskState::running) return false;
  if (task.is_published) return true;  // once in, it stays until it leaves or dies, whatever a restarted agent forgot
  return task.leaving == Leaving::no && task.is_ready;
}

bool same_identities(const std::vector<model::Endpoint>& a, const std::vector<model::Endpoint>& b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](const auto& x, const auto& y) { return x.same_identity(y); });
}

// A task's endpoints differ in nothing but their port, so the first speaks for all.
void stamp(Task& task, const std::vector<model::Endpoint>& endpoints, std::uint64_t revision) {
  const auto state = endpoints.empty() ? model::EndpointState::down : endpoints.front().state;
  if (state != model::EndpointState::up) {
    task.up_revision = 0;
  } else if (task.up_revision == 0) {
    task.up_revision = revision;
  }
  if (state == model::EndpointState::draining && task.draining_revision == 0) task.draining_revision = revision;
}

struct Publication {
  model::RouteUpdate moved;  // what must be gone before it comes back under another address
  model::RouteUpdate update;
  std::vector<model::TaskId> tasks;
};

void take(Turn& turn, Publication& publication, const model::TaskId& id, model::GoneWhy why) {
  State& state = turn.state;
  auto task = state.tasks.find(id);
  std::vector<model::Endpoint> wanted;
  if (task != state.tasks.end()) wanted = endpoints_of(state, task->second);
  auto published = state.table.find(id);
  if (published == state.table.end()) {
    if (wanted.empty()) return;
    publication.update.set.insert(publication.update.set.end(), wanted.begin(), wanted.end());
  } else if (wanted.empty()) {
    publication.update.gone.push_back({id, why});
  } else if (!same_identities(published->second, wanted)) {
    publication.moved.gone.push_back({id, model::GoneWhy::asked});
    publication.update.set.insert(publication.update.set.end(), wanted.begin(), wanted.end());
  } else if (published->second != wanted) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (published->second[i] != wanted[i]) publication.update.set.push_back(wanted[i]);
    }
  } else {
    return;
  }
  publication.tasks.push_back(id);
  if (wanted.empty()) {
    state.table.erase(id);
  } else {
    state.table[id] = std::move(wanted);
  }
}

void send(Turn& turn, model::RouteUpdate update) {
  if (update.set.empty() && update.gone.empty()) return;
  update.term = turn.state.term;
  update.from = turn.state.revision;
  update.to = ++turn.state.revision;
  turn.out.emplace_back(PublishRoutes{std::move(update)});
}

}  // namespace

std::vector<model::Endpoint> endpoints_of(const State& state, const Task& task) {
  std::vector<model::Endpoint> endpoints;
  if (!belongs_into_table(task)) return endpoints;
  const model::App& app = *task.definition;
  const std::vector<model::AppPort> ports = model::ports_of(app);
  const std::optional<int> default_port = model::default_port_of(app);
  const Agent& agent = state.agents.at(task.agent);
  auto zone = agent.registration.attributes.find("zone");
  model::Labels labels;
  for (auto label = app.labels.lower_bound("lotse."); label != app.labels.end() && label->first.starts_with("lotse.");
       ++label) {
    labels.insert(*label);
  }
  for (std::size_t i = 0; i < ports.size() && i < task.host_ports.size(); ++i) {
    if (task.host_ports[i] == 0) continue;
    model::Endpoint endpoint;
    endpoint.app = task.app;
    endpoint.port = static_cast<int>(i);
    endpoint.port_name = ports[i].name;
    endpoint.is_default = default_port == static_cast<int>(i);
    endpoint.is_udp = !ports[i].is_tcp;
    endpoint.task = task.id;
    endpoint.version = app.version;
    endpoint.host = task.host;
    endpoint.host_port = static_cast<std::uint16_t>(task.host_ports[i]);
    endpoint.state = endpoint_state(task);
    endpoint.weight = weight_of(app);
    if (zone != agent.registration.attributes.end()) endpoint.zone = zone->second;
    endpoint.agent = agent.registration.api;
    endpoint.labels = labels;
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

void publish_routes(Turn& turn) {
  State& state = turn.state;
  Publication publication;
  for (const auto& [id, why] : std::exchange(turn.routes, {})) take(turn, publication, id, why);
  send(turn, std::move(publication.moved));
  send(turn, std::move(publication.update));
  for (const model::TaskId& id : publication.tasks) {
    auto found = state.tasks.find(id);
    if (found == state.tasks.end()) continue;
    Task& task = found->second;
    auto published = state.table.find(id);
    stamp(task, published == state.table.end() ? std::vector<model::Endpoint>{} : published->second, state.revision);
    if (published != state.table.end() && !task.is_published) {
      task.is_published = true;  // durable before the update leaves: from now on only the barrier lets it be killed
      turn.changed_tasks.insert(id);
    }
    if (task.leaving == Leaving::draining) turn.drains_due = true;
    // The deployment that waits for it may go on, if no proxy is there to wait for.
    note_service(turn, task.app);
  }
}

void rebuild_table(State& state) {
  state.table.clear();
  for (auto& [id, task] : state.tasks) {
    task.up_revision = task.draining_revision = 0;
    task.drain_acknowledged.reset();
    task.left_dns.reset();
    if (!task.is_published) continue;  // ready or not: the first step publishes it, and says so to the disk
    std::vector<model::Endpoint> endpoints = endpoints_of(state, task);
    stamp(task, endpoints, state.revision);
    if (!endpoints.empty()) state.table[id] = std::move(endpoints);
  }
}

}  // namespace lotse::scheduler

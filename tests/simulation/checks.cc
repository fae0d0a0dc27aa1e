#include "tests/simulation/checks.h"

#include <algorithm>
#include <set>

#include "scheduler/core/barrier.h"
#include "scheduler/core/records.h"
#include "scheduler/core/routes.h"

namespace lotse::simulation {

using namespace scheduler;

namespace {

// All of the durable half, as records.
std::map<std::string, std::string> encode(const State& state) {
  std::map<std::string, std::string> records;
  for (const auto& [id, app] : state.apps) {
    records[app_key(id)] = encode_app(app);
    for (const auto& [version, definition] : app.versions)
      records[version_key(id, version)] = encode_version(*definition);
  }
  for (const auto& [id, task] : state.tasks) {
    records[task_key(id)] = encode_task(task);
    records[health_key(id)] = encode_health(task);
  }
  for (const auto& [id, agent] : state.agents) {
    records[agent_key(id)] = encode_agent(agent);
    for (const auto& [task, release] : agent.releases)
      records[release_key(id, task)] = encode_release(id, task, release);
  }
  for (const auto& [id, deployment] : state.deployments) records[deployment_key(id)] = encode_deployment(deployment);
  for (const auto& [id, deployment] : state.deployments) {
    if (deployment.progress.since) records[progress_key(id)] = encode_progress(deployment);
  }
  for (const auto& [key, proxy] : state.proxies) records[proxy_key(proxy.id, proxy.boot)] = encode_proxy(proxy);
  for (const std::string& url : state.callbacks) records[callback_key(url)] = encode_callback(url);
  for (const auto& [id, group] : state.groups) records[group_key(id)] = encode_group(id, group);
  for (const auto& [version, change] : state.history) records[history_key(version)] = encode_root_change(change);
  if (!state.last_version.empty()) records[std::string(kLastVersionKey)] = state.last_version;
  return records;
}

// Leaving tasks are `draining` again after a restart, and only the address of a proxy may lag behind.
bool may_differ(const std::string& key) { return key.starts_with("proxy/"); }

}  // namespace

void Checks::violated(const std::string& what) {
  if (violation_.empty()) {
    violation_ = what + " at " +
                 std::to_string((timeline_.now.time_since_epoch() - std::chrono::hours(1000)).count() / 1'000'000) +
                 " ms";
  }
}

void Checks::on_command(const Command& command) {
  if (shell_.state().term != epoch_) {
    epoch_ = shell_.state().term;
    epoch_start_ = timeline_.now;
    draining_since_.clear();
  }
  if (const auto* routes = std::get_if<PublishRoutes>(&command)) {
    for (const model::Endpoint& endpoint : routes->update.set) {
      if (endpoint.state == model::EndpointState::draining) draining_since_.emplace(endpoint.task, timeline_.now);
    }
  } else if (const auto* sent = std::get_if<SendToAgent>(&command)) {
    if (sent->command.kill) check_kill(sent->command.kill->task);
    if (sent->command.launch) check_launch(sent->agent, *sent->command.launch);
  } else if (const auto* event = std::get_if<Emit>(&command)) {
    if (event->type == "deployment_success") check_success(event->plan_json);
  }
}

void Checks::on_step() {
  check_books();
  check_machines();
  note_releases();
  if (++steps_ % 50 == 0) check_records();
}

// The barrier: a task that the scheduler may kill on purpose is one that no living proxy can pick, or has in flight.
void Checks::check_kill(const model::TaskId& id) {
  const Task* task = find_task(shell_.state(), id);
  if (task == nullptr) return;  // unknown, or lost and replaced: gone from the routes, and nobody promised anything
  for (const auto& proxy : proxies_) {
    if (!proxy->holds_lease()) continue;
    if (proxy->could_route(id)) violated("kill of " + id + " which " + proxy->id() + " may still pick");
    if (proxy->in_flight(id) == 0) continue;
    auto published = draining_since_.find(id);  // or in the snapshot that began the epoch
    const Instant since = published == draining_since_.end() ? epoch_start_ : published->second;
    const Duration deadline = drain_deadline_of(shell_.state().settings, *task->definition);
    if (timeline_.now < since + deadline) {
      violated("kill of " + id + " with requests of " + proxy->id() + " in flight");
    }
  }
}

// The barrier's other half: what a deployment started, every living proxy can use by the time it is called a success.
void Checks::check_success(const std::string& plan) {
  const State& state = shell_.state();
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed || plan.find("\"" + id + "\"") == std::string::npos) continue;
    for (const model::TaskId& task : app.tasks) {
      const Task& counted = state.tasks.at(task);  // one that is unreachable for too long is not
      if (counted.definition->version != app.current->version || counted.state != model::TaskState::running) continue;
      for (const auto& proxy : proxies_) {
        if (proxy->holds_lease() && !proxy->can_use(task))
          violated(proxy->id() + " cannot use " + task + " of a success");
      }
    }
  }
}

void Checks::check_launch(const model::AgentId& agent, const model::LaunchTask& launch) {
  const std::string host = shell_.state().agents.at(agent).registration.host;
  for (int port : launch.host_ports) {
    if (port == 0) continue;
    for (const auto& proxy : proxies_) {
      if (!proxy->holds_lease()) continue;
      for (const auto& table : proxy->workers()) {
        for (const auto& [task, endpoints] : *table) {
          for (const model::Endpoint& endpoint : endpoints) {
            const bool same = endpoint.host == host && endpoint.host_port == port;
            if (same && task != launch.task && endpoint.app != launch.app.id) {
              violated("port of " + task + " drawn for " + launch.task + " while " + proxy->id() + " knows it");
            }
          }
        }
      }
    }
    auto released = released_.find({host, port});
    if (released == released_.end() || released->second.first == launch.app.id) continue;
    if (timeline_.now < released->second.second + shell_.state().settings.port_quarantine) {
      violated("port " + std::to_string(port) + " drawn in its quarantine for " + launch.task);
    }
  }
}

void Checks::check_books() {
  const State& state = shell_.state();
  std::map<model::AgentId, Resources> used;
  std::set<std::pair<model::AgentId, int>> ports;
  for (const auto& [id, task] : state.tasks) {
    used[task.agent] += resources_of(*task.definition);
    for (int port : task.host_ports) {
      if (port != 0 && !ports.insert({task.agent, port}).second) violated("two tasks on one port: " + id);
    }
    if (task.is_zombie) continue;
    auto app = state.apps.find(task.app);
    if (app == state.apps.end() || !app->second.tasks.contains(id)) violated(id + " is not in its app's tasks");
  }
  for (const auto& [id, agent] : state.agents) {
    if (used[id] != agent.used) violated("the books of " + id + " are wrong");
    const Resources& sum = used[id];
    if (sum.micro_cpus > agent.total.micro_cpus || sum.mem_kib > agent.total.mem_kib) violated(id + " is oversold");
    const std::int64_t free = agent.total.micro_cpus - agent.used.micro_cpus;
    if (!state.agents_by_free_cpus.contains({free, id})) violated("the index does not know what " + id + " has free");
  }
  if (state.agents_by_free_cpus.size() != state.agents.size()) violated("the index has agents that do not exist");
  std::size_t published = 0;
  for (const auto& [id, task] : state.tasks) {
    const std::vector<model::Endpoint> wanted = endpoints_of(state, task);
    auto found = state.table.find(id);
    if (wanted != (found == state.table.end() ? std::vector<model::Endpoint>{} : found->second)) {
      violated("the table is wrong about " + id);
    }
    published += wanted.empty() ? 0 : 1;
  }
  if (published != state.table.size()) violated("the table has tasks that do not exist");
}

void Checks::check_machines() {
  for (const auto& agent : agents_) {
    std::set<int> ports;
    double cpus = 0;
    for (const auto& [id, container] : agent->containers()) {
      cpus += container.app.cpus;
      for (int port : container.host_ports) {
        if (port != 0 && !ports.insert(port).second) violated("two containers on port " + std::to_string(port));
      }
    }
    if (cpus > agent->identity().cpus + 1e-6) violated(agent->identity().id + " runs more than it can");
  }
}

void Checks::check_records() {
  const State& state = shell_.state();
  const auto stored = shell_.records();
  const std::vector<std::pair<std::string, std::string>> list(stored.begin(), stored.end());
  auto restored = restore(list, state.term, state.cluster, state.settings, timeline_.both());
  if (!restored) {
    violated("cannot be restored: " + restored.error().text());
    return;
  }
  auto before = state;
  for (auto& [id, task] : before.tasks) {  // the barrier starts anew
    if (task.leaving == Leaving::killing && task.is_published && !task.is_zombie) task.leaving = Leaving::draining;
  }
  const auto ours = encode(before), theirs = encode(*restored);
  for (const auto& [key, value] : ours) {
    auto found = theirs.find(key);
    if (may_differ(key) && found != theirs.end()) continue;
    if (found == theirs.end() || found->second != value) {
      violated("restored otherwise: " + key + "\n" + value + "\n" + (found == theirs.end() ? "" : found->second));
    }
  }
  if (theirs.size() != ours.size()) violated("restored with more than there is");
  if (all_endpoints(*restored) != all_endpoints(state)) violated("a restart would change the table");
}

void Checks::note_releases() {
  const State& state = shell_.state();
  for (auto use = uses_.begin(); use != uses_.end();) {
    if (state.tasks.contains(use->first)) {
      ++use;
      continue;
    }
    for (const auto& address : use->second.addresses) released_[address] = {use->second.app, timeline_.now};
    use = uses_.erase(use);
  }
  for (const auto& [id, task] : state.tasks) {
    if (uses_.contains(id)) continue;
    Use use{.app = task.app};
    for (int port : task.host_ports) {
      if (port != 0) use.addresses.emplace_back(task.host, port);
    }
    uses_[id] = std::move(use);
  }
}

void Checks::check_nothing_routed_is_dead() {
  for (const auto& proxy : proxies_) {
    if (!proxy->holds_lease()) continue;
    for (const auto& table : proxy->workers()) {
      for (const auto& [task, endpoints] : *table) {
        if (endpoints.front().state != model::EndpointState::up) continue;
        const bool runs = std::any_of(agents_.begin(), agents_.end(), [&, &id = task](const auto& agent) {
          auto found = agent->containers().find(id);
          return found != agent->containers().end() && found->second.is_ready && !found->second.is_ending;
        });
        if (!runs) violated(proxy->id() + " may pick " + task + ", which does not run");
      }
    }
  }
}

std::string Checks::unsettled() const {
  if (!shell_.is_up()) return "the scheduler is down";
  const State& state = shell_.state();
  if (!state.deployments.empty()) return "deployment " + plan_json(state.deployments.begin()->second);
  std::size_t wanted = 0;
  for (const auto& [id, app] : state.apps) {
    if (app.is_removed) return id + " is still being deleted";
    if (static_cast<int>(app.tasks.size()) != app.current->instances) {
      return id + " has " + std::to_string(app.tasks.size()) + " of " + std::to_string(app.current->instances);
    }
    if (app.queued) return id + " is in the queue";
    wanted += app.tasks.size();
    for (const model::TaskId& task : app.tasks) {
      if (!is_healthy(state.tasks.at(task)) || state.tasks.at(task).leaving != Leaving::no)
        return task + " is not healthy";
    }
  }
  if (state.tasks.size() != wanted) return "zombies";
  std::size_t running = 0;
  for (const auto& agent : agents_) running += agent->containers().size();
  if (running != wanted) return std::to_string(running) + " containers instead of " + std::to_string(wanted);
  for (const auto& proxy : proxies_) {
    if (!proxy->is_up()) return proxy->id() + " is down";
    for (const auto& table : proxy->workers()) {
      if (*table != state.table) return proxy->id() + " has another table";
    }
  }
  return "";
}

}  // namespace lotse::simulation

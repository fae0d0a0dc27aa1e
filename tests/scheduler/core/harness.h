// A scheduler core in a test's hands: its state, a clock that moves when told, the store its records go to, and what it
// sent. Speaks for agents and proxies in single calls. Not a simulator: nothing happens by itself.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "scheduler/core/core.h"

namespace lotse::scheduler {

using namespace std::chrono_literals;

inline model::App make_app(const std::string& id, int instances = 1) {
  model::App app;
  app.id = id;
  app.instances = instances;
  app.cmd = "run";
  app.cpus = 0.1;
  app.mem_mib = 32;
  app.port_definitions = {model::PortDefinition{.name = "default"}};
  return app;
}

class Harness {
 public:
  explicit Harness(Settings settings = {}) : settings_(settings) {
    state.settings = settings;
    state.term = 1;
    state.cluster = "c1";
  }

  State state;
  Now now{Instant(std::chrono::hours(1000)), WallTime(std::chrono::milliseconds(1'700'000'000'000))};
  Random random{1};
  std::map<std::string, std::string> store;
  std::vector<Command> commands;  // of the last step, without records
  std::vector<Command> history;   // of all steps since forget()

  void step(const Event& event) {
    commands.clear();
    bool after_records = false;
    for (Command& command : scheduler::step(state, event, now, random)) {
      if (auto* write = std::get_if<Write>(&command)) {
        CHECK(!after_records);
        store[write->key] = write->value;
      } else if (auto* erase = std::get_if<Erase>(&command)) {
        CHECK(!after_records);
        store.erase(erase->key);
      } else {
        after_records = true;
        commands.push_back(command);
        history.push_back(std::move(command));
      }
    }
  }
  void advance(Duration by) {  // timers fire on their way
    const Instant end = now.instant + by;
    while (auto next = state.timers.next()) {
      if (*next > end) break;
      set_time(std::max(*next, now.instant));
      step(Tick{});
    }
    set_time(end);
    step(Tick{});
  }
  void pause(Duration by) {  // of the scheduler itself: nothing fires on its way
    set_time(now.instant + by);
    forgive_silence(state, now.instant);
    step(Tick{});
  }
  void forget() { history.clear(); }

  void restart() {
    std::vector<std::pair<std::string, std::string>> records(store.begin(), store.end());
    auto restored = restore(records, state.term + 1, "c1", settings_, now);
    if (!restored) throw std::runtime_error(restored.error().text());
    state = std::move(*restored);
    step(Tick{});
  }

  // Agents.
  model::AgentRegistration registration(const std::string& id) {
    auto& known = registrations_[id];
    if (known.id.empty()) {
      known.id = id;
      known.data_id = "data-" + id;
      known.incarnation = 1;
      known.host = "10.0.0." + std::to_string(registrations_.size());
      known.api = known.host + ":5051";
      known.cpus = 4;
      known.mem_mib = 1024;
      known.disk_mib = 1024;
    }
    return known;
  }
  void set_registration(const model::AgentRegistration& registration) {
    registrations_[registration.id] = registration;
  }
  void heartbeat(const std::string& id) { step(AgentRegistered{.token = 9, .registration = registration(id)}); }
  void list(const std::string& id, std::vector<model::AgentRegistration::KnownTask> tasks) {
    auto seen = registration(id);
    seen.has_tasks = true;
    seen.tasks = std::move(tasks);
    step(AgentRegistered{.token = 9, .registration = seen});
  }
  void add_agents(int count) {
    for (int i = 1; i <= count; ++i) heartbeat("a" + std::to_string(i));
  }
  void report(const model::TaskId& id, model::TaskState task_state, const std::string& message = "") {
    const std::string agent = agent_of(id);
    model::StatusReport status{.data_id = registration(agent).data_id, .incarnation = registration(agent).incarnation};
    status.statuses.push_back({.number = ++numbers_[agent],
                               .task = id,
                               .state = task_state,
                               .message = message,
                               .time = format_timestamp(now.wall)});
    step(AgentReported{.token = 8, .agent = agent, .report = status});
  }
  void health(const model::TaskHealth& health) {
    const std::string agent = agent_of(health.task);
    model::StatusReport status{.data_id = registration(agent).data_id, .incarnation = registration(agent).incarnation};
    status.health.push_back(health);
    step(AgentReported{.token = 8, .agent = agent, .report = status});
  }
  void run(const model::TaskId& id) {  // launched, running, ready
    report(id, model::TaskState::running);
    health({.task = id, .is_ready = true});
  }
  void run_all(const model::AppId& app) {
    for (const auto& id : tasks_of(app)) {
      if (state.tasks.at(id).state == model::TaskState::staging) run(id);
    }
  }

  // Proxies.
  void join(const std::string& proxy) { step(ProxyJoined{.proxy = proxy, .boot = "b"}); }
  void ack(const std::string& proxy, std::vector<model::ProxyReport::Draining> draining = {},
           std::vector<model::TaskId> pending = {}) {
    ack_revision(proxy, {state.term, state.revision}, std::move(draining), std::move(pending));
  }
  void ack_revision(const std::string& proxy, model::Revision revision,
                    std::vector<model::ProxyReport::Draining> draining = {}, std::vector<model::TaskId> pending = {}) {
    model::ProxyReport report{.boot = "b",
                              .term = state.term,
                              .applied = revision,
                              .pending = std::move(pending),
                              .draining = std::move(draining)};
    step(ProxyReported{.token = 7, .proxy = proxy, .report = report});
  }

  // Requests.
  void put(const model::App& app, bool force = false) { step(ChangeApps{.token = 1, .set = {app}, .force = force}); }
  void deploy(const model::App& app) {  // and run it, without proxies
    put(app);
    run_all(app.id);
  }

  // What it said and has.
  template <typename T>
  std::vector<T> said(const std::vector<Command>& where) const {
    std::vector<T> found;
    for (const Command& command : where) {
      if (const T* value = std::get_if<T>(&command)) found.push_back(*value);
    }
    return found;
  }
  template <typename T>
  std::optional<T> answer() const {  // of the last step
    for (const Reply& reply : said<Reply>(commands)) {
      if (const T* value = std::get_if<T>(&reply.answer)) return *value;
    }
    return std::nullopt;
  }
  std::vector<model::TaskId> kills(const std::vector<Command>& where) const {
    std::vector<model::TaskId> ids;
    for (const auto& sent : said<SendToAgent>(where)) {
      if (sent.command.kill) ids.push_back(sent.command.kill->task);
    }
    return ids;
  }
  std::vector<model::TaskId> launches(const std::vector<Command>& where) const {
    std::vector<model::TaskId> ids;
    for (const auto& sent : said<SendToAgent>(where)) {
      if (sent.command.launch) ids.push_back(sent.command.launch->task);
    }
    return ids;
  }
  std::vector<std::string> events(const std::vector<Command>& where) const {
    std::vector<std::string> types;
    for (const Emit& event : said<Emit>(where)) types.push_back(event.type);
    return types;
  }
  std::vector<model::TaskId> tasks_of(const model::AppId& app) const {
    auto found = state.apps.find(app);
    if (found == state.apps.end()) return {};
    return {found->second.tasks.begin(), found->second.tasks.end()};
  }
  std::vector<model::TaskId> tasks_of(const model::AppId& app, const model::Version& version) const {
    std::vector<model::TaskId> ids;
    for (const auto& id : tasks_of(app)) {
      if (state.tasks.at(id).definition->version == version) ids.push_back(id);
    }
    return ids;
  }
  const Task& task(const model::TaskId& id) const { return state.tasks.at(id); }
  bool in_table(const model::TaskId& id) const { return state.table.contains(id); }

 private:
  std::string agent_of(const model::TaskId& id) const {
    auto found = state.tasks.find(id);
    if (found != state.tasks.end()) agents_[id] = found->second.agent;
    return agents_.at(id);
  }
  void set_time(Instant to) {
    now.wall += std::chrono::duration_cast<WallTime::duration>(to - now.instant);
    now.instant = to;
  }

  Settings settings_;
  std::map<std::string, model::AgentRegistration> registrations_;
  std::map<std::string, std::uint64_t> numbers_;
  mutable std::map<model::TaskId, std::string> agents_;
};

}  // namespace lotse::scheduler

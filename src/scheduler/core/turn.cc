#include "scheduler/core/turn.h"

#include <algorithm>

#include "scheduler/core/records.h"

namespace lotse::scheduler {
namespace {

class RecordWriter {
 public:
  explicit RecordWriter(std::vector<Command>& out) : out_(out) {}
  void write(std::string key, std::string value, bool is_synced = true) {
    out_.emplace_back(Write{std::move(key), std::move(value), is_synced});
  }
  void erase(std::string key) { out_.emplace_back(Erase{std::move(key)}); }

 private:
  std::vector<Command>& out_;
};

void save_tasks(const Turn& turn, RecordWriter& writer) {
  for (const model::TaskId& id : turn.changed_tasks) {
    auto task = turn.state.tasks.find(id);
    if (task != turn.state.tasks.end()) {
      writer.write(task_key(id), encode_task(task->second));
    } else {
      writer.erase(task_key(id));
      writer.erase(health_key(id));
    }
  }
  for (const model::TaskId& id : turn.changed_health) {
    auto task = turn.state.tasks.find(id);
    if (task != turn.state.tasks.end()) writer.write(health_key(id), encode_health(task->second), false);
  }
}

void save_apps(const Turn& turn, RecordWriter& writer) {
  for (const model::AppId& id : turn.changed_apps) {
    auto app = turn.state.apps.find(id);
    if (app != turn.state.apps.end()) {
      writer.write(app_key(id), encode_app(app->second));
    } else {
      writer.erase(app_key(id));
      writer.erase(backoff_key(id));
    }
  }
  for (const model::AppId& id : turn.changed_backoffs) {
    auto app = turn.state.apps.find(id);
    if (app != turn.state.apps.end()) writer.write(backoff_key(id), encode_backoff(app->second), false);
  }
}

}  // namespace

void Turn::send(const model::AgentId& agent, model::AgentCommand command) {
  command.term = state.term;
  command.cluster = state.cluster;
  out.emplace_back(SendToAgent{agent, std::move(command)});
}

model::Version Turn::next_version() {
  WallTime time = now.wall;
  if (auto last = parse_timestamp(state.last_version); last && *last >= time)
    time = *last + std::chrono::milliseconds(1);
  state.last_version = format_timestamp(time);
  records[std::string(kLastVersionKey)] = state.last_version;
  return state.last_version;
}

std::vector<Command> finish(Turn&& turn) {
  std::vector<Command> commands;
  RecordWriter writer(commands);
  save_apps(turn, writer);
  save_tasks(turn, writer);
  for (const model::AgentId& id : turn.changed_agents) {
    auto agent = turn.state.agents.find(id);
    if (agent != turn.state.agents.end()) {
      writer.write(agent_key(id), encode_agent(agent->second));
    } else {
      writer.erase(agent_key(id));
    }
  }
  for (const std::string& id : turn.changed_deployments) {
    auto deployment = turn.state.deployments.find(id);
    if (deployment != turn.state.deployments.end()) {
      writer.write(deployment_key(id), encode_deployment(deployment->second));
    } else {
      writer.erase(deployment_key(id));
      writer.erase(progress_key(id));
    }
  }
  for (auto& [key, value] : turn.records) {
    if (value) {
      writer.write(key, std::move(*value));
    } else {
      writer.erase(key);
    }
  }
  for (auto& [key, value] : turn.unsynced_records) {
    if (!turn.records.contains(key)) writer.write(key, std::move(value), false);
  }
  std::move(turn.out.begin(), turn.out.end(), std::back_inserter(commands));
  if (auto next = turn.state.timers.next()) commands.emplace_back(WakeAt{*next});
  return commands;
}

}  // namespace lotse::scheduler

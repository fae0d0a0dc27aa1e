// What agents and scheduler say to each other (design section 3). Values and their JSON; used by both sides.
//   PUT  /v1/agents/{id}            AgentRegistration -> AgentAnswer; 409: another data directory holds this id
//   GET  /v1/agents/{id}/commands   SSE, event `command`, id "<term>-<sequence>", data AgentCommand
//   POST /v1/agents/{id}/status     StatusReport -> StatusAnswer
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/app.h"
#include "model/task.h"

namespace lotse::model {

struct PortRange {
  int first = 31000, last = 32000;
  bool operator==(const PortRange&) const = default;
};

// Sent at start and every 3 s: registration and heartbeat are one call, so a scheduler that forgot us learns all again.
struct AgentRegistration {
  AgentId id;
  std::string data_id;            // a uuid kept in the data directory: who this agent is, whatever it calls itself
  std::uint64_t incarnation = 0;  // raised at each start from this data directory
  std::string host;               // the address tasks are reached at
  std::string api;                // "host:port" of the agent's API
  double cpus = 0, mem_mib = 0, disk_mib = 0;
  PortRange ports;
  std::map<std::string, std::string> attributes;
  std::string role = "*";          // apps come here whose acceptedResourceRoles name it
  std::string runtime = "docker";  // what runs images: "docker", or "process" when none answers
  std::string runtime_problem;     // why Docker does not answer, in its own words; empty: it does
  std::uint64_t term = 0;          // the highest seen
  std::string cluster;             // whose containers these are; empty before the first registration
  struct KnownTask {
    TaskId task;
    TaskState state = TaskState::running;
    bool operator==(const KnownTask&) const = default;
  };
  bool has_tasks = false;        // `tasks` is complete (it is not while the first listing of Docker is under way)
  std::vector<KnownTask> tasks;  // reconciliation: everything not terminal
  bool operator==(const AgentRegistration&) const = default;
};
struct AgentAnswer {
  std::uint64_t term = 0;
  std::string cluster;
  std::uint64_t acknowledged = 0;  // the highest status number committed for this data_id
};

struct LaunchTask {
  TaskId task;
  App app;                                 // the definition to run
  std::vector<int> host_ports;             // one for each of ports_of(app); 0: that port is not published
  std::map<std::string, std::string> env;  // beyond app.env, made by the scheduler: none today
  bool operator==(const LaunchTask&) const = default;
};
struct KillTask {
  TaskId task;
  double grace_seconds = 3;  // SIGTERM to SIGKILL
  bool operator==(const KillTask&) const = default;
};
// Idempotent: a launch of a task the agent knows, or a kill of one it does not, changes nothing (an unknown task's kill
// is answered with status `lost`). Sent again after every reconnect until a status shows its effect.
struct AgentCommand {
  std::uint64_t term = 0;  // refused when lower than one seen: a fenced scheduler
  std::string cluster;
  std::optional<LaunchTask> launch;
  std::optional<KillTask> kill;
  bool operator==(const AgentCommand&) const = default;
};

// A change of a task's state. Numbered per data_id, kept on the agent's disk until acknowledged, committed once.
struct TaskStatus {
  std::uint64_t number = 0;
  TaskId task;
  TaskState state = TaskState::starting;
  std::string message;     // Docker's own words, or how it ended
  std::string time;        // the agent's wall clock, timestamp
  std::string ip_address;  // the container's
  bool operator==(const TaskStatus&) const = default;
};
// Health is not numbered: last wins, sent on change and with each reconnect.
struct TaskHealth {
  TaskId task;
  bool is_ready = false;      // its ports accept, or it has health checks and all passed at least once (docs/decisions)
  std::optional<bool> alive;  // all health checks alive; absent: no result yet, or no checks
  std::vector<HealthResult> results;
  std::optional<bool> readiness_passed;
  std::optional<ReadinessResult> readiness;  // absent: not asked yet, or it did not answer
  bool wants_kill = false;  // max_consecutive_failures reached: the scheduler decides, since a kill goes by the barrier
  bool operator==(const TaskHealth&) const = default;
};
struct StatusReport {
  std::string data_id;
  std::uint64_t incarnation = 0;
  std::vector<TaskStatus> statuses;  // ascending numbers
  std::vector<TaskHealth> health;
  bool operator==(const StatusReport&) const = default;
};
struct StatusAnswer {
  std::uint64_t term = 0;
  std::uint64_t acknowledged = 0;
};

// GET /v1/tasks/{id} on the agent.
struct TaskConfirmation {
  TaskId task;
  AppId app;
  TaskState state = TaskState::running;
  std::vector<int> host_ports;
};

std::string serialize(const AgentRegistration& value);
std::string serialize(const AgentAnswer& value);
std::string serialize(const AgentCommand& value);
std::string serialize(const AgentCommand& value, std::string_view app_text);  // its app as serialize_app() made it
std::string serialize(const StatusReport& value);
std::string serialize(const StatusAnswer& value);
std::string serialize(const TaskConfirmation& value);
Result<AgentRegistration, Problem> parse_agent_registration(std::string_view json);
Result<AgentAnswer, Problem> parse_agent_answer(std::string_view json);
Result<AgentCommand, Problem> parse_agent_command(std::string_view json);
Result<StatusReport, Problem> parse_status_report(std::string_view json);
Result<StatusAnswer, Problem> parse_status_answer(std::string_view json);
Result<TaskConfirmation, Problem> parse_task_confirmation(std::string_view json);

}  // namespace lotse::model

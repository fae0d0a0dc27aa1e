#include "agent/task_record.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

constexpr std::array<std::string_view, 6> kPhaseNames{"accepted", "creating", "starting", "started", "ended", "done"};

std::optional<Phase> phase_from(std::string_view name) {
  auto found = std::find(kPhaseNames.begin(), kPhaseNames.end(), name);
  if (found == kPhaseNames.end()) return std::nullopt;
  return static_cast<Phase>(found - kPhaseNames.begin());
}

// The model's codec carries launch and health, so this file never falls behind their fields.
std::string launch_text(const model::LaunchTask& launch) {
  model::AgentCommand command;
  command.launch = launch;
  return model::serialize(command);
}

std::string health_text(const model::TaskHealth& health) {
  model::StatusReport report;
  report.health.push_back(health);
  return model::serialize(report);
}

}  // namespace

std::string serialize(const TaskRecord& record) {
  nlohmann::json json{{"launch", launch_text(record.launch)},
                      {"runtime", record.runtime == RuntimeKind::docker ? "docker" : "process"},
                      {"phase", kPhaseNames[static_cast<std::size_t>(record.phase)]},
                      {"state", model::to_string(record.state)},
                      {"message", record.message},
                      {"killRequested", record.kill_requested},
                      {"graceSeconds", record.grace_seconds},
                      {"ip", record.ip_address},
                      {"container", record.container_id},
                      {"startedMs", record.started_ms},
                      {"endedMs", record.ended_ms},
                      {"logTail", record.log_tail}};
  if (!record.health.task.empty()) json["health"] = health_text(record.health);
  return dump(json);
}

Result<TaskRecord, Problem> parse_task_record(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return fail(Problem{"", "is not a JSON object"});
  auto command = model::parse_agent_command(text_of(json, "launch"));
  if (!command || !command->launch) return fail(Problem{"launch", command ? "is missing" : command.error().text()});
  auto phase = phase_from(text_of(json, "phase"));
  auto state = model::task_state_from(text_of(json, "state"));
  if (!phase || !state) return fail(Problem{"phase", "is not one we write"});
  TaskRecord record;
  record.launch = std::move(*command->launch);
  record.runtime = text_of(json, "runtime") == "process" ? RuntimeKind::process : RuntimeKind::docker;
  record.phase = *phase;
  record.state = *state;
  record.message = text_of(json, "message");
  record.kill_requested = bool_of(json, "killRequested");
  record.grace_seconds = number_of(json, "graceSeconds", 3);
  record.ip_address = text_of(json, "ip");
  record.container_id = text_of(json, "container");
  record.started_ms = integer_of(json, "startedMs");
  record.ended_ms = integer_of(json, "endedMs");
  record.log_tail = text_of(json, "logTail");
  if (std::string health = text_of(json, "health"); !health.empty()) {
    auto report = model::parse_status_report(health);
    if (report && report->health.size() == 1) record.health = std::move(report->health.front());
  }
  if (!is_safe_task_id(record.id())) return fail(Problem{"launch", "holds a task id we would not have taken"});
  return record;
}

bool is_safe_task_id(std::string_view id) {
  auto is_alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (id.empty() || id.size() > 200 || !is_alphanumeric(id.front())) return false;
  return std::all_of(id.begin(), id.end(),
                     [&](char c) { return is_alphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

}  // namespace lotse::agent

#include "model/agent_protocol.h"

#include <nlohmann/json.hpp>

#include "model/app_json.h"
#include "model/json_reader.h"
#include "model/json_text.h"
#include "model/json_writer.h"

namespace lotse::model {
namespace {

void write_member(JsonWriter& json, std::string_view name, const std::string& text) {
  if (!text.empty()) json.member(name, text);
}

void write(JsonWriter& json, const LaunchTask& launch, std::string_view app_text) {
  json.key("launch");
  json.begin_object();
  json.member("task", launch.task);
  json.key("app");
  json.raw(app_text);
  json.member("hostPorts", launch.host_ports);
  if (!launch.env.empty()) json.member("env", launch.env);
  json.end_object();
}

void write(JsonWriter& json, const TaskStatus& status) {
  json.begin_object();
  json.member("number", status.number);
  json.member("task", status.task);
  json.member("state", to_string(status.state));
  write_member(json, "message", status.message);
  write_member(json, "time", status.time);
  write_member(json, "ipAddress", status.ip_address);
  json.end_object();
}

void write(JsonWriter& json, const HealthResult& result) {
  json.begin_object();
  json.member("alive", result.alive);
  json.member("consecutiveFailures", result.consecutive_failures);
  write_member(json, "firstSuccess", result.first_success);
  write_member(json, "lastSuccess", result.last_success);
  write_member(json, "lastFailure", result.last_failure);
  write_member(json, "lastFailureCause", result.last_failure_cause);
  json.end_object();
}

void write(JsonWriter& json, const TaskHealth& health) {
  json.begin_object();
  json.member("task", health.task);
  json.member("ready", health.is_ready);
  if (health.alive) json.member("alive", *health.alive);
  if (!health.results.empty()) {
    json.key("results");
    json.begin_array();
    for (const HealthResult& result : health.results) write(json, result);
    json.end_array();
  }
  if (health.readiness_passed) json.member("readinessPassed", *health.readiness_passed);
  if (health.readiness) {
    json.key("readiness");
    json.begin_object();
    json.member("status", health.readiness->status);
    write_member(json, "contentType", health.readiness->content_type);
    write_member(json, "body", health.readiness->body);
    json.end_object();
  }
  if (health.wants_kill) json.member("wantsKill", true);
  json.end_object();
}

void read_state(const JsonReader& in, TaskState& state) {
  std::string text;
  in.to(text);
  if (in.is_absent() || in.has_problem()) return;
  if (auto known = task_state_from(text)) {
    state = *known;
  } else {
    in.complain("not a task state");
  }
}

void read(const JsonReader& in, std::optional<bool>& target) {
  if (in.is_absent()) return;
  bool flag = false;
  in.to(flag);
  target = flag;
}

void read_ports(const JsonReader& in, std::vector<int>& ports) {
  in.each([&](const JsonReader& item) { item.to(ports.emplace_back(), 0, 65535); });
}

void read(const JsonReader& in, AgentRegistration& agent) {
  in["id"].required().to(agent.id);
  in["dataId"].required().to(agent.data_id);
  in["incarnation"].required().to(agent.incarnation);
  in["host"].required().to(agent.host);
  in["api"].required().to(agent.api);
  in["cpus"].to(agent.cpus);
  in["mem"].to(agent.mem_mib);
  in["disk"].to(agent.disk_mib);
  JsonReader ports = in["ports"];
  ports.expect_object();
  ports["first"].to(agent.ports.first, 1, 65535);
  ports["last"].to(agent.ports.last, 1, 65535);
  if (agent.ports.first > agent.ports.last) ports.complain("first is greater than last");
  in["attributes"].to(agent.attributes);
  in["role"].to(agent.role);
  in["runtime"].to(agent.runtime);
  in["runtimeProblem"].to(agent.runtime_problem);
  in["term"].to(agent.term);
  in["cluster"].to(agent.cluster);
  in["hasTasks"].to(agent.has_tasks);
  in["tasks"].each([&](const JsonReader& item) {
    if (!item.expect_object()) return;
    AgentRegistration::KnownTask& known = agent.tasks.emplace_back();
    item["task"].required().to(known.task);
    read_state(item["state"].required(), known.state);
  });
}

void read(const JsonReader& in, AgentAnswer& answer) {
  in["term"].required().to(answer.term);
  in["cluster"].to(answer.cluster);
  in["acknowledged"].to(answer.acknowledged);
}

void read(const JsonReader& in, LaunchTask& launch) {
  in["task"].required().to(launch.task);
  JsonReader app = in["app"];
  app.required();
  if (app.expect_object()) {
    auto definition = deserialize_app_definition(app.value());
    if (definition) {
      launch.app = std::move(*definition);
    } else {
      app.complain(definition.error().text());
    }
  }
  read_ports(in["hostPorts"], launch.host_ports);
  in["env"].to(launch.env);
}

void read(const JsonReader& in, AgentCommand& command) {
  in["term"].required().to(command.term);
  in["cluster"].to(command.cluster);
  if (JsonReader launch = in["launch"]; launch.expect_object()) read(launch, command.launch.emplace());
  if (JsonReader kill = in["kill"]; kill.expect_object()) {
    kill["task"].required().to(command.kill.emplace().task);
    kill["graceSeconds"].to(command.kill->grace_seconds);
    if (command.kill->grace_seconds < 0) kill["graceSeconds"].complain("is negative");
  }
}

void read(const JsonReader& in, TaskStatus& status) {
  if (!in.expect_object()) return;
  in["number"].required().to(status.number);
  in["task"].required().to(status.task);
  read_state(in["state"].required(), status.state);
  in["message"].to(status.message);
  in["time"].to(status.time);
  in["ipAddress"].to(status.ip_address);
}

void read(const JsonReader& in, HealthResult& result) {
  if (!in.expect_object()) return;
  in["alive"].required().to(result.alive);
  in["consecutiveFailures"].to(result.consecutive_failures, 0, 1'000'000'000);
  in["firstSuccess"].to(result.first_success);
  in["lastSuccess"].to(result.last_success);
  in["lastFailure"].to(result.last_failure);
  in["lastFailureCause"].to(result.last_failure_cause);
}

void read(const JsonReader& in, TaskHealth& health) {
  if (!in.expect_object()) return;
  in["task"].required().to(health.task);
  in["ready"].to(health.is_ready);
  read(in["alive"], health.alive);
  in["results"].each([&](const JsonReader& item) { read(item, health.results.emplace_back()); });
  read(in["readinessPassed"], health.readiness_passed);
  if (JsonReader readiness = in["readiness"]; readiness.expect_object()) {
    ReadinessResult& result = health.readiness.emplace();
    readiness["status"].to(result.status, 0, 999);
    readiness["contentType"].to(result.content_type);
    readiness["body"].to(result.body);
  }
  in["wantsKill"].to(health.wants_kill);
}

void read(const JsonReader& in, StatusReport& report) {
  in["dataId"].required().to(report.data_id);
  in["incarnation"].required().to(report.incarnation);
  in["statuses"].each([&](const JsonReader& item) {
    TaskStatus& status = report.statuses.emplace_back();
    read(item, status);
    if (report.statuses.size() > 1 && status.number <= report.statuses[report.statuses.size() - 2].number) {
      item["number"].complain("numbers must ascend");
    }
  });
  in["health"].each([&](const JsonReader& item) { read(item, report.health.emplace_back()); });
}

void read(const JsonReader& in, StatusAnswer& answer) {
  in["term"].required().to(answer.term);
  in["acknowledged"].required().to(answer.acknowledged);
}

void read(const JsonReader& in, TaskConfirmation& confirmation) {
  in["task"].required().to(confirmation.task);
  in["app"].required().to(confirmation.app);
  read_state(in["state"].required(), confirmation.state);
  read_ports(in["hostPorts"], confirmation.host_ports);
}

template <typename T>
Result<T, Problem> parse(std::string_view text) {
  auto json = parse_json_text(text);
  if (!json) return fail(json.error());
  T value;
  Problem problem;
  JsonReader in(*json, problem);
  if (in.expect_object()) read(in, value);
  if (in.has_problem()) return fail(problem);
  return value;
}

}  // namespace

std::string serialize(const AgentRegistration& agent) {
  JsonWriter json(512 + agent.tasks.size() * 128);
  json.begin_object();
  json.member("id", agent.id);
  json.member("dataId", agent.data_id);
  json.member("incarnation", agent.incarnation);
  json.member("host", agent.host);
  json.member("api", agent.api);
  json.member("cpus", agent.cpus);
  json.member("mem", agent.mem_mib);
  json.member("disk", agent.disk_mib);
  json.key("ports");
  json.begin_object();
  json.member("first", agent.ports.first);
  json.member("last", agent.ports.last);
  json.end_object();
  json.member("attributes", agent.attributes);
  if (agent.role != "*") json.member("role", agent.role);
  json.member("runtime", agent.runtime);
  write_member(json, "runtimeProblem", agent.runtime_problem);
  json.member("term", agent.term);
  write_member(json, "cluster", agent.cluster);
  json.member("hasTasks", agent.has_tasks);
  json.key("tasks");
  json.begin_array();
  for (const AgentRegistration::KnownTask& known : agent.tasks) {
    json.begin_object();
    json.member("task", known.task);
    json.member("state", to_string(known.state));
    json.end_object();
  }
  json.end_array();
  json.end_object();
  return json.take();
}

std::string serialize(const AgentAnswer& answer) {
  JsonWriter json;
  json.begin_object();
  json.member("term", answer.term);
  json.member("cluster", answer.cluster);
  json.member("acknowledged", answer.acknowledged);
  json.end_object();
  return json.take();
}

std::string serialize(const AgentCommand& command) {
  return serialize(command, command.launch ? serialize_app(command.launch->app) : std::string());
}

std::string serialize(const AgentCommand& command, std::string_view app_text) {
  JsonWriter json(256 + app_text.size());
  json.begin_object();
  json.member("term", command.term);
  write_member(json, "cluster", command.cluster);
  if (command.launch) write(json, *command.launch, app_text);
  if (command.kill) {
    json.key("kill");
    json.begin_object();
    json.member("task", command.kill->task);
    json.member("graceSeconds", command.kill->grace_seconds);
    json.end_object();
  }
  json.end_object();
  return json.take();
}

std::string serialize(const StatusReport& report) {
  JsonWriter json(256 + (report.statuses.size() + report.health.size()) * 256);
  json.begin_object();
  json.member("dataId", report.data_id);
  json.member("incarnation", report.incarnation);
  json.key("statuses");
  json.begin_array();
  for (const TaskStatus& status : report.statuses) write(json, status);
  json.end_array();
  json.key("health");
  json.begin_array();
  for (const TaskHealth& health : report.health) write(json, health);
  json.end_array();
  json.end_object();
  return json.take();
}

std::string serialize(const StatusAnswer& answer) {
  JsonWriter json;
  json.begin_object();
  json.member("term", answer.term);
  json.member("acknowledged", answer.acknowledged);
  json.end_object();
  return json.take();
}

std::string serialize(const TaskConfirmation& confirmation) {
  JsonWriter json;
  json.begin_object();
  json.member("task", confirmation.task);
  json.member("app", confirmation.app);
  json.member("state", to_string(confirmation.state));
  json.member("hostPorts", confirmation.host_ports);
  json.end_object();
  return json.take();
}

Result<AgentRegistration, Problem> parse_agent_registration(std::string_view json) {
  return parse<AgentRegistration>(json);
}
Result<AgentAnswer, Problem> parse_agent_answer(std::string_view json) { return parse<AgentAnswer>(json); }
Result<AgentCommand, Problem> parse_agent_command(std::string_view json) { return parse<AgentCommand>(json); }
Result<StatusReport, Problem> parse_status_report(std::string_view json) { return parse<StatusReport>(json); }
Result<StatusAnswer, Problem> parse_status_answer(std::string_view json) { return parse<StatusAnswer>(json); }
Result<TaskConfirmation, Problem> parse_task_confirmation(std::string_view json) {
  return parse<TaskConfirmation>(json);
}

}  // namespace lotse::model

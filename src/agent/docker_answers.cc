#include "agent/docker_answers.h"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "agent/json_fields.h"

namespace lotse::agent {
namespace {

using nlohmann::json;

json parse(std::string_view text) { return json::parse(text, nullptr, false); }

model::Labels labels_from(const json& object) {
  model::Labels labels;
  if (!object.is_object()) return labels;
  for (const auto& [name, value] : object.items()) {
    if (value.is_string()) labels.emplace(name, value.get<std::string>());
  }
  return labels;
}

// "2026-11-23T14:05:43.232589542Z": nanoseconds are cut to milliseconds. Docker's zero time (year 1) gives 0.
std::int64_t milliseconds_from(const std::string& text) {
  if (text.size() < 20) return 0;
  std::string digits = text[19] == '.' ? text.substr(20, text.find_first_not_of("0123456789", 20) - 20) : "";
  digits.resize(3, '0');
  auto time = parse_timestamp(text.substr(0, 19) + "." + digits + "Z");
  return time && time->time_since_epoch().count() > 0 ? time->time_since_epoch().count() : 0;
}

// The first network that has an address: tasks have one network (MARATHON.md section 3).
std::string address_from(const json& settings) {
  const json& networks = member_of(settings, "Networks");
  if (networks.is_object()) {
    for (const auto& [name, network] : networks.items()) {
      if (std::string ip = text_of(network, "IPAddress"); !ip.empty()) return ip;
    }
  }
  return text_of(settings, "IPAddress");
}

Observation::Kind kind_from(const std::string& status) {
  using Kind = Observation::Kind;
  if (status == "created") return Kind::created;
  if (status == "running" || status == "paused" || status == "restarting") return Kind::running;
  return Kind::exited;  // exited, dead, removing
}

}  // namespace

Result<ContainerReport, Problem> parse_inspect(std::string_view text) {
  json body = parse(text);
  const json& state = member_of(body, "State");
  if (!state.is_object()) return fail(Problem{"docker", "the answer to inspect is not what the API promises"});
  ContainerReport report;
  report.seen.kind = kind_from(text_of(state, "Status"));
  report.seen.container_id = text_of(body, "Id");
  report.seen.ip_address = address_from(member_of(body, "NetworkSettings"));
  report.seen.exit_code = static_cast<int>(integer_of(state, "ExitCode"));
  report.seen.out_of_memory = bool_of(state, "OOMKilled");
  report.seen.error = text_of(state, "Error");
  report.seen.started_ms = milliseconds_from(text_of(state, "StartedAt"));
  report.labels = labels_from(member_of(member_of(body, "Config"), "Labels"));
  return report;
}

Result<std::vector<ListedContainer>, Problem> parse_container_list(std::string_view text) {
  json body = parse(text);
  if (!body.is_array()) return fail(Problem{"docker", "the list of containers is not a JSON list"});
  std::vector<ListedContainer> containers;
  for (const json& entry : body) {
    ListedContainer container{text_of(entry, "Id"), "", text_of(entry, "State"),
                              labels_from(member_of(entry, "Labels"))};
    const json& names = member_of(entry, "Names");
    if (names.is_array() && !names.empty() && names[0].is_string()) container.name = names[0].get<std::string>();
    containers.push_back(std::move(container));
  }
  return containers;
}

std::optional<DockerEvent> parse_docker_event(std::string_view line) {
  json body = parse(line);
  if (text_of(body, "Type") != "container") return std::nullopt;
  const json& actor = member_of(body, "Actor");
  return DockerEvent{text_of(body, "Action"), text_of(actor, "ID"), labels_from(member_of(actor, "Attributes"))};
}

std::optional<std::string> parse_pull_error(std::string_view line) {
  json body = parse(line);
  std::string error = text_of(member_of(body, "errorDetail"), "message");
  if (error.empty()) error = text_of(body, "error");
  if (error.empty()) return std::nullopt;
  return error;
}

std::string docker_words(int status, std::string_view body) {
  constexpr std::size_t kBytesMax = 2000;
  std::string message = text_of(parse(body), "message");
  if (message.empty()) message = std::string(body.substr(0, kBytesMax));
  if (message.size() > kBytesMax) message.resize(kBytesMax);
  while (!message.empty() && (message.back() == '\n' || message.back() == '\r')) message.pop_back();
  return message.empty() ? fmt::format("Docker answered {}", status) : message;
}

std::optional<std::string> parse_created_id(std::string_view text) {
  std::string id = text_of(parse(text), "Id");
  if (id.empty()) return std::nullopt;
  return id;
}

std::optional<ExecState> parse_exec_state(std::string_view text) {
  json body = parse(text);
  if (!body.is_object()) return std::nullopt;
  return ExecState{bool_of(body, "Running"), static_cast<int>(integer_of(body, "ExitCode"))};
}

}  // namespace lotse::agent

#include "agent/docker_parameters.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

namespace lotse::agent {
namespace {

using nlohmann::json;

enum class Form : std::uint8_t {
  text,     // field = "value"
  list,     // field = [..., "value"]
  words,    // field = ["value"], replaced
  number,   // field = 12
  size,     // field = bytes
  boolean,  // field = true
  pair,     // field[name] = value, from "name=value"
  ulimit,   // "nofile=1024:2048"
  device,   // "/dev/x:/dev/y:rwm"
  tmpfs,    // "/run:rw,size=1m"
  cpus,     // "1.5" -> NanoCpus
  ours,     // refused: the agent decides it
};

struct Option {
  std::string_view name;
  Form form;
  const char* pointer;  // JSON pointer into the create body
};

// docker run's long options (and the short ones seen in real definitions) as of API 1.41.
constexpr std::array kOptions{
    Option{"add-host", Form::list, "/HostConfig/ExtraHosts"},
    Option{"blkio-weight", Form::number, "/HostConfig/BlkioWeight"},
    Option{"cap-add", Form::list, "/HostConfig/CapAdd"},
    Option{"cap-drop", Form::list, "/HostConfig/CapDrop"},
    Option{"cgroup-parent", Form::text, "/HostConfig/CgroupParent"},
    Option{"cpu-period", Form::number, "/HostConfig/CpuPeriod"},
    Option{"cpu-quota", Form::number, "/HostConfig/CpuQuota"},
    Option{"cpu-shares", Form::number, "/HostConfig/CpuShares"},
    Option{"cpus", Form::cpus, "/HostConfig/NanoCpus"},
    Option{"cpuset-cpus", Form::text, "/HostConfig/CpusetCpus"},
    Option{"cpuset-mems", Form::text, "/HostConfig/CpusetMems"},
    Option{"device", Form::device, "/HostConfig/Devices"},
    Option{"dns", Form::list, "/HostConfig/Dns"},
    Option{"dns-opt", Form::list, "/HostConfig/DnsOptions"},
    Option{"dns-option", Form::list, "/HostConfig/DnsOptions"},
    Option{"dns-search", Form::list, "/HostConfig/DnsSearch"},
    Option{"entrypoint", Form::words, "/Entrypoint"},
    Option{"e", Form::list, "/Env"},
    Option{"env", Form::list, "/Env"},
    Option{"group-add", Form::list, "/HostConfig/GroupAdd"},
    Option{"h", Form::text, "/Hostname"},
    Option{"hostname", Form::text, "/Hostname"},
    Option{"init", Form::boolean, "/HostConfig/Init"},
    Option{"interactive", Form::boolean, "/OpenStdin"},
    Option{"ipc", Form::text, "/HostConfig/IpcMode"},
    Option{"isolation", Form::text, "/HostConfig/Isolation"},
    Option{"l", Form::pair, "/Labels"},
    Option{"label", Form::pair, "/Labels"},
    Option{"link", Form::list, "/HostConfig/Links"},
    Option{"log-driver", Form::text, "/HostConfig/LogConfig/Type"},
    Option{"log-opt", Form::pair, "/HostConfig/LogConfig/Config"},
    Option{"mac-address", Form::text, "/MacAddress"},
    Option{"memory", Form::size, "/HostConfig/Memory"},
    Option{"memory-reservation", Form::size, "/HostConfig/MemoryReservation"},
    Option{"memory-swap", Form::size, "/HostConfig/MemorySwap"},
    Option{"memory-swappiness", Form::number, "/HostConfig/MemorySwappiness"},
    Option{"name", Form::ours, ""},
    Option{"net", Form::text, "/HostConfig/NetworkMode"},
    Option{"network", Form::text, "/HostConfig/NetworkMode"},
    Option{"oom-kill-disable", Form::boolean, "/HostConfig/OomKillDisable"},
    Option{"oom-score-adj", Form::number, "/HostConfig/OomScoreAdj"},
    Option{"pid", Form::text, "/HostConfig/PidMode"},
    Option{"pids-limit", Form::number, "/HostConfig/PidsLimit"},
    Option{"privileged", Form::boolean, "/HostConfig/Privileged"},
    Option{"read-only", Form::boolean, "/HostConfig/ReadonlyRootfs"},
    Option{"restart", Form::ours, ""},
    Option{"rm", Form::ours, ""},
    Option{"runtime", Form::text, "/HostConfig/Runtime"},
    Option{"security-opt", Form::list, "/HostConfig/SecurityOpt"},
    Option{"shm-size", Form::size, "/HostConfig/ShmSize"},
    Option{"stop-signal", Form::text, "/StopSignal"},
    Option{"stop-timeout", Form::number, "/StopTimeout"},
    Option{"storage-opt", Form::pair, "/HostConfig/StorageOpt"},
    Option{"sysctl", Form::pair, "/HostConfig/Sysctls"},
    Option{"tmpfs", Form::tmpfs, "/HostConfig/Tmpfs"},
    Option{"tty", Form::boolean, "/Tty"},
    Option{"ulimit", Form::ulimit, "/HostConfig/Ulimits"},
    Option{"user", Form::text, "/User"},
    Option{"u", Form::text, "/User"},
    Option{"userns", Form::text, "/HostConfig/UsernsMode"},
    Option{"uts", Form::text, "/HostConfig/UTSMode"},
    Option{"v", Form::list, "/HostConfig/Binds"},
    Option{"volume", Form::list, "/HostConfig/Binds"},
    Option{"volume-driver", Form::text, "/HostConfig/VolumeDriver"},
    Option{"volumes-from", Form::list, "/HostConfig/VolumesFrom"},
    Option{"w", Form::text, "/WorkingDir"},
    Option{"workdir", Form::text, "/WorkingDir"},
};

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_decimal(std::string_view text) {
  double value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value < 1e6)) return std::nullopt;
  return value;
}

std::pair<std::string, std::string> split_at(std::string_view text, char separator) {
  std::size_t at = text.find(separator);
  if (at == std::string_view::npos) return {std::string(text), ""};
  return {std::string(text.substr(0, at)), std::string(text.substr(at + 1))};
}

bool add_ulimit(json& field, std::string_view text) {
  auto [name, limits] = split_at(text, '=');
  auto [soft_text, hard_text] = split_at(limits, ':');
  auto soft = parse_number(soft_text), hard = hard_text.empty() ? soft : parse_number(hard_text);
  if (name.empty() || !soft || !hard) return false;
  field.push_back({{"Name", name}, {"Soft", *soft}, {"Hard", *hard}});
  return true;
}

void add_device(json& field, std::string_view text) {
  auto [on_host, rest] = split_at(text, ':');
  auto [in_container, permissions] = split_at(rest, ':');
  field.push_back({{"PathOnHost", on_host},
                   {"PathInContainer", in_container.empty() ? on_host : in_container},
                   {"CgroupPermissions", permissions.empty() ? "rwm" : permissions}});
}

// Labels of ours are how containers are found again; no parameter may change them.
bool is_reserved_label(const Option& option, std::string_view name) {
  return std::string_view(option.pointer) == "/Labels" && name.starts_with("lotse.");
}

template <typename T>
bool set(json& field, const std::optional<T>& value) {
  if (value) field = *value;
  return value.has_value();
}

bool apply(json& field, const Option& option, const std::string& value) {
  switch (option.form) {
    case Form::text:
      field = value;
      return true;
    case Form::list:
      field.push_back(value);
      return true;
    case Form::words:
      field = json::array({value});
      return true;
    case Form::number:
      return set(field, parse_number(value));
    case Form::size:
      return set(field, value == "-1" ? std::optional<std::int64_t>(-1) : parse_size(value));
    case Form::boolean:
      field = value != "false";
      return value.empty() || value == "true" || value == "false";
    case Form::pair: {
      auto [name, rest] = split_at(value, '=');
      if (name.empty() || is_reserved_label(option, name)) return false;
      field[name] = rest;
      return true;
    }
    case Form::tmpfs: {
      auto [path, options] = split_at(value, ':');
      field[path] = options;
      return !path.empty();
    }
    case Form::ulimit:
      return add_ulimit(field, value);
    case Form::device:
      add_device(field, value);
      return true;
    case Form::cpus: {
      auto cpus = parse_decimal(value);
      if (cpus) field = std::llround(*cpus * 1e9);
      return cpus.has_value();
    }
    case Form::ours:
      break;
  }
  return false;
}

}  // namespace

std::optional<std::int64_t> parse_size(std::string_view text) {
  std::int64_t value = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || value < 0 || value > (std::int64_t{1} << 40)) return std::nullopt;
  std::string unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](char c) { return static_cast<char>(c | 0x20); });
  if (unit.size() == 2 && unit[1] == 'b') unit.pop_back();
  if (unit.empty() || unit == "b") return value;
  if (unit == "k") return value << 10;
  if (unit == "m" && value < (std::int64_t{1} << 40)) return value << 20;
  if (unit == "g" && value < (std::int64_t{1} << 32)) return value << 30;
  return std::nullopt;
}

std::optional<Problem> apply_docker_parameter(json& body, const model::Parameter& parameter) {
  auto option = std::find_if(kOptions.begin(), kOptions.end(),
                             [&](const Option& candidate) { return candidate.name == parameter.key; });
  std::string where = fmt::format("container parameter \"{}\"", parameter.key);
  if (option == kOptions.end()) return Problem{where, "is not supported"};
  if (option->form == Form::ours) return Problem{where, "is the agent's to decide"};
  json& field = body[json::json_pointer(option->pointer)];
  if (!apply(field, *option, parameter.value)) {
    return Problem{where, fmt::format("cannot take the value \"{}\"", parameter.value)};
  }
  // Docker refuses a quota of its own beside NanoCpus, and options of another log driver than the one they belong to.
  if (option->name == "cpu-period" || option->name == "cpu-quota") body["HostConfig"].erase("NanoCpus");
  if (option->name == "log-driver") body["HostConfig"]["LogConfig"]["Config"] = json::object();
  return std::nullopt;
}

}  // namespace lotse::agent

#include "agent/process_identity.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <vector>

#include "agent/durable_file.h"

namespace lotse::agent {
namespace {

std::string boot_id() {
  static const std::string id = [] {
    auto file = read_whole("/proc/sys/kernel/random/boot_id", 4096);
    std::string text = file ? file->content : "";
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }();
  return id;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    std::size_t begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return words;
}

template <typename T>
std::optional<T> number_from(std::string_view text) {
  T value{};
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ProcessStat> stat_of(int pid) {
  auto file = read_whole(fmt::format("/proc/{}/stat", pid), 64 * 1024);
  return file && file->exists ? parse_process_stat(file->content) : std::nullopt;
}

bool has_variable(std::string_view environment, std::string_view variable) {
  while (!environment.empty()) {
    std::size_t end = std::min(environment.find('\0'), environment.size());
    if (environment.substr(0, end) == variable) return true;
    environment.remove_prefix(std::min(end + 1, environment.size()));
  }
  return false;
}

}  // namespace

std::optional<ProcessStat> parse_process_stat(std::string_view line) {
  std::size_t name_end = line.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  std::vector<std::string_view> words = words_of(line.substr(name_end + 1));  // from field 3, the state, on
  if (words.size() < 20 || words[0].size() != 1) return std::nullopt;
  auto session = number_from<int>(words[3]);
  auto start = number_from<std::uint64_t>(words[19]);
  if (!session || !start) return std::nullopt;
  return ProcessStat{words[0][0], *session, *start};
}

std::string serialize(const ProcessIdentity& identity) {
  return fmt::format("{} {} {}\n", identity.pid, identity.start_ticks, identity.boot);
}

std::optional<ProcessIdentity> parse_process_identity(std::string_view text) {
  std::vector<std::string_view> words = words_of(text);
  if (words.size() != 3) return std::nullopt;
  auto pid = number_from<int>(words[0]);
  auto start = number_from<std::uint64_t>(words[1]);
  if (!pid || *pid <= 1 || !start) return std::nullopt;
  return ProcessIdentity{*pid, *start, std::string(words[2])};
}

std::optional<ProcessIdentity> identify(int pid) {
  auto stat = stat_of(pid);
  if (!stat || stat->state == 'Z' || stat->state == 'X') return std::nullopt;
  return ProcessIdentity{pid, stat->start_ticks, boot_id()};
}

bool is_alive(const ProcessIdentity& identity) { return identify(identity.pid) == identity; }

std::optional<ProcessIdentity> find_session_leader_with(std::string_view variable) {
  std::error_code code;
  for (std::filesystem::directory_iterator entry("/proc", code), end; !code && entry != end; entry.increment(code)) {
    auto pid = number_from<int>(entry->path().filename().string());
    if (!pid) continue;
    auto stat = stat_of(*pid);
    if (!stat || stat->session != *pid) continue;
    auto environment = read_whole(entry->path().string() + "/environ", 4 * 1024 * 1024);
    if (environment && has_variable(environment->content, variable)) return identify(*pid);
  }
  return std::nullopt;
}

}  // namespace lotse::agent

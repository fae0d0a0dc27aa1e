// Telling one process from another for certain: a pid is reused, a pid with its start time (and boot) is not. Linux
// /proc only; blocking reads of small files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lotse::agent {

struct ProcessIdentity {
  int pid = 0;
  std::uint64_t start_ticks = 0;  // field 22 of /proc/<pid>/stat
  std::string boot;               // /proc/sys/kernel/random/boot_id
  bool operator==(const ProcessIdentity&) const = default;
};

std::string serialize(const ProcessIdentity& identity);
std::optional<ProcessIdentity> parse_process_identity(std::string_view text);

std::optional<ProcessIdentity> identify(int pid);  // nullopt: no such process, or only its zombie is left
bool is_alive(const ProcessIdentity& identity);

// The session leader whose environment holds `variable` ("NAME=value"): how a process is found whose pid was never
// written down, because we died right after starting it.
std::optional<ProcessIdentity> find_session_leader_with(std::string_view variable);

// The parts of a line of /proc/<pid>/stat that we use; the command name may hold spaces and parentheses.
struct ProcessStat {
  char state = '?';
  int session = 0;
  std::uint64_t start_ticks = 0;
};
std::optional<ProcessStat> parse_process_stat(std::string_view line);

}  // namespace lotse::agent

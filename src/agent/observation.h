// What a runtime sees of one task when it looks: the "observed" half of wanted versus observed. A value.
#pragma once

#include <cstdint>
#include <string>

namespace lotse::agent {

struct Observation {
  enum class Kind : std::uint8_t {
    unknown,  // a call's outcome is not known, or nobody looked yet: look before doing anything
    absent,
    created,  // there, never started
    running,
    exited,
  };
  Kind kind = Kind::unknown;
  std::string container_id;
  std::string ip_address;       // the container's own; empty on the host network and for processes
  int exit_code = 0;            // exited
  bool exit_code_known = true;  // a process that somebody else reaped may leave none
  bool out_of_memory = false;
  std::string error;            // the runtime's own words about why it is not running
  std::int64_t started_ms = 0;  // wall clock; 0: unknown
};

// "exit code 137 (SIGKILL, out of memory)".
std::string describe_exit(const Observation& seen);

}  // namespace lotse::agent

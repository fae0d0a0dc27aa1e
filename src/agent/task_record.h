// What the agent keeps of one task on disk: what was asked, how far it came, what was last said about it. Written
// before the runtime is asked for anything that follows from it, so a crash in between is resolved by looking.
// Values and JSON; the files are RecordStore's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "model/agent_protocol.h"

namespace lotse::agent {

enum class RuntimeKind : std::uint8_t { docker, process };

// How far the task came, as far as we know: each phase is stored before the call that may bring the next one about.
enum class Phase : std::uint8_t {
  accepted,  // launch taken; the runtime has not been asked for anything
  creating,  // a create may have been sent
  starting,  // a start may have been sent
  started,   // seen running
  ended,     // its end was reported; the container or process files may still be there
  done,      // nothing is left but this record, kept for a while for its logs and last words
};

struct TaskRecord {
  model::LaunchTask launch;
  RuntimeKind runtime = RuntimeKind::docker;
  Phase phase = Phase::accepted;
  model::TaskState state = model::TaskState::starting;  // last reported
  std::string message;                                  // last reported
  bool kill_requested = false;
  double grace_seconds = 3;
  std::string ip_address;
  std::string container_id;
  std::int64_t started_ms = 0;  // wall clock, ms since 1970; 0: not yet
  std::int64_t ended_ms = 0;
  model::TaskHealth health;  // last reported, so that a restarted agent does not take an endpoint out of the table
  std::string log_tail;      // of a task that ended, at most kLogTailBytesMax

  static constexpr std::size_t kLogTailBytesMax = 64 * 1024;

  const model::TaskId& id() const { return launch.task; }
  bool is_over() const { return phase == Phase::ended || phase == Phase::done; }
};

std::string serialize(const TaskRecord& record);
Result<TaskRecord, Problem> parse_task_record(std::string_view json);

// Task ids become file and container names, so only [A-Za-z0-9][A-Za-z0-9_.-]* of at most 200 bytes are taken.
bool is_safe_task_id(std::string_view id);

}  // namespace lotse::agent

// The reconciler: one record and one observation give the one next step towards what is wanted. Pure; it never
// remembers, so it does not matter where the agent died. The table is in tests/agent/next_step_test.cc.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/observation.h"
#include "agent/task_record.h"

namespace lotse::agent {

enum class Step : std::uint8_t {
  none,  // as wanted: wait for news
  look,  // inspect
  create,
  start,
  report_running,
  stop,         // SIGTERM, grace, SIGKILL
  end_by_exit,  // report finished, failed or, when a kill was asked for, killed
  end_killed,   // asked to end before anything ran
  end_lost,     // it was there and is not there any more
  clean_up,     // keep the last of its log, remove the container
  finish,       // nothing left in the runtime
};
std::string_view to_string(Step step);

Step next_step(const TaskRecord& record, const Observation& seen);

}  // namespace lotse::agent

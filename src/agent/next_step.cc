#include "agent/next_step.h"

namespace lotse::agent {
namespace {

using Kind = Observation::Kind;

// Its end was told: whatever is left of it goes. One that runs again was started by somebody else (`docker start`)
// behind our back; its ports may belong to another task by now.
Step step_after_the_end(const TaskRecord& record, Kind seen) {
  switch (seen) {
    case Kind::absent:
      return record.phase == Phase::done ? Step::none : Step::finish;
    case Kind::running:
      return Step::stop;
    case Kind::created:
    case Kind::exited:
      return Step::clean_up;
    case Kind::unknown:
      break;
  }
  return Step::look;
}

Step step_towards_the_end(Kind seen) {
  switch (seen) {
    case Kind::absent:
    case Kind::created:
      return Step::end_killed;
    case Kind::running:
      return Step::stop;
    case Kind::exited:
      return Step::end_by_exit;
    case Kind::unknown:
      break;
  }
  return Step::look;
}

Step step_towards_running(const TaskRecord& record, Kind seen) {
  switch (seen) {
    // Creating again is safe when looking said "absent": the name is the task's own, so a create of ours that arrives
    // late makes the second one fail with a conflict, and we look again.
    case Kind::absent:
      return record.phase <= Phase::creating ? Step::create : Step::end_lost;
    case Kind::created:
      return record.phase == Phase::started ? Step::end_lost : Step::start;
    case Kind::running:
      return record.phase == Phase::started ? Step::none : Step::report_running;
    case Kind::exited:
      return Step::end_by_exit;
    case Kind::unknown:
      break;
  }
  return Step::look;
}

}  // namespace

Step next_step(const TaskRecord& record, const Observation& seen) {
  if (seen.kind == Kind::unknown) return Step::look;
  if (record.is_over()) return step_after_the_end(record, seen.kind);
  return record.kill_requested ? step_towards_the_end(seen.kind) : step_towards_running(record, seen.kind);
}

std::string_view to_string(Step step) {
  switch (step) {
    case Step::none:
      return "none";
    case Step::look:
      return "look";
    case Step::create:
      return "create";
    case Step::start:
      return "start";
    case Step::report_running:
      return "report_running";
    case Step::stop:
      return "stop";
    case Step::end_by_exit:
      return "end_by_exit";
    case Step::end_killed:
      return "end_killed";
    case Step::end_lost:
      return "end_lost";
    case Step::clean_up:
      return "clean_up";
    case Step::finish:
      return "finish";
  }
  return "?";
}

}  // namespace lotse::agent

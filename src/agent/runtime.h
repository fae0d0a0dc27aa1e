// What the agent asks of whatever runs a task: Docker or plain processes. One call is one step; what a call's failure
// leaves open is found out by look(). Implementations never report states or keep decisions: that is the task driver's.
// One loop thread; coroutines are destroyed to cancel them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/observation.h"
#include "agent/unit_result.h"
#include "base/async.h"
#include "base/clock.h"
#include "model/agent_protocol.h"

namespace lotse::agent {

struct RuntimeError {
  enum class Outcome : std::uint8_t {
    refused,      // it did not happen, and trying again as it is will not help
    unreachable,  // it did not happen: nobody answers there at all
    unknown,      // it may or may not have happened: look
  };
  Outcome outcome = Outcome::refused;
  std::string words;  // the runtime's own
};
template <typename T>
using Outcome = Result<T, RuntimeError>;

struct CommandResult {
  int exit_code = 0;
  std::string output;  // the beginning of it, for the cause of a failed check
};

// Follows a log; destroying it ends that.
class LogFollower {
 public:
  virtual ~LogFollower() = default;
  virtual void pause() = 0;
  virtual void resume() = 0;
};
struct LogCallbacks {
  std::function<void(std::string_view)> on_text;  // must not destroy the follower
  std::function<void()> on_end;                   // last; may destroy it
};

class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual Async<Outcome<Observation>> look(model::TaskId task) = 0;
  // `on_interruptible(true)` while it waits for something long that may be cancelled without a trace (a pull).
  virtual Async<Outcome<Unit>> create(model::LaunchTask launch, std::function<void(bool)> on_interruptible) = 0;
  virtual Async<Outcome<Unit>> start(model::LaunchTask launch) = 0;
  virtual Async<Outcome<Unit>> stop(model::TaskId task, Duration grace) = 0;  // returns when it has ended
  virtual Async<Outcome<Unit>> remove(model::TaskId task) = 0;                // absent is fine
  // It is absent, and has been long enough for people to look: its sandbox goes. Again: changes nothing.
  virtual void forget(const model::TaskId& task) = 0;
  virtual Async<Outcome<CommandResult>> run_command(model::LaunchTask launch, std::string command,
                                                    Duration timeout) = 0;
  virtual Async<std::string> log_tail(model::TaskId task, std::size_t bytes_max) = 0;
  virtual std::unique_ptr<LogFollower> follow_log(const model::TaskId& task, LogCallbacks callbacks) = 0;
};

}  // namespace lotse::agent

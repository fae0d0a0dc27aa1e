// Runs tasks as plain processes: `sh -c cmd` in a sandbox folder, in a session of its own, so that it outlives the
// agent. A tiny shell around it leaves the exit code in a file, for an agent that was not there to see it end. There
// are no limits on CPU or memory here: that is what containers are for.
// Owned by the agent; one loop thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/fetcher.h"
#include "agent/process_identity.h"
#include "agent/runtime.h"
#include "net/process.h"
#include "net/timers.h"

namespace lotse::agent {

class ProcessRuntime final : public Runtime {
 public:
  static constexpr std::int64_t kLogBytesMax = 10 * 1024 * 1024;  // of stdout and of stderr; one older part is kept

  ProcessRuntime(net::Loop& loop, std::string data_path, Fetcher& fetcher, std::string host,
                 std::function<void(const model::TaskId&)> on_news);

  Async<Outcome<Observation>> look(model::TaskId task) override;
  Async<Outcome<Unit>> create(model::LaunchTask launch, std::function<void(bool)> on_interruptible) override;
  Async<Outcome<Unit>> start(model::LaunchTask launch) override;
  Async<Outcome<Unit>> stop(model::TaskId task, Duration grace) override;
  Async<Outcome<Unit>> remove(model::TaskId task) override;
  void forget(const model::TaskId& task) override;
  Async<Outcome<CommandResult>> run_command(model::LaunchTask launch, std::string command, Duration timeout) override;
  Async<std::string> log_tail(model::TaskId task, std::size_t bytes_max) override;
  std::unique_ptr<LogFollower> follow_log(const model::TaskId& task, LogCallbacks callbacks) override;

 private:
  struct Paths {
    std::string control, sandbox;
    std::string pid() const { return control + "/pid"; }
    std::string exit() const { return control + "/exit"; }
    std::string out() const { return sandbox + "/stdout"; }
    std::string err() const { return sandbox + "/stderr"; }
  };
  Paths paths_of(const model::TaskId& task) const;
  Observation look_now(const model::TaskId& task);
  Outcome<Unit> spawn(const model::LaunchTask& launch);
  Result<net::ProcessOptions, Problem> options_for(const model::LaunchTask& launch) const;
  void on_exit(const model::TaskId& task, int exit_code, int signal);
  void watch(const model::TaskId& task, const ProcessIdentity& identity);
  void poll();
  static void signal_group(const ProcessIdentity& identity, int signal);

  net::Loop& loop_;
  std::string data_path_, host_;
  Fetcher& fetcher_;
  std::function<void(const model::TaskId&)> on_news_;
  std::map<model::TaskId, std::unique_ptr<net::Process>> children_;  // started by this process: their end is told
  std::map<model::TaskId, ProcessIdentity> running_;                 // ours or adopted; adopted ones are polled
  net::Timer poll_timer_;
  std::uint64_t polls_ = 0;
};

}  // namespace lotse::agent

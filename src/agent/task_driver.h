// Brings one task from what is observed to what is wanted, one step at a time (next_step.h says which), and keeps its
// record. May be destroyed at any point: the next agent looks and goes on.
// Owned by Tasks; one loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/health_monitor.h"
#include "agent/next_step.h"
#include "agent/prober.h"
#include "agent/record_store.h"
#include "agent/runtime.h"
#include "agent/task_record.h"
#include "net/loop.h"

namespace lotse::agent {

// What a driver needs of the agent. Everything outlives it.
struct DriverContext {
  net::Loop& loop;
  RecordStore& records;
  Prober& prober;
  std::function<Runtime&(RuntimeKind)> runtime_of;
  std::function<std::string()> host;
  // Numbered and kept until acknowledged. `now`: on disk when it returns; else with the next batch.
  enum class Urgency : std::uint8_t { batched, now };
  std::function<void(const TaskRecord&, Urgency)> on_status;
  std::function<void(const model::TaskId&)> on_health;
};

class TaskDriver {
 public:
  // `seen`: absent for a launch just taken; unknown for what was found on disk or in Docker.
  TaskDriver(DriverContext& context, TaskRecord record, Observation seen);
  TaskDriver(const TaskDriver&) = delete;

  void kick();                        // go on, if there is anything to do
  void look_again();                  // what we saw is out of date
  void on_runtime_available();        // no need to wait for the next retry
  void request_kill(Duration grace);  // again: changes nothing
  void report_again() const;          // the state as it is: the scheduler asked once more

  const TaskRecord& record() const { return record_; }
  model::TaskHealth health() const;
  bool is_settled() const { return !is_driving_; }
  bool has_looked() const { return has_looked_; }  // in this life of the agent: the record is no longer hearsay

 private:
  Async<Unit> drive();
  Async<Unit> take(Step step);
  Async<Unit> look();
  Async<Unit> create();
  Async<Unit> start();
  Async<Unit> stop();
  Async<Unit> clean_up();
  Async<Unit> wait_before_retry();
  Async<Unit> wait(Duration delay);
  void report_running();
  void end(model::TaskState state, std::string message);
  void end_by_exit();
  void finish();
  void update_monitor();
  void on_health_changed();
  void save(Sync sync);
  void restart_drive();
  std::int64_t wall_ms() const;

  DriverContext& context_;
  Runtime& runtime_;
  TaskRecord record_;
  Observation seen_;
  bool is_driving_ = false;
  bool is_stale_ = false;          // news came while a step was under way
  bool is_interruptible_ = false;  // the step may be destroyed without a trace: a pull, a pause between retries
  bool has_looked_ = false;
  int creates_ = 0, failures_in_a_row_ = 0;
  std::unique_ptr<HealthMonitor> monitor_;
  Async<Unit> drive_;
};

}  // namespace lotse::agent

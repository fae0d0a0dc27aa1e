#include "agent/task_driver.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"
#include "net/awaitables.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

constexpr int kCreatesMax = 20;  // creates whose outcome Docker kept to itself, one after the other: half a minute
constexpr Duration kCreateRetryFirst = 50ms;
constexpr Duration kRetryFirst = 200ms;
constexpr Duration kRetryMax = 2s;

}  // namespace

TaskDriver::TaskDriver(DriverContext& context, TaskRecord record, Observation seen)
    : context_(context),
      runtime_(context.runtime_of(record.runtime)),
      record_(std::move(record)),
      seen_(std::move(seen)),
      has_looked_(seen_.kind != Observation::Kind::unknown) {}

void TaskDriver::kick() {
  if (is_driving_) return;
  if (next_step(record_, seen_) == Step::none) return update_monitor();
  is_driving_ = true;
  drive_ = drive();
  drive_.start();
}

void TaskDriver::look_again() {
  is_stale_ = true;
  if (!is_driving_) {
    seen_ = Observation{};
    kick();
  }
}

void TaskDriver::restart_drive() {
  drive_ = Async<Unit>();  // cancels what it waits for
  is_driving_ = is_interruptible_ = false;
  seen_ = Observation{};
  kick();
}

void TaskDriver::on_runtime_available() {
  failures_in_a_row_ = 0;
  if (is_driving_ && is_interruptible_ && seen_.kind == Observation::Kind::unknown) return restart_drive();
  look_again();
}

void TaskDriver::request_kill(Duration grace) {
  if (record_.kill_requested || record_.is_over()) return;
  record_.kill_requested = true;
  record_.grace_seconds = std::chrono::duration<double>(grace).count();
  record_.state = TaskState::killing;
  record_.message.clear();
  monitor_.reset();
  save(Sync::yes);
  context_.on_status(record_, DriverContext::Urgency::batched);
  if (is_driving_ && is_interruptible_) return restart_drive();
  kick();
}

void TaskDriver::report_again() const { context_.on_status(record_, DriverContext::Urgency::batched); }

model::TaskHealth TaskDriver::health() const {
  if (monitor_) return monitor_->health();
  return record_.health;
}

Async<Unit> TaskDriver::drive() {
  for (;;) {
    if (std::exchange(is_stale_, false)) seen_ = Observation{};
    Step step = next_step(record_, seen_);
    if (step == Step::none) break;
    auto taking = take(step);
    co_await taking;
  }
  update_monitor();
  is_driving_ = false;
  co_return Unit{};
}

Async<Unit> TaskDriver::take(Step step) {
  log::debug("agent", "task {}: {}", record_.id(), to_string(step));
  Async<Unit> doing;
  switch (step) {
    case Step::none:
      break;
    case Step::look:
      doing = look();
      break;
    case Step::create:
      doing = create();
      break;
    case Step::start:
      doing = start();
      break;
    case Step::stop:
      doing = stop();
      break;
    case Step::clean_up:
      doing = clean_up();
      break;
    case Step::report_running:
      report_running();
      break;
    case Step::end_by_exit:
      end_by_exit();
      break;
    case Step::end_killed:
      end(TaskState::killed, "ended before it ran");
      break;
    case Step::end_lost:
      end(TaskState::lost, "its container is gone, and nobody here removed it");
      break;
    case Step::finish:
      finish();
      break;
  }
  if (doing) co_await doing;
  co_return Unit{};
}

Async<Unit> TaskDriver::look() {
  auto looking = runtime_.look(record_.id());
  Outcome<Observation> seen = co_await looking;
  if (seen) {
    failures_in_a_row_ = 0;
    has_looked_ = true;
    seen_ = std::move(*seen);
    if (!seen_.container_id.empty()) record_.container_id = seen_.container_id;
    co_return Unit{};
  }
  if (seen.error().outcome == RuntimeError::Outcome::refused && !record_.is_over()) {
    end(TaskState::failed, seen.error().words);
    seen_ = Observation{.kind = Observation::Kind::absent};  // what is there is not ours to touch
    co_return Unit{};
  }
  auto waiting = wait_before_retry();
  co_await waiting;
  co_return Unit{};
}

Async<Unit> TaskDriver::wait_before_retry() {
  auto waiting = wait(std::min(kRetryMax, kRetryFirst * (1 << std::min(failures_in_a_row_++, 4))));
  co_await waiting;
  co_return Unit{};
}

Async<Unit> TaskDriver::wait(Duration delay) {
  is_interruptible_ = true;
  net::Sleep sleep(context_.loop, delay);
  co_await sleep;
  is_interruptible_ = false;
  co_return Unit{};
}

Async<Unit> TaskDriver::create() {
  if (++creates_ > kCreatesMax) {
    end(TaskState::failed, "Docker did not say whether it created the container, again and again");
    co_return Unit{};
  }
  if (record_.phase != Phase::creating) {
    record_.phase = Phase::creating;
    save(Sync::yes);
  }
  std::function<void(bool)> on_interruptible = [this](bool is) { is_interruptible_ = is; };
  auto creating = runtime_.create(record_.launch, std::move(on_interruptible));
  Outcome<Unit> created = co_await creating;
  if (created) {
    seen_.kind = Observation::Kind::created;
  } else if (created.error().outcome == RuntimeError::Outcome::unknown) {
    seen_ = Observation{};
    // While an earlier create of ours is under way in Docker, its name is taken and yet nothing is to be seen.
    auto waiting = wait(std::min(kRetryMax, kCreateRetryFirst * (1 << std::min(creates_, 10))));
    co_await waiting;
  } else {
    bool was_heard = created.error().outcome == RuntimeError::Outcome::refused;
    end(TaskState::failed, created.error().words);
    if (was_heard) seen_ = Observation{};  // a failed create may have left something behind
  }
  co_return Unit{};
}

Async<Unit> TaskDriver::start() {
  record_.phase = Phase::starting;
  save(Sync::no);  // it says "look for it", which a machine that lost its power has to do anyway
  auto starting = runtime_.start(record_.launch);
  Outcome<Unit> started = co_await starting;
  if (started || started.error().outcome == RuntimeError::Outcome::unknown) {
    seen_ = Observation{};
  } else {
    end(TaskState::failed, started.error().words);
    seen_ = Observation{};  // the container that could not start goes
  }
  co_return Unit{};
}

void TaskDriver::report_running() {
  record_.phase = Phase::started;
  record_.state = TaskState::running;
  record_.message.clear();
  record_.ip_address = seen_.ip_address;
  record_.started_ms = seen_.started_ms != 0 ? seen_.started_ms : wall_ms();
  context_.on_status(record_, DriverContext::Urgency::batched);
  save(Sync::no);
}

Async<Unit> TaskDriver::stop() {
  monitor_.reset();
  auto grace = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(record_.grace_seconds));
  auto stopping = runtime_.stop(record_.id(), grace);
  Outcome<Unit> stopped = co_await stopping;
  seen_ = Observation{};
  if (!stopped) {
    log::warn("agent", "task {}: stop: {}", record_.id(), stopped.error().words);
    auto waiting = wait_before_retry();
    co_await waiting;
  }
  co_return Unit{};
}

void TaskDriver::end_by_exit() {
  std::string how = describe_exit(seen_);
  if (record_.kill_requested) return end(TaskState::killed, std::move(how));
  bool is_clean = seen_.exit_code_known && seen_.exit_code == 0 && seen_.error.empty();
  // A container that Docker could not start is "created" or "exited" with Docker's words and no run behind it.
  end(is_clean ? TaskState::finished : TaskState::failed, std::move(how));
}

// The status first, then the record: a crash in between tells the end twice, and never not at all.
void TaskDriver::end(TaskState state, std::string message) {
  monitor_.reset();
  record_.state = state;
  record_.message = std::move(message);
  record_.ended_ms = wall_ms();
  log::info("agent", "task {} is {}{}{}", record_.id(), model::to_string(state), record_.message.empty() ? "" : ": ",
            record_.message);
  context_.on_status(record_, DriverContext::Urgency::now);
  record_.phase = Phase::ended;
  save(Sync::yes);
}

Async<Unit> TaskDriver::clean_up() {
  auto reading = runtime_.log_tail(record_.id(), TaskRecord::kLogTailBytesMax);
  std::string tail = co_await reading;
  if (!tail.empty()) record_.log_tail = std::move(tail);
  auto removing = runtime_.remove(record_.id());
  Outcome<Unit> removed = co_await removing;
  seen_ = Observation{};
  if (removed) {
    seen_.kind = Observation::Kind::absent;
  } else {
    log::warn("agent", "task {}: remove: {}", record_.id(), removed.error().words);
    auto waiting = wait_before_retry();
    co_await waiting;
  }
  co_return Unit{};
}

void TaskDriver::finish() {
  record_.phase = Phase::done;
  save(Sync::no);
}

void TaskDriver::update_monitor() {
  bool is_wanted =
      record_.phase == Phase::started && !record_.kill_requested && seen_.kind == Observation::Kind::running;
  bool has_moved = is_wanted && !seen_.ip_address.empty() && seen_.ip_address != record_.ip_address;
  if (has_moved) monitor_.reset();  // restarted by somebody's `docker restart`
  if (!is_wanted || monitor_) return;
  auto age = std::chrono::milliseconds(std::max<std::int64_t>(0, wall_ms() - record_.started_ms));
  if (!seen_.ip_address.empty()) record_.ip_address = seen_.ip_address;
  HealthMonitor::Subject subject{.launch = record_.launch,
                                 .container_ip = record_.ip_address,
                                 .host = context_.host(),
                                 .running_since = context_.loop.now() - age,
                                 .known = record_.health};
  monitor_ = std::make_unique<HealthMonitor>(context_.loop, context_.prober, runtime_, std::move(subject),
                                             [this] { on_health_changed(); });
  monitor_->start();
}

void TaskDriver::on_health_changed() {
  record_.health = monitor_->health();
  save(Sync::no);
  context_.on_health(record_.id());
}

void TaskDriver::save(Sync sync) {
  if (Done saved = context_.records.save(record_, sync); !saved) log::error("agent", "{}", saved.error().text());
}

std::int64_t TaskDriver::wall_ms() const { return context_.loop.clock().wall().time_since_epoch().count(); }

}  // namespace lotse::agent

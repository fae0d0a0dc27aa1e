#include "agent/tasks.h"

#include <fmt/core.h>

#include <algorithm>

#include "agent/docker_body.h"
#include "base/log.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

constexpr Duration kForgetInterval = 10s;
constexpr Duration kGraceMax = 1h;

Duration grace_from(double seconds) {
  if (!(seconds > 0)) return Duration::zero();
  return std::min<Duration>(
      kGraceMax, std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(seconds, 1e6))));
}

}  // namespace

Tasks::Tasks(DriverContext context, Policy policy)
    : context_(std::move(context)),
      policy_(std::move(policy)),
      forget_timer_(context_.loop.timers(), [this] { forget_old(); }) {
  forget_timer_.start(kForgetInterval);
}

void Tasks::load() {
  std::vector<Problem> problems;
  for (TaskRecord& record : context_.records.load_all(problems)) add(std::move(record), Observation{});
  for (const Problem& problem : problems) log::warn("agent", "{}", problem.text());
  if (!drivers_.empty()) log::info("agent", "found {} task records", drivers_.size());
  // Processes can be looked at now; containers when Docker answers (on_containers).
  for (auto& [task, driver] : drivers_) {
    if (driver->record().runtime == RuntimeKind::process) driver->kick();
  }
}

TaskDriver& Tasks::add(TaskRecord record, Observation seen) {
  model::TaskId task = record.id();
  auto driver = std::make_unique<TaskDriver>(context_, std::move(record), std::move(seen));
  return *drivers_.insert_or_assign(std::move(task), std::move(driver)).first->second;
}

void Tasks::launch(const model::LaunchTask& launch) {
  if (!is_safe_task_id(launch.task)) {
    return policy_.on_stray_status(launch.task, TaskState::failed, "the task id cannot be a container's name");
  }
  if (auto known = drivers_.find(launch.task); known != drivers_.end()) return report_again_if_told(*known->second);
  auto refuse = [&](const std::string& why) {
    log::warn("agent", "task {} refused: {}", launch.task, why);
    policy_.on_stray_status(launch.task, TaskState::failed, why);
  };
  if (alive().size() >= kAliveMax)
    return refuse(fmt::format("this agent runs {} tasks, which is its bound", kAliveMax));
  if (auto problem = unsupported_check(launch.app)) return refuse(problem->text());
  auto kind = policy_.choose_runtime(launch.app);
  if (!kind) return refuse(kind.error().text());
  TaskRecord record;
  record.launch = launch;
  record.runtime = *kind;
  record.phase = Phase::creating;  // one write instead of two: create follows at once
  record.health.task = launch.task;
  // On disk before the runtime hears of it; a record that cannot be kept is a task that cannot be answered for.
  if (Done saved = context_.records.save(record); !saved) return refuse(saved.error().text());
  log::info("agent", "task {} launched as a {}", launch.task, *kind == RuntimeKind::docker ? "container" : "process");
  TaskDriver& driver = add(std::move(record), Observation{.kind = Observation::Kind::absent});
  driver.report_again();
  driver.kick();
}

void Tasks::kill(const model::KillTask& kill) {
  if (auto known = drivers_.find(kill.task); known != drivers_.end()) {
    if (known->second->record().is_over()) return report_again_if_told(*known->second);
    log::info("agent", "task {} to be killed, grace {} s", kill.task, kill.grace_seconds);
    return known->second->request_kill(grace_from(kill.grace_seconds));
  }
  // Before Docker was listed the task may be a container of ours whose record is lost.
  if (waiting_kills_.size() < kAliveMax) waiting_kills_.insert(kill.task);
  if (policy_.is_listed()) answer_waiting_kills();
}

void Tasks::answer_waiting_kills() {
  for (const model::TaskId& task : std::exchange(waiting_kills_, {})) {
    if (auto known = drivers_.find(task); known != drivers_.end()) {
      known->second->request_kill(grace_from(known->second->record().grace_seconds));
    } else {
      policy_.on_stray_status(task, TaskState::lost, "this agent does not know the task");
    }
  }
}

// The scheduler repeats commands after a reconnect. What is still in the outbox answers them anyway.
void Tasks::report_again_if_told(const TaskDriver& driver) {
  if (!policy_.has_unacknowledged(driver.record().id())) driver.report_again();
}

void Tasks::on_runtime_news(const model::TaskId& task) {
  if (auto known = drivers_.find(task); known != drivers_.end()) known->second->look_again();
}

void Tasks::on_containers(const std::vector<ListedContainer>& containers) {
  for (const ListedContainer& container : containers) {
    auto task = container.labels.find(kLabelTask);
    if (task == container.labels.end() || !is_safe_task_id(task->second)) continue;
    if (container.name != "/" + container_name(task->second)) continue;  // not made by us, whatever its labels say
    auto known = drivers_.find(task->second);
    if (known == drivers_.end()) {
      adopt(container);
    } else if (known->second->record().phase == Phase::done) {
      known->second->look_again();  // a create of ours that came through after we had given it up
    }
  }
  for (auto& [task, driver] : drivers_) {
    const TaskRecord& record = driver->record();
    if (record.runtime == RuntimeKind::docker && record.phase != Phase::done) driver->on_runtime_available();
  }
  answer_waiting_kills();
}

// Ours by its labels, but its record is lost (or was forgotten). A container that never started is not started now:
// nobody knows any more whether it is wanted.
void Tasks::adopt(const ListedContainer& container) {
  TaskRecord record;
  record.launch = launch_from_labels(container.labels);
  record.phase = container.state == "created" ? Phase::ended : Phase::started;
  record.state = container.state == "created" ? TaskState::lost : TaskState::running;
  record.started_ms = context_.loop.clock().wall().time_since_epoch().count();
  record.health.task = record.id();
  log::warn("agent", "task {}: its record is lost, adopted from the labels of its container", record.id());
  if (Done saved = context_.records.save(record); !saved) log::error("agent", "{}", saved.error().text());
  if (record.phase == Phase::ended) policy_.on_stray_status(record.id(), TaskState::lost, "created, never started");
  add(std::move(record), Observation{});
}

void Tasks::kill_all() {
  for (auto& [task, driver] : drivers_) {
    if (!driver->record().is_over()) driver->request_kill(model::kill_grace_of(driver->record().launch.app));
  }
}

const TaskDriver* Tasks::find(const model::TaskId& task) const {
  auto found = drivers_.find(task);
  return found == drivers_.end() ? nullptr : found->second.get();
}

std::vector<model::AgentRegistration::KnownTask> Tasks::alive() const {
  std::vector<model::AgentRegistration::KnownTask> known;
  for (const auto& [task, driver] : drivers_) {
    if (!driver->record().is_over()) known.push_back({task, driver->record().state});
  }
  return known;
}

std::size_t Tasks::left_to_clean() const {
  return static_cast<std::size_t>(std::count_if(
      drivers_.begin(), drivers_.end(), [](const auto& entry) { return entry.second->record().phase != Phase::done; }));
}

bool Tasks::has_docker_records() const {
  return std::any_of(drivers_.begin(), drivers_.end(), [](const auto& entry) {
    return entry.second->record().runtime == RuntimeKind::docker && entry.second->record().phase != Phase::done;
  });
}

void Tasks::forget_old() {
  forget_timer_.start(kForgetInterval);
  std::int64_t now_ms = context_.loop.clock().wall().time_since_epoch().count();
  std::int64_t kept_ms = std::chrono::duration_cast<std::chrono::milliseconds>(kOverKept).count();
  bool is_short_of_disk = policy_.is_short_of_disk();
  std::vector<std::pair<std::int64_t, model::TaskId>> over;
  for (const auto& [task, driver] : drivers_) {
    if (driver->record().phase == Phase::done && driver->is_settled())
      over.emplace_back(driver->record().ended_ms, task);
  }
  std::sort(over.begin(), over.end());
  for (std::size_t i = 0; i < over.size(); ++i) {
    bool is_beyond_bound = over.size() - i > kOverMax, is_old = over[i].first + kept_ms <= now_ms;
    if (!is_beyond_bound && !is_old && !is_short_of_disk) break;
    context_.runtime_of(drivers_.at(over[i].second)->record().runtime).forget(over[i].second);
    if (!is_beyond_bound && !is_old) continue;  // its last words stay
    context_.records.remove(over[i].second);
    drivers_.erase(over[i].second);
  }
}

}  // namespace lotse::agent

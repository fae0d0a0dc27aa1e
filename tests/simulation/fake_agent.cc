#include "tests/simulation/fake_agent.h"

#include <utility>

namespace lotse::simulation {

using namespace scheduler;

FakeAgent::FakeAgent(Timeline& timeline, Dice& dice, const Faults& faults, Network& network, Shell& shell, int number)
    : timeline_(timeline), dice_(dice), faults_(faults), network_(network), shell_(shell) {
  identity_.id = "a" + std::to_string(number);
  identity_.data_id = "data-" + identity_.id;
  identity_.host = "10.0.0." + std::to_string(number);
  identity_.api = identity_.host + ":5051";
  identity_.cpus = 4;
  identity_.mem_mib = 4096;
  identity_.disk_mib = 4096;
  identity_.ports = {31000, 31019};  // few, so that they come round
  identity_.attributes["rack"] = std::to_string(number % 2);
}

template <typename What>
void FakeAgent::later(Duration delay, What what) {
  timeline_.after(delay, [this, life = life_, what = std::move(what)] {
    if (up_ && life == life_) what();
  });
}

void FakeAgent::start() {
  if (up_) return;
  up_ = true;
  ++life_;
  ++identity_.incarnation;
  has_listed_ = is_reporting_ = is_registered_ = false;
  later(dice_.between(0ms, 2s), [this] { has_listed_ = true; });
  // Containers went on without us; what was starting goes on starting, and health has to be found out again.
  for (auto& [id, container] : containers_) {
    container.alive.reset();
    if (container.is_ending) {
      later(dice_.between(0ms, 1s), [this, id = id] { end(id, model::TaskState::killed, ""); });
    } else {
      go_on_starting(id);
    }
  }
  beat();
}

void FakeAgent::crash() {
  if (!up_) return;
  up_ = false;
  if (commands_) commands_->close();
  timeline_.after(faults_.agents && dice_.once_in(4) ? dice_.between(50s, 100s) : dice_.between(100ms, 9s),
                  [this] { start(); });
}

void FakeAgent::cut_off(Duration time) {
  cut_off_until_ = timeline_.now + time;
  if (commands_) commands_->close();
}

void FakeAgent::hurt_one() {
  if (containers_.empty()) return;
  auto victim = std::next(containers_.begin(), static_cast<std::ptrdiff_t>(dice_.index(containers_.size())));
  const model::TaskId id = victim->first;
  Container& container = victim->second;
  if (container.state != model::TaskState::running || container.is_ending || !up_) return;
  if (container.app.health_checks.empty() || dice_.once_in(2)) {
    end(id, model::TaskState::failed, "exit 137");
    return;
  }
  if (!container.is_ready) return;
  container.alive = false;
  container.wants_kill = dice_.once_in(2);
  if (!container.wants_kill) {
    later(dice_.between(1s, 10s), [this, id] {
      auto found = containers_.find(id);
      if (found == containers_.end()) return;
      found->second.alive = true;
      send_report();
    });
  }
  send_report();
}

void FakeAgent::beat() {
  send_registration();
  later(3s, [this] { beat(); });
}

// One at a time: the next is composed only when the last was answered or given up.
void FakeAgent::send_registration() {
  if (!is_reachable()) return;
  model::AgentRegistration seen = identity_;
  seen.term = term_;
  seen.has_tasks = has_listed_;
  if (has_listed_) {
    for (const auto& [id, container] : containers_) seen.tasks.push_back({id, container.state});
  }
  network_.send([this, seen, life = life_, generation = shell_.generation()] {
    if (generation != shell_.generation()) return;
    shell_.deliver(AgentRegistered{.registration = seen}, [this, life](const Answer& answer) {
      network_.send([this, life, answer] {
        if (up_ && life == life_ && is_reachable()) on_registered(answer);
      });
    });
  });
}

void FakeAgent::on_registered(const Answer& answer) {
  const auto* accepted = std::get_if<model::AgentAnswer>(&answer);
  if (accepted == nullptr) return;
  term_ = std::max(term_, accepted->term);
  is_registered_ = true;
  if (!commands_ || !commands_->is_open()) connect();
  send_report();
}

void FakeAgent::connect() {
  if (!shell_.is_up()) return;
  commands_ = shell_.open_commands(
      identity_.id,
      [this, life = life_](model::AgentCommand command) {
        if (up_ && life == life_) on_command(command);
      },
      [this, life = life_] {
        if (up_ && life == life_) commands_.reset();
      });
}

void FakeAgent::on_command(const model::AgentCommand& command) {
  if (command.term < term_) return;  // fenced
  term_ = command.term;
  if (command.launch) launch(*command.launch);
  if (command.kill) kill(command.kill->task);
}

void FakeAgent::launch(const model::LaunchTask& launch) {
  if (containers_.contains(launch.task) || ended_.contains(launch.task)) return;
  containers_[launch.task] = {.app = launch.app, .host_ports = launch.host_ports};
  set_status(launch.task, model::TaskState::starting, "");
  go_on_starting(launch.task);
}

// starting -> running -> ready, or an end in between.
void FakeAgent::go_on_starting(const model::TaskId& id) {
  later(dice_.between(50ms, 3s), [this, id] {
    auto found = containers_.find(id);
    if (found == containers_.end() || found->second.is_ending) return;
    Container& container = found->second;
    if (container.state == model::TaskState::starting) {
      if (faults_.containers && dice_.once_in(8)) {
        end(id, model::TaskState::failed, "no such image");
        return;
      }
      container.state = model::TaskState::running;
      set_status(id, model::TaskState::running, "");
      go_on_starting(id);
      return;
    }
    auto version = container.app.env.find("v");
    if (version != container.app.env.end() && version->second == "bad") return;  // runs, and never becomes healthy
    container.is_ready = true;
    if (!container.app.health_checks.empty()) container.alive = true;
    send_report();
  });
}

void FakeAgent::kill(const model::TaskId& id) {
  auto found = containers_.find(id);
  if (found == containers_.end()) {
    // Its end is known, or about to be: the outbox says so. What was never here is answered.
    if (!ended_.contains(id)) {
      ended_.insert(id);
      set_status(id, model::TaskState::lost, "unknown task");
    }
    return;
  }
  if (std::exchange(found->second.is_ending, true)) return;
  later(dice_.between(10ms, 3s), [this, id] { end(id, model::TaskState::killed, ""); });
}

void FakeAgent::end(const model::TaskId& id, model::TaskState state, const std::string& message) {
  if (containers_.erase(id) == 0) return;
  ended_.insert(id);
  set_status(id, state, message);
}

void FakeAgent::set_status(const model::TaskId& id, model::TaskState state, const std::string& message) {
  outbox_.push_back({.number = ++number_,
                     .task = id,
                     .state = state,
                     .message = message,
                     .time = format_timestamp(timeline_.wall()),
                     .ip_address = "172.17.0.2"});
  send_report();
}

void FakeAgent::send_report() {
  if (!is_registered_ || is_reporting_ || !is_reachable()) return;
  is_reporting_ = true;
  model::StatusReport report{.data_id = identity_.data_id, .incarnation = identity_.incarnation};
  report.statuses.assign(outbox_.begin(), outbox_.end());
  for (const auto& [id, container] : containers_) {
    if (container.state != model::TaskState::running) continue;
    report.health.push_back(
        {.task = id, .is_ready = container.is_ready, .alive = container.alive, .wants_kill = container.wants_kill});
  }
  const std::uint64_t sent = number_, attempt = ++attempt_;
  network_.send([this, report, life = life_, generation = shell_.generation(), attempt, sent] {
    if (generation != shell_.generation()) return;
    shell_.deliver(AgentReported{.agent = identity_.id, .report = report},
                   [this, life, attempt, sent](const Answer& answer) {
                     network_.send([this, life, attempt, sent, answer] {
                       if (!up_ || life != life_ || attempt != attempt_ || !is_reachable()) return;
                       const auto* accepted = std::get_if<model::StatusAnswer>(&answer);
                       is_reporting_ = false;
                       if (accepted == nullptr) return;
                       while (!outbox_.empty() && outbox_.front().number <= accepted->acknowledged) outbox_.pop_front();
                       if (number_ > sent) send_report();
                     });
                   });
  });
  later(5s, [this, attempt] {  // no answer: again
    if (attempt != attempt_ || !is_reporting_) return;
    is_reporting_ = false;
    send_report();
  });
}

}  // namespace lotse::simulation

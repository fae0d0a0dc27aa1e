// An agent and its machine, simulated: containers outlive the agent's crashes; statuses are numbered, kept and sent
// until acknowledged; registrations go one after the other.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "tests/simulation/shell.h"

namespace lotse::simulation {

class FakeAgent {
 public:
  struct Container {
    model::App app;
    std::vector<int> host_ports;
    model::TaskState state = model::TaskState::starting;
    bool is_ready = false;
    std::optional<bool> alive;
    bool wants_kill = false;
    bool is_ending = false;
  };

  FakeAgent(Timeline& timeline, Dice& dice, const Faults& faults, Network& network, Shell& shell, int number);

  void start();
  void crash();
  void cut_off(Duration time);  // the machine runs on, but no word gets through
  bool is_up() const { return up_; }
  const std::map<model::TaskId, Container>& containers() const { return containers_; }
  const model::AgentRegistration& identity() const { return identity_; }
  void hurt_one();  // a container dies, or its health check fails

 private:
  bool is_reachable() const { return timeline_.now >= cut_off_until_; }
  void beat();
  void send_registration();
  void on_registered(const scheduler::Answer& answer);
  void connect();
  void on_command(const model::AgentCommand& command);
  void launch(const model::LaunchTask& launch);
  void go_on_starting(const model::TaskId& id);
  void kill(const model::TaskId& id);
  void end(const model::TaskId& id, model::TaskState state, const std::string& message);
  void set_status(const model::TaskId& id, model::TaskState state, const std::string& message);
  void send_report();
  template <typename What>
  void later(Duration delay, What what);  // unless the agent has died by then

  Timeline& timeline_;
  Dice& dice_;
  const Faults& faults_;
  Network& network_;
  Shell& shell_;
  model::AgentRegistration identity_;

  // On disk, or in Docker.
  std::map<model::TaskId, Container> containers_;
  std::set<model::TaskId> ended_;
  std::deque<model::TaskStatus> outbox_;
  std::uint64_t number_ = 0, term_ = 0;

  bool up_ = false, has_listed_ = false, is_reporting_ = false, is_registered_ = false;
  std::uint64_t life_ = 0, attempt_ = 0, registration_ = 0;
  Instant cut_off_until_{};
  std::shared_ptr<Stream> commands_;
};

}  // namespace lotse::simulation

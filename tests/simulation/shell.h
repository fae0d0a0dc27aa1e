// The scheduler's shell, simulated: runs step(), keeps the store, carries out the commands, and dies at awkward
// moments. The core in it is the real one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "scheduler/core/core.h"
#include "tests/simulation/network.h"

namespace lotse::simulation {

class Shell {
 public:
  struct Watcher {  // told of every command that leaves, and of the state after every step
    virtual ~Watcher() = default;
    virtual void on_command(const scheduler::Command& command) = 0;
    virtual void on_step() = 0;
  };
  struct RouteReader {
    std::function<void(model::Revision, std::vector<model::Endpoint>)> on_snapshot;
    std::function<void(model::RouteUpdate)> on_update;
  };

  Shell(Timeline& timeline, Dice& dice, const Faults& faults, std::uint64_t seed);

  void start();
  void crash();
  bool is_up() const { return state_.has_value(); }
  std::uint64_t generation() const { return generation_; }
  const scheduler::State& state() const { return *state_; }
  std::map<std::string, std::string> records() const;  // as a reader of the running store sees them
  scheduler::Settings settings;
  Watcher* watcher = nullptr;

  // `on_answer` runs in the shell's process: the caller sends it back over the network.
  void deliver(scheduler::Event event, std::function<void(const scheduler::Answer&)> on_answer = nullptr);

  using Commands = std::function<void(model::AgentCommand)>;
  std::shared_ptr<Stream> open_commands(const model::AgentId& agent, Commands on_command,
                                        std::function<void()> on_break);
  std::shared_ptr<Stream> open_routes(const std::string& proxy, const std::string& boot, RouteReader reader,
                                      std::function<void()> on_break);

 private:
  struct CommandStream {
    std::shared_ptr<Stream> stream;
    Commands on_command;
  };
  struct RouteStream {
    std::shared_ptr<Stream> stream;
    RouteReader reader;
  };
  void run(const scheduler::Event& event, std::function<void(const scheduler::Answer&)> on_answer);
  void write(const std::vector<scheduler::Command>& commands);
  void fail_write();
  void carry_out(const scheduler::Command& command, const std::function<void(const scheduler::Answer&)>& on_answer);
  void wake_at(Instant when);
  std::vector<std::pair<std::string, std::string>> record_list() const;

  Timeline& timeline_;
  Dice& dice_;
  const Faults& faults_;
  Random random_;
  std::optional<scheduler::State> state_;
  std::uint64_t generation_ = 0, term_ = 0;
  std::map<std::string, std::string> durable_, unsynced_;
  std::map<model::AgentId, CommandStream> command_streams_;
  std::vector<RouteStream> route_streams_;
  std::optional<Instant> wake_;
};

}  // namespace lotse::simulation

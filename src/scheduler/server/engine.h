// Runs the pure core: feeds it events, makes each step's writes durable and only then lets its other commands out, in
// order (P4). Not HTTP (the APIs submit events and get answers) and not the disk (store.h). Owns the State; loop
// thread.
//
// When a write fails, nothing of that step or of those behind it has left: whoever waits is answered 503, the State is
// built again from the disk, and the engine is read-only until a probe write succeeds. Leases and heartbeats go on
// meanwhile: their steps are tried on a copy, and count only as far as they need no disk.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "net/loop.h"
#include "net/timers.h"
#include "scheduler/core/core.h"
#include "scheduler/server/store.h"

namespace lotse::scheduler {

class EngineOutput {  // where released commands go; implemented by the API
 public:
  virtual void send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) = 0;
  virtual void publish_routes(const model::RouteUpdate& update) = 0;
  virtual void emit(const Emit& event) = 0;
  virtual void routes_reset() = 0;    // the State was built again: what follows does not continue the old revisions
  virtual void writable_again() = 0;  // commands may have been dropped: agents are to be sent theirs once more

 protected:
  ~EngineOutput() = default;
};

class Engine {
 public:
  using OnAnswer = std::function<void(const Answer&)>;
  using OnReleased = std::function<void()>;

  Engine(net::Loop& loop, Store& store, State state, Settings settings);
  ~Engine();
  void set_output(EngineOutput& output) { output_ = &output; }
  void start();  // the first Tick
  void flush();  // what need not be synced, now: before the store is closed

  // An event somebody waits for: the answer is the step's Reply once it is durable, or an ApiError (503).
  void submit(Event event, OnAnswer on_answer);
  // An event nobody waits for. `on_released` comes when everything up to it has left (or, read-only, was dropped).
  void submit(Event event, OnReleased on_released = {});

  const State& state() const { return state_; }
  Now now() const { return loop_.clock().both(); }
  std::optional<std::string> store_problem() const { return problem_; }  // set: read-only, and why
  std::uint64_t steps() const { return steps_; }
  std::size_t waiting() const { return pending_.size(); }  // steps not released yet

 private:
  struct Step {
    std::vector<Command> commands;  // without writes
    Token token = 0;
    OnReleased on_released;
    bool is_durable = false;
  };
  struct Refused {  // by a failed write; told so when the State was built again
    std::deque<Step> steps;
    std::map<Token, OnAnswer> waiting;
  };
  struct Held {  // read-only: an event that is tried on a copy
    Event event;
    Token token = 0;
    OnReleased on_released;
  };

  void run(Event event, Token token, OnReleased on_released);
  void take(std::vector<Command> commands, Token token, OnReleased on_released);
  void committed(const Result<std::uint64_t, Problem>& result, std::uint64_t generation);
  void release_durable();
  void keep_unsynced(std::vector<StoreChange> changes);
  void carry_out(const Command& command);
  void answer(Token token, const Answer& answer);
  void wake_at(Instant instant);
  void tick();
  void note_running();
  void pulse();

  void enter_read_only(const Problem& problem);
  void reload();
  void refuse();
  void rebuild(StoreRecords records);
  void hold(Event event, Token token, OnReleased on_released);
  void try_held();
  void keep_leases(const State& trial);
  void store_leases();
  void probe();
  model::ApiError unavailable() const;

  net::Loop& loop_;
  Store& store_;
  State state_;
  Settings settings_;
  Random random_ = Random::from_system();
  EngineOutput* output_ = nullptr;

  std::deque<Step> pending_;  // in order; the front is released once durable
  std::map<Token, OnAnswer> waiting_;
  Token next_token_ = 1;
  std::uint64_t generation_ = 0;  // raised by a failed write: completions of older commits are void
  std::uint64_t steps_ = 0;
  bool is_releasing_ = false;

  // Task health and the like: stored a little later, a batch at a time, newest value of each key.
  std::map<std::string, std::string> unsynced_, flushing_;

  std::optional<std::string> problem_;
  bool needs_reload_ = false;  // read-only and the State is not the disk's yet
  Refused refused_;
  std::vector<Held> held_;
  std::optional<Instant> ran_at_;
  net::Timer wake_, probe_, held_timer_, flush_timer_, pulse_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lotse::scheduler

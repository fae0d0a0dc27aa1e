#include "scheduler/server/engine.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "scheduler/core/records.h"

namespace lotse::scheduler {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWaitingMax = 10'000;  // steps on their way to the disk; beyond: 503
constexpr std::size_t kHeldMax = 4'096;      // read-only: events of one batch; beyond: 503
constexpr Duration kFlushInterval = 500ms;   // of writes that need not be synced
constexpr Duration kProbeInterval = 1s;
constexpr Duration kPulse = 1s;            // proof that we were running
constexpr Duration kPauseMin = 3s;         // a longer time without it: nobody was heard because nobody listened
constexpr Duration kHeldInterval = 250ms;  // one copy of the State for all heartbeats in it

template <typename Want>
bool is(const Command& command) {
  return std::holds_alternative<Want>(command);
}
bool must_be_synced(const Command& command) {
  const auto* write = std::get_if<Write>(&command);
  return is<Erase>(command) || (write != nullptr && write->is_synced);
}

void set_token(Event& event, Token token) {
  std::visit(
      [token](auto& alternative) {
        if constexpr (requires { alternative.token; }) alternative.token = token;
      },
      event);
}

// What may be tried while nothing can be written: what is volatile in the core. The rest must be stored to count.
bool may_be_held(const Event& event) {
  return std::holds_alternative<AgentRegistered>(event) || std::holds_alternative<AgentConnected>(event) ||
         std::holds_alternative<ProxyJoined>(event) || std::holds_alternative<ProxyReported>(event);
}

}  // namespace

Engine::Engine(net::Loop& loop, Store& store, State state, Settings settings)
    : loop_(loop),
      store_(store),
      state_(std::move(state)),
      settings_(std::move(settings)),
      wake_(loop.timers(), [this] { tick(); }),
      probe_(loop.timers(), [this] { probe(); }),
      held_timer_(loop.timers(), [this] { try_held(); }),
      flush_timer_(loop.timers(), [this] { flush(); }),
      pulse_(loop.timers(), [this] { pulse(); }) {}

Engine::~Engine() { *alive_ = false; }

void Engine::start() {
  pulse();
  tick();
}

// Before any step of a new turn: after a pause all leases would be over at once, and the kills that wait for proxies
// would leave before their renewals are read, which lie in our sockets.
void Engine::note_running() {
  const Instant instant = now().instant;
  if (ran_at_ && instant - *ran_at_ > kPauseMin) {
    log::warn("scheduler", "it was stopped for {:.1f} s: proxies and agents count as live as after a start",
              std::chrono::duration<double>(instant - *ran_at_).count());
    forgive_silence(state_, instant);
  }
  ran_at_ = instant;
}

void Engine::pulse() {
  note_running();
  pulse_.start(kPulse);
}

void Engine::submit(Event event, OnAnswer on_answer) {
  if (problem_ && (!may_be_held(event) || held_.size() >= kHeldMax)) return on_answer(unavailable());
  if (pending_.size() >= kWaitingMax) {
    return on_answer(model::ApiError{503, "Too many changes are waiting to be stored", {}, "", {}});
  }
  Token token = next_token_++;
  set_token(event, token);
  waiting_[token] = std::move(on_answer);
  if (problem_) return hold(std::move(event), token, {});
  run(std::move(event), token, {});
}

void Engine::submit(Event event, OnReleased on_released) {
  if (!problem_) return run(std::move(event), 0, std::move(on_released));
  if (may_be_held(event) && held_.size() < kHeldMax) return hold(std::move(event), 0, std::move(on_released));
  if (on_released) on_released();
}

void Engine::run(Event event, Token token, OnReleased on_released) {
  note_running();
  ++steps_;
  take(step(state_, event, now(), random_), token, std::move(on_released));
}

// Splits a step into what is stored and what waits for that.
void Engine::take(std::vector<Command> commands, Token token, OnReleased on_released) {
  std::vector<StoreChange> changes;
  Step next;
  next.token = token;
  next.on_released = std::move(on_released);
  bool must_wait = false;
  for (Command& command : commands) {
    if (auto* write = std::get_if<Write>(&command)) {
      must_wait |= write->is_synced;
      changes.push_back({std::move(write->key), std::move(write->value)});
    } else if (auto* erase = std::get_if<Erase>(&command)) {
      must_wait = true;
      changes.push_back({std::move(erase->key), std::nullopt});
    } else if (auto* wake = std::get_if<WakeAt>(&command)) {
      wake_at(wake->instant);  // nothing leaves by it, so it need not wait
    } else {
      next.commands.push_back(std::move(command));
    }
  }
  // Answers first: whoever asked for a change knows of it before the events that tell everybody.
  std::stable_partition(next.commands.begin(), next.commands.end(), is<Reply>);
  next.is_durable = !must_wait;
  pending_.push_back(std::move(next));
  if (!must_wait) {
    keep_unsynced(std::move(changes));
  } else {
    for (const StoreChange& change : changes) unsynced_.erase(change.key);  // older than what is stored now
    store_.commit(std::move(changes), [this, generation = generation_](Result<std::uint64_t, Problem> result) {
      committed(result, generation);
    });
  }
  release_durable();
}

void Engine::keep_unsynced(std::vector<StoreChange> changes) {
  for (StoreChange& change : changes) unsynced_[std::move(change.key)] = std::move(*change.value);
  if (!unsynced_.empty() && !flush_timer_.is_armed()) flush_timer_.start(kFlushInterval);
}

void Engine::flush() {
  if (problem_ || unsynced_.empty()) return;
  if (!flushing_.empty()) return flush_timer_.start(kFlushInterval);
  flushing_ = std::exchange(unsynced_, {});
  std::vector<StoreChange> changes;
  for (const auto& [key, value] : flushing_) changes.push_back({key, value});
  store_.commit(std::move(changes), [this, generation = generation_](Result<std::uint64_t, Problem> result) {
    if (generation != generation_) return;
    if (!result) return enter_read_only(result.error());
    flushing_.clear();
  });
}

void Engine::committed(const Result<std::uint64_t, Problem>& result, std::uint64_t generation) {
  if (generation != generation_) return;
  if (!result) return enter_read_only(result.error());
  auto first = std::find_if(pending_.begin(), pending_.end(), [](const Step& step) { return !step.is_durable; });
  if (first != pending_.end()) first->is_durable = true;  // completions come in the order of the steps
  release_durable();
}

void Engine::release_durable() {
  if (is_releasing_) return;  // an answer submitted the next event: the loop below gets to it, in order
  is_releasing_ = true;
  auto is_alive = alive_;
  while (!pending_.empty() && pending_.front().is_durable) {
    Step step = std::move(pending_.front());
    pending_.pop_front();
    for (const Command& command : step.commands) {
      carry_out(command);
      if (!*is_alive) return;
    }
    if (step.token != 0 && waiting_.contains(step.token)) {
      log::error("scheduler", "a step ended without an answer");
      answer(step.token, model::ApiError{500, "The scheduler did not answer", {}, "", {}});
    }
    if (step.on_released) step.on_released();
    if (!*is_alive) return;
  }
  is_releasing_ = false;
}

void Engine::carry_out(const Command& command) {
  if (const auto* reply = std::get_if<Reply>(&command)) {
    answer(reply->token, reply->answer);
  } else if (const auto* send = std::get_if<SendToAgent>(&command)) {
    output_->send_to_agent(send->agent, send->command);
  } else if (const auto* publish = std::get_if<PublishRoutes>(&command)) {
    output_->publish_routes(publish->update);
  } else if (const auto* event = std::get_if<Emit>(&command)) {
    output_->emit(*event);
  }
}

void Engine::answer(Token token, const Answer& answer) {
  auto found = waiting_.find(token);
  if (found == waiting_.end()) return;
  OnAnswer on_answer = std::move(found->second);
  waiting_.erase(found);
  on_answer(answer);
}

void Engine::wake_at(Instant instant) { wake_.start(std::max(instant - loop_.now(), Duration{0})); }

void Engine::tick() {
  if (!problem_) run(Tick{}, 0, {});
}

// Nothing of the failed step and of those behind it has left. They are forgotten as if they had never been asked for.
void Engine::enter_read_only(const Problem& problem) {
  log::error("scheduler", "the store cannot write: {}; read-only until it can", problem.text());
  ++generation_;
  problem_ = problem.text();
  needs_reload_ = true;
  wake_.stop();
  unsynced_.merge(flushing_);  // keeps the newer value of a key
  flushing_.clear();
  refused_.steps = std::exchange(pending_, {});
  refused_.waiting = std::exchange(waiting_, {});
  reload();
  probe_.start(kProbeInterval);
}

void Engine::reload() {
  store_.load([this](Result<StoreRecords, Problem> records) {
    if (records) {
      rebuild(std::move(*records));
    } else {
      log::error("scheduler", "the store cannot be read: {}", records.error().text());
    }
    refuse();
  });
}

// Only now, when the State is as it was: who is told that a change was refused must not see it in the next answer.
void Engine::refuse() {
  Refused refused = std::exchange(refused_, {});
  for (auto& [token, on_answer] : refused.waiting) on_answer(unavailable());
  for (Step& step : refused.steps) {
    if (step.on_released) step.on_released();
  }
}

void Engine::rebuild(StoreRecords records) {
  // Health that was let out before it was stored is still true, where the thing it belongs to is stored at all.
  for (auto& [key, value] : records) {
    if (auto found = unsynced_.find(key); found != unsynced_.end()) value = found->second;
  }
  auto restored = restore(records, store_.term(), store_.cluster(), settings_, now());
  if (!restored) return log::error("scheduler", "the store cannot be restored: {}", restored.error().text());
  carry_over_volatile(state_, *restored);
  state_ = std::move(*restored);
  needs_reload_ = false;
  output_->routes_reset();
}

void Engine::hold(Event event, Token token, OnReleased on_released) {
  held_.push_back({std::move(event), token, std::move(on_released)});
  if (!held_timer_.is_armed()) held_timer_.start(kHeldInterval);
}

// Heartbeats and leases while nothing can be written. A batch whose steps need no disk counts in full. As soon as one
// step needs it, only who was heard of is kept of the whole batch, and nothing but answers leaves.
void Engine::try_held() {
  note_running();
  std::vector<Held> held = std::exchange(held_, {});
  if (!problem_) {  // it works again: in their order, as if they had come now
    for (Held& next : held) run(std::move(next.event), next.token, std::move(next.on_released));
    return;
  }
  State trial = state_;
  bool is_spoiled = needs_reload_;
  std::vector<Command> effects;
  std::vector<StoreChange> unsynced;
  std::vector<std::pair<Token, Answer>> answers;
  for (Held& next : held) {
    ++steps_;
    std::vector<Command> commands = step(trial, next.event, now(), random_);
    bool needs_disk = std::any_of(commands.begin(), commands.end(), must_be_synced);
    is_spoiled |= needs_disk;
    Answer answer = unavailable();
    for (Command& command : commands) {
      if (auto* reply = std::get_if<Reply>(&command)) {
        // A proxy's lease is held in memory, so it is granted even where the report's consequences have to wait.
        bool is_true = !needs_disk || std::holds_alternative<model::ProxyReportAnswer>(reply->answer);
        if (is_true && reply->token == next.token) answer = std::move(reply->answer);
      } else if (auto* write = std::get_if<Write>(&command)) {
        unsynced.push_back({std::move(write->key), std::move(write->value)});
      } else if (!is<Erase>(command) && !is<WakeAt>(command)) {
        effects.push_back(std::move(command));
      }
    }
    if (next.token != 0) answers.emplace_back(next.token, std::move(answer));
  }
  if (is_spoiled) {
    keep_leases(trial);
    effects.clear();
  } else {
    state_ = std::move(trial);
    keep_unsynced(std::move(unsynced));
  }
  auto is_alive = alive_;
  for (const Command& effect : effects) carry_out(effect);
  for (const auto& [token, answer] : answers) this->answer(token, answer);
  for (Held& next : held) {
    if (*is_alive && next.on_released) next.on_released();
  }
}

// The one place that changes the State without step(): who was heard of is true whatever could not be stored.
// carry_over_volatile() would also break off the history of routes, which every follower would have to be given anew.
void Engine::keep_leases(const State& trial) {
  state_.proxies = trial.proxies;
  for (const auto& [key, proxy] : state_.proxies) {
    state_.timers.arm({TimerKey::Kind::proxy, ""}, proxy.lease_until);
  }
  for (auto& [id, agent] : state_.agents) {
    if (auto heard = trial.agents.find(id); heard != trial.agents.end()) agent.last_heard = heard->second.last_heard;
  }
}

// Proxies that joined while nothing could be written: a restart has to know of them.
void Engine::store_leases() {
  for (const auto& [key, proxy] : state_.proxies) unsynced_[proxy_key(proxy.id, proxy.boot)] = encode_proxy(proxy);
  flush();
}

void Engine::probe() {
  if (needs_reload_) {
    reload();
    return probe_.start(kProbeInterval);
  }
  store_.probe([this](Result<Unit, Problem> result) {
    if (!result) {
      problem_ = result.error().text();
      return probe_.start(kProbeInterval);
    }
    log::info("scheduler", "the store can write again");
    problem_.reset();
    store_leases();
    output_->writable_again();
    tick();
  });
}

model::ApiError Engine::unavailable() const {
  return {503, "The scheduler cannot store changes now: " + problem_.value_or("unknown"), {}, "", {}};
}

}  // namespace lotse::scheduler

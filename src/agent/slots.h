// A bound on how much of something happens at once (Docker calls, pulls, probes), for coroutines: who finds no slot
// waits in line. Permits give their slot back when destroyed; waiters are resumed from the loop, never from inside a
// destructor. Destroying a waiting frame takes it out of the line. One thread; outlives its waiters.
#pragma once

#include <coroutine>
#include <list>
#include <memory>
#include <utility>

#include "net/loop.h"

namespace lotse::agent {

class Slots {
  struct State;

 public:
  Slots(net::Loop& loop, std::size_t count) : loop_(loop), state_(std::make_shared<State>()) { state_->free = count; }
  Slots(const Slots&) = delete;
  ~Slots() { state_->is_gone = true; }

  class Permit {
   public:
    Permit() = default;
    Permit(Permit&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)), state_(std::move(other.state_)) {}
    Permit& operator=(Permit&& other) noexcept {
      if (this != &other) {
        release();
        slots_ = std::exchange(other.slots_, nullptr);
        state_ = std::move(other.state_);
      }
      return *this;
    }
    ~Permit() { release(); }
    void release() {
      if (Slots* slots = std::exchange(slots_, nullptr); slots != nullptr && !state_->is_gone) slots->give_back();
    }

   private:
    friend class Slots;
    explicit Permit(Slots& slots) : slots_(&slots), state_(slots.state_) {}
    Slots* slots_ = nullptr;
    std::shared_ptr<State> state_;
  };

  class Acquire {
   public:
    explicit Acquire(Slots& slots) : slots_(slots), state_(slots.state_) {}
    Acquire(const Acquire&) = delete;
    ~Acquire() {
      if (is_waiting_) state_->waiting.remove(this);
      if (has_slot_ && !state_->is_gone) slots_.give_back();
    }
    bool await_ready() {
      if (state_->free == 0 || !state_->waiting.empty()) return false;
      --state_->free;
      return has_slot_ = true;
    }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      is_waiting_ = true;
      state_->waiting.push_back(this);
    }
    Permit await_resume() {
      has_slot_ = false;
      return Permit(slots_);
    }

   private:
    friend class Slots;
    Slots& slots_;
    std::shared_ptr<State> state_;
    std::coroutine_handle<> waiter_;
    bool is_waiting_ = false, has_slot_ = false;
  };
  Acquire acquire() { return Acquire(*this); }
  std::size_t waiting() const { return state_->waiting.size(); }

 private:
  struct State {
    std::size_t free = 0;
    std::list<Acquire*> waiting;
    bool is_gone = false, is_pumping = false;
  };

  void give_back() {
    ++state_->free;
    if (state_->waiting.empty() || std::exchange(state_->is_pumping, true)) return;
    loop_.defer([state = state_] {
      state->is_pumping = false;
      while (!state->is_gone && state->free > 0 && !state->waiting.empty()) {
        Acquire* next = state->waiting.front();
        state->waiting.pop_front();
        --state->free;
        next->is_waiting_ = false;
        next->has_slot_ = true;
        next->waiter_.resume();  // may destroy frames, ours included: only `state` is used after it
      }
    });
  }

  net::Loop& loop_;
  std::shared_ptr<State> state_;
};

}  // namespace lotse::agent

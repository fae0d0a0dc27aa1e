// Async<T>: a lazily started coroutine for the rooms that work in sequences (agent, cli); see docs/architecture.md,
// "Callbacks or coroutines". Destroying an Async cancels it: its frame, and whatever it awaits, is destroyed. One
// thread. Under g++ 12 name every aggregate or lambda before a co_await that takes it (the compiler destroys such a
// temporary twice), pass coroutine parameters by value, and let no capturing lambda be a coroutine.
#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"

namespace lotse {

template <typename T>
class [[nodiscard]] Async {
 public:
  struct promise_type;
  using Handle = std::coroutine_handle<promise_type>;

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(Handle handle) noexcept {
      promise_type& promise = handle.promise();
      return promise.continuation ? promise.continuation : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };

  struct promise_type {
    std::optional<T> value;
    std::coroutine_handle<> continuation;
    Async get_return_object() { return Async(Handle::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    FinalAwaiter final_suspend() noexcept { return {}; }
    template <typename U>
    void return_value(U&& result) {
      value.emplace(std::forward<U>(result));
    }
    void unhandled_exception() noexcept { std::terminate(); }
  };

  Async() = default;
  Async(Async&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Async& operator=(Async&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Async() { destroy(); }

  explicit operator bool() const { return handle_ != nullptr; }
  bool done() const { return handle_ && handle_.done(); }

  // For the non-coroutine owner: run until the first suspension. Call once.
  void start() {
    CHECK(handle_);
    handle_.resume();
  }
  T& result() {
    CHECK(done());
    return *handle_.promise().value;
  }

  // co_await of another coroutine: starts it, resumes the awaiter with its value.
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().continuation = awaiter;
    return handle_;
  }
  T await_resume() { return std::move(*handle_.promise().value); }

 private:
  explicit Async(Handle handle) : handle_(handle) {}
  void destroy() {
    if (auto handle = std::exchange(handle_, nullptr)) handle.destroy();
  }
  Handle handle_ = nullptr;
};

}  // namespace lotse

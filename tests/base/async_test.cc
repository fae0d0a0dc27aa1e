#include "base/async.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace lotse {
namespace {

// Suspends until somebody resumes `waiter`, and tells when its frame is destroyed.
struct Gate {
  std::coroutine_handle<>& waiter;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
  void await_resume() const {}
};

Async<int> number(int value) { co_return value; }

Async<int> sum(int count) {
  int total = 0;
  for (int i = 1; i <= count; ++i) total += co_await number(i);
  co_return total;
}

Async<std::string> wait_then_say(std::coroutine_handle<>& waiter, std::shared_ptr<int> held, std::string text) {
  co_await Gate{waiter};
  co_return text + std::to_string(*held);
}

Async<std::string> outer(std::coroutine_handle<>& waiter, std::shared_ptr<int> held) {
  std::string inner = co_await wait_then_say(waiter, held, "inner ");
  co_return "outer, " + inner;
}

TEST(Async, StartsOnlyWhenStarted) {
  Async<int> task = sum(4);
  EXPECT_FALSE(task.done());
  task.start();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result(), 10);
}

TEST(Async, AwaitsDeeplyWithoutGrowingTheStack) {
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  constexpr int kTimes = 100'000;
#else
  constexpr int kTimes =
      1'000;  // symmetric transfer is a tail call, which g++ makes only when it optimises, and sanitizers prevent
#endif
  Async<int> task = sum(kTimes);
  task.start();
  EXPECT_TRUE(task.done());
}

TEST(Async, ResumesItsAwaiterWithTheValue) {
  std::coroutine_handle<> waiter;
  auto held = std::make_shared<int>(7);
  Async<std::string> task = outer(waiter, held);
  task.start();
  EXPECT_FALSE(task.done());
  waiter.resume();
  ASSERT_TRUE(task.done());
  EXPECT_EQ(task.result(), "outer, inner 7");
}

TEST(Async, DestroyingItCancelsWhateverItAwaits) {
  std::coroutine_handle<> waiter;
  auto held = std::make_shared<int>(7);
  {
    Async<std::string> task = outer(waiter, held);
    task.start();
    EXPECT_GT(held.use_count(), 1);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Async, DestroyingItUnstartedFreesItsArguments) {
  std::coroutine_handle<> waiter;
  auto held = std::make_shared<int>(7);
  { Async<std::string> task = outer(waiter, held); }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Async, MovesWithItsCoroutine) {
  Async<int> first = number(3);
  Async<int> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that is the question
  second.start();
  EXPECT_EQ(second.result(), 3);
  second = number(4);
  EXPECT_FALSE(second.done());
}

}  // namespace
}  // namespace lotse

#include "net/loop.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/async.h"
#include "net/awaitables.h"
#include "net/timers.h"
#include "tests/net/net_fixture.h"

namespace lotse::net {
namespace {

TEST(Loop, ClosesWithoutEverRunning) {
  Loop loop;
  loop.post([] { FAIL() << "posted work that never ran must not run at the end"; });
  loop.defer([] { FAIL(); });
}

TEST(Loop, DestroysWorkThatNeverRan) {
  auto held = std::make_shared<int>(1);
  {
    Loop loop;
    loop.post([held] {});
    loop.defer([held] {});
    EXPECT_EQ(held.use_count(), 3);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(Loop, RunsWhatFourThreadsPostInTheOrderOfEach) {
  constexpr int kPerThread = 5000;
  Loop loop;
  std::array<std::vector<int>, 4> seen;
  std::vector<std::thread> threads;
  int done = 0;
  for (std::size_t id = 0; id < seen.size(); ++id) {
    threads.emplace_back([&, id] {
      for (int i = 0; i < kPerThread; ++i) loop.post([&, id, i] { seen[id].push_back(i); });
      loop.post([&] {
        if (++done == 4) loop.stop();
      });
    });
  }
  loop.run();
  for (auto& thread : threads) thread.join();
  for (auto& numbers : seen) {
    ASSERT_EQ(numbers.size(), static_cast<std::size_t>(kPerThread));
    for (int i = 0; i < kPerThread; ++i) ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
  }
}

TEST(Loop, StaysUntilStoppedFromAnotherThread) {
  Loop loop;
  std::thread thread([&] { loop.run(); });
  bool ran = false;
  loop.post([&] { ran = true; });
  loop.post([&] { loop.post([&] { loop.stop(); }); });
  thread.join();
  EXPECT_TRUE(ran);
  std::thread again([&] { loop.run(); });
  loop.stop();
  again.join();
}

TEST(Loop, StopBeforeRunEndsItAtOnce) {
  Loop loop;
  loop.stop();
  loop.run();
}

TEST(Loop, WithoutKeepAliveRunsUntilNothingIsLeft) {
  Loop loop;
  loop.set_keep_alive(false);
  loop.run();
  std::vector<int> order;
  Timer timer(loop.timers(), [&] {
    order.push_back(1);
    loop.defer([&] {
      order.push_back(2);
      loop.post([&] { order.push_back(3); });
    });
  });
  timer.start(2ms);
  loop.post([&] { order.push_back(0); });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

TEST(Loop, DefersUntilTheCallbackIsOver) {
  Loop loop;
  std::vector<int> order;
  loop.post([&] {
    loop.defer([&] {
      order.push_back(2);
      loop.defer([&] {
        order.push_back(3);
        loop.stop();
      });
    });
    order.push_back(1);
  });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(Loop, WorkThatDefersItselfForEverDoesNotStarveTheRest) {
  Loop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    ++rounds;
    loop.defer(again);
  };
  loop.defer(again);
  Timer timer(loop.timers(), [&] { loop.stop(); });
  timer.start(5ms);
  loop.run();
  EXPECT_GT(rounds, 1);
}

TEST(Loop, DeferredWorkMayDestroyWhatDeferredIt) {
  Loop loop;
  struct Owner {
    std::unique_ptr<Timer> timer;
  };
  auto owner = std::make_unique<Owner>();
  owner->timer = std::make_unique<Timer>(loop.timers(), [&] {
    loop.defer([&] {
      owner.reset();
      loop.stop();
    });
  });
  owner->timer->start(1ms);
  loop.run();
  EXPECT_EQ(owner, nullptr);
}

TEST(Loop, FiresTimersNotEarlyByTheRealClock) {
  Loop loop;
  std::vector<std::unique_ptr<Timer>> timers;
  int fired = 0;
  for (int i = 0; i < 50; ++i) {
    timers.push_back(std::make_unique<Timer>(loop.timers(), [&, i] {
      EXPECT_GE(loop.clock().now(), timers[static_cast<std::size_t>(i)]->deadline());
      if (++fired == 50) loop.stop();
    }));
    timers.back()->start(std::chrono::microseconds(700 * i));
  }
  loop.run();
  EXPECT_EQ(fired, 50);
  EXPECT_EQ(loop.timers().armed(), 0U);
}

TEST(Loop, ShowsOneTimeDuringATurn) {
  Loop loop;
  loop.post([&] {
    Instant before = loop.now();
    while (loop.clock().now() < before + 3ms) {}
    EXPECT_EQ(loop.now(), before);
    loop.stop();
  });
  loop.run();
  EXPECT_LE(loop.clock().now() - loop.now(), 1s);
}

TEST(Loop, CountsTurnsAndKnowsItsLongest) {
  Loop loop;
  loop.run_once_ready();
  static_cast<void>(loop.load().take_longest());
  Duration busy_before = loop.load().busy();
  std::uint64_t turns = loop.turns();
  loop.post([&] {
    Instant end = loop.clock().now() + 20ms;
    while (loop.clock().now() < end) {}
  });
  Timer wait(loop.timers(), [&] { loop.stop(); });
  wait.start(60ms);  // waiting is not work
  loop.run();
  EXPECT_GT(loop.turns(), turns);
  Duration busy = loop.load().busy() - busy_before;
  EXPECT_GE(busy, 19ms);
  EXPECT_LT(busy, 60ms) << "waiting counts as work";
  EXPECT_GE(loop.load().take_longest(), 19ms);
  EXPECT_EQ(loop.load().take_longest(), 0ms);
}

TEST(Loop, ReadsTheClockAnewInEveryTurn) {
  Loop loop;
  std::vector<Duration> late;
  std::function<void()> step = [&] {
    late.push_back(loop.clock().now() - loop.now());
    for (Instant end = loop.clock().now() + 200us; loop.clock().now() < end;) {}  // well within a millisecond
    if (late.size() < 20) return loop.post(step);
    loop.stop();
  };
  loop.post(step);
  loop.run();
  std::sort(late.begin(), late.end());
  EXPECT_LT(late[10], 100us) << "the time of a turn before";
}

TEST(LoopLoad, PutsATurnUnderTheFirstBoundThatIsLonger) {
  for (std::size_t bucket = 0; bucket + 1 < LoopLoad::kBuckets; ++bucket) {
    auto bound = static_cast<std::uint64_t>(LoopLoad::bound(bucket).count());
    EXPECT_EQ(LoopLoad::index_of(bound - 1), bucket);
    EXPECT_EQ(LoopLoad::index_of(bound), bucket + 1);
  }
  EXPECT_EQ(LoopLoad::index_of(0), 0U);
  EXPECT_EQ(LoopLoad::index_of(~std::uint64_t{0}), LoopLoad::kBuckets - 1);
  LoopLoad load;
  load.add(1ms);
  load.add(Duration(-5));  // a clock that was set back counts as nothing
  EXPECT_EQ(load.busy(), 1ms);
  EXPECT_EQ(load.turns_in(0), 1U);
}

TEST(Loop, IgnoresSigpipe) {
  Loop loop;
  struct sigaction action {};
  sigaction(SIGPIPE, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_IGN);
}

TEST(LoopDeathTest, NamesAHandleThatOutlivesIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        auto loop = std::make_unique<Loop>();
        auto fd = make_listening_socket(*Address::parse("127.0.0.1:0"));
        auto listener = Listener::open(*loop, std::move(*fd), [](std::unique_ptr<Stream>) {});
        loop.reset();
      },
      "poll handle outlives its loop");
}

Async<Unit> sleep_twice(Loop& loop, std::vector<int>& order) {
  order.push_back(1);
  co_await sleep(loop, 2ms);
  order.push_back(2);
  co_await sleep(loop, 2ms);
  order.push_back(3);
  loop.stop();
  co_return Unit{};
}

TEST(Sleep, ResumesItsCoroutineFromTheLoop) {
  Loop loop;
  std::vector<int> order;
  auto task = sleep_twice(loop, order);
  task.start();
  EXPECT_EQ(order, (std::vector<int>{1}));
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_TRUE(task.done());
}

TEST(Sleep, EndsWithItsFrame) {
  Loop loop;
  loop.set_keep_alive(false);
  std::vector<int> order;
  {
    auto task = sleep_twice(loop, order);
    task.start();
    EXPECT_EQ(loop.timers().armed(), 1U);
  }
  EXPECT_EQ(loop.timers().armed(), 0U);
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1}));
}

}  // namespace
}  // namespace lotse::net

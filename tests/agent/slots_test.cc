#include "agent/slots.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/async.h"
#include "base/result.h"
#include "net/awaitables.h"
#include "tests/agent/test_loop.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

struct Counter {
  int now = 0, most = 0, done = 0;
};

Async<Unit> work(net::Loop& loop, Slots& slots, Counter& counter) {
  Slots::Acquire acquire(slots);
  Slots::Permit permit = co_await acquire;
  counter.most = std::max(counter.most, ++counter.now);
  net::Sleep sleep(loop, 5ms);
  co_await sleep;
  --counter.now;
  ++counter.done;
  co_return Unit{};
}

TEST(Slots, LetInNoMoreThanTheirCount) {
  net::Loop loop;
  Slots slots(loop, 3);
  Counter counter;
  std::vector<Async<Unit>> workers;
  for (int i = 0; i < 20; ++i) workers.push_back(work(loop, slots, counter));
  for (auto& worker : workers) worker.start();
  ASSERT_TRUE(run_until(loop, [&] { return counter.done == 20; }));
  EXPECT_EQ(counter.most, 3);
}

TEST(Slots, AreGivenBackByWhoeverIsDestroyed) {
  net::Loop loop;
  Slots slots(loop, 1);
  Counter counter;
  std::vector<Async<Unit>> workers;
  for (int i = 0; i < 4; ++i) workers.push_back(work(loop, slots, counter));
  for (auto& worker : workers) worker.start();
  workers[0] = {};  // held the slot
  workers[2] = {};  // waited
  ASSERT_TRUE(run_until(loop, [&] { return counter.done == 2; }));
  EXPECT_EQ(slots.waiting(), 0u);
}

TEST(Slots, MayGoBeforeThoseWhoWait) {
  net::Loop loop;
  Counter counter;
  std::vector<Async<Unit>> workers;
  {
    Slots slots(loop, 1);
    for (int i = 0; i < 3; ++i) workers.push_back(work(loop, slots, counter));
    for (auto& worker : workers) worker.start();
  }
  workers.clear();
  loop.run_once_ready();
  EXPECT_EQ(counter.done, 0);
}

}  // namespace
}  // namespace lotse::agent

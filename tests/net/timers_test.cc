#include "net/timers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "base/random.h"
#include "tests/fake_clock.h"

namespace lotse::net {
namespace {

using namespace std::chrono_literals;

class TimersTest : public testing::Test {
 protected:
  void advance(Duration by) {
    clock.advance(by);
    timers.run_due();
  }
  FakeClock clock;
  Timers timers{clock};
};

// A driver that obeys: it runs the wheel exactly when asked, and counts how often.
class ObedientDriver final : public TimerDriver {
 public:
  Instant now() override { return clock.now(); }
  void wake_at(Instant time) override { wake = time; }
  void wake_never() override { wake = Instant::max(); }
  void on_armed(bool any) override { is_armed = any; }

  // Lets time pass until the wheel wants nothing any more, or `until`.
  void run(Timers& timers, Instant until) {
    while (wake <= until) {
      if (wake > clock.now()) clock.advance(wake - clock.now());
      ++wake_ups;
      timers.run_due();
    }
    if (until > clock.now() && until != Instant::max()) clock.advance(until - clock.now());
  }
  FakeClock clock;
  Instant wake = Instant::max();
  bool is_armed = false;
  int wake_ups = 0;
};

TEST_F(TimersTest, FiresOnceAndNotEarly) {
  int fired = 0;
  Timer timer(timers, [&] { ++fired; });
  timer.start(10ms);
  EXPECT_TRUE(timer.is_armed());
  EXPECT_EQ(timers.armed(), 1U);
  advance(9'999us);
  EXPECT_EQ(fired, 0);
  advance(1us);
  EXPECT_EQ(fired, 1);
  EXPECT_FALSE(timer.is_armed());
  advance(1h);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(timers.armed(), 0U);
}

TEST_F(TimersTest, ReachesEveryDistance) {
  for (Duration delay : {Duration(0), Duration(1ns), Duration(1ms), Duration(255ms), Duration(256ms), Duration(257ms),
                         Duration(65'535ms), Duration(65'536ms), Duration(65'537ms), Duration(16'777'216ms),
                         Duration(24h * 49), Duration(24h * 50), Duration(24h * 400)}) {
    clock.advance(1234567us);
    Instant fired_at{};
    Timer timer(timers, [&] { fired_at = clock.now(); });
    timer.start(delay);
    Instant deadline = timer.deadline();
    if (delay > 2ms) {
      advance(delay - 1ms);
      EXPECT_EQ(fired_at, Instant{}) << delay.count();
      advance(3ms);
    } else {
      advance(2ms);
    }
    EXPECT_GE(fired_at, deadline) << delay.count();
  }
}

TEST_F(TimersTest, TreatsANegativeDelayAsNoneAndAnEndlessOneAsVeryLong) {
  int fired = 0;
  Timer past(timers, [&] { ++fired; }), never(timers, [&] { ++fired; });
  past.start(-5s);
  never.start(Duration::max());
  advance(1ms);
  EXPECT_EQ(fired, 1);
  advance(24h * 365);
  EXPECT_EQ(fired, 1);
}

TEST_F(TimersTest, MovesLaterAndEarlier) {
  std::vector<char> fired;
  Timer a(timers, [&] { fired.push_back('a'); }), b(timers, [&] { fired.push_back('b'); });
  a.start(10ms);
  b.start(20ms);
  a.start(30ms);
  advance(25ms);
  EXPECT_EQ(fired, std::vector<char>{'b'});
  a.start(10s);
  a.start(1ms);
  advance(2ms);
  EXPECT_EQ(fired, (std::vector<char>{'b', 'a'}));
}

TEST_F(TimersTest, StoppedDoesNotFireAndMayStartAgain) {
  int fired = 0;
  Timer timer(timers, [&] { ++fired; });
  timer.start(10ms);
  timer.stop();
  timer.stop();
  EXPECT_FALSE(timer.is_armed());
  EXPECT_EQ(timers.armed(), 0U);
  advance(1s);
  EXPECT_EQ(fired, 0);
  timer.start(10ms);
  timer.stop();
  timer.start(20ms);
  advance(15ms);
  EXPECT_EQ(fired, 0);
  advance(5ms);
  EXPECT_EQ(fired, 1);
}

TEST_F(TimersTest, MayBeDestroyedArmed) {
  int fired = 0;
  {
    Timer timer(timers, [&] { ++fired; });
    timer.start(10ms);
  }
  EXPECT_EQ(timers.armed(), 0U);
  advance(1s);
  EXPECT_EQ(fired, 0);
}

TEST_F(TimersTest, MayDestroyItselfInItsCallback) {
  std::unique_ptr<Timer> timer;
  auto held = std::make_shared<int>(0);
  timer = std::make_unique<Timer>(timers, [&timer, held] {
    timer.reset();
    ++*held;  // the callback's captures live as long as it runs
  });
  timer->start(1ms);
  advance(5ms);
  EXPECT_EQ(*held, 1);
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(TimersTest, MayStartItselfInItsCallback) {
  int fired = 0;
  Timer timer(timers, [&] {
    if (++fired < 5) timer.start(10ms);
  });
  timer.start(10ms);
  for (int i = 0; i < 100; ++i) advance(1ms);
  EXPECT_EQ(fired, 5);
}

TEST_F(TimersTest, ANoDelayLoopDoesNotHoldTheWheel) {
  int fired = 0;
  Timer timer(timers, [&] {
    ++fired;
    timer.start(0ms);
  });
  timer.start(0ms);
  advance(1s);
  EXPECT_LE(fired, 2);
  int before = fired;
  advance(1ms);
  EXPECT_GT(fired, before);
}

TEST_F(TimersTest, MayStopAndDestroyOthersThatAreDueAsWell) {
  std::vector<std::unique_ptr<Timer>> group;
  int fired = 0;
  for (int i = 0; i < 10; ++i) {
    group.push_back(std::make_unique<Timer>(timers, [&] {
      ++fired;
      group.clear();  // the first one ends them all, itself included
    }));
    group.back()->start(5ms);
  }
  advance(10ms);
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(timers.armed(), 0U);
}

TEST_F(TimersTest, FiresInOrderWhenItWakesLate) {
  std::vector<int> fired;
  std::vector<std::unique_ptr<Timer>> all;
  for (int delay : {70'000, 3, 256, 1, 300, 65'536, 100}) {
    all.push_back(std::make_unique<Timer>(timers, [&fired, delay] { fired.push_back(delay); }));
    all.back()->start(std::chrono::milliseconds(delay));
  }
  advance(2min);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
  EXPECT_EQ(fired.size(), 7U);
}

// The whole contract at once: thousands of timers started, moved, stopped and destroyed at random, with the driver
// waking the wheel only when asked.
TEST(Timers, KeepsEveryDeadlineOfThousandsOfRandomTimers) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    ObedientDriver driver;
    Timers timers(driver);
    struct Entry {
      std::unique_ptr<Timer> timer;
      Instant deadline = Instant::max();  // max: must not fire
    };
    std::vector<Entry> entries(3000);
    std::size_t fired = 0, wanted = 0;
    auto random_delay = [&] {
      std::uint64_t magnitude = random.below(30);
      return Duration(static_cast<std::int64_t>(random.below(1'000'000ULL << magnitude)));
    };
    auto start = [&](Entry& entry) {
      Duration delay = random_delay();
      entry.timer->start(delay);
      if (entry.deadline == Instant::max()) ++wanted;
      entry.deadline = driver.clock.now() + delay;
    };
    auto make = [&](Entry& entry) {
      entry.timer = std::make_unique<Timer>(timers, [&, self = &entry] {
        ++fired;
        EXPECT_NE(self->deadline, Instant::max()) << "fired though stopped";
        EXPECT_GE(driver.clock.now(), self->deadline) << "early";
        EXPECT_LE(driver.clock.now() - self->deadline, 1ms) << "late";
        self->deadline = Instant::max();
        Entry& other = entries[random.below(entries.size())];
        if (other.timer && random.below(3) == 0) start(other);
      });
    };
    for (auto& entry : entries) {
      make(entry);
      start(entry);
    }
    for (int step = 0; step < 20'000; ++step) {
      Entry& entry = entries[random.below(entries.size())];
      switch (random.below(8)) {
        case 0:
          if (entry.deadline != Instant::max()) --wanted;
          entry.deadline = Instant::max();
          entry.timer->stop();
          break;
        case 1:
          if (entry.deadline != Instant::max()) --wanted;
          entry.deadline = Instant::max();
          entry.timer.reset();
          make(entry);
          break;
        case 2:
          driver.run(timers, driver.clock.now() + Duration(static_cast<std::int64_t>(random.below(50'000'000))));
          break;
        default:
          start(entry);
      }
    }
    EXPECT_EQ(timers.armed(), wanted - fired);
    // Each that fires starts a third of another one, so in the end all have fired.
    driver.run(timers, driver.clock.now() + 24h * 365);
    EXPECT_EQ(fired, wanted);
    entries.clear();
    EXPECT_EQ(timers.armed(), 0U);
    EXPECT_FALSE(driver.is_armed);
  }
}

TEST(Timers, DoesNotTickWhileNothingIsDueSoon) {
  ObedientDriver driver;
  Timers timers(driver);
  int fired = 0;
  Timer timer(timers, [&] { ++fired; });
  timer.start(1h);
  driver.run(timers, driver.clock.now() + 2h);
  EXPECT_EQ(fired, 1);
  EXPECT_LE(driver.wake_ups, 4);  // once for each level on its way down
  EXPECT_EQ(driver.wake, Instant::max());
  EXPECT_FALSE(driver.is_armed);
}

TEST(Timers, ARequestsTimerThatIsMovedOnAndOnAsksForOneWakeUp) {
  ObedientDriver driver;
  Timers timers(driver);
  Timer timer(timers, [] {});
  timer.start(30s);
  Instant wake = driver.wake;
  for (int request = 0; request < 1000; ++request) {
    driver.clock.advance(1ms);
    timer.stop();
    timer.start(30s);
    EXPECT_EQ(driver.wake, wake);
  }
  EXPECT_EQ(driver.wake_ups, 0);
}

}  // namespace
}  // namespace lotse::net

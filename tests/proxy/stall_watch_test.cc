// A worker whose loop does not turn: one that a test holds fast, by a hook, until it has been noticed.
#include "proxy/stall_watch.h"

#include <future>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class StallWatchTest : public ::testing::Test {
 protected:
  void start(Duration threshold) {
    harness.config.timeouts.worker_stall = threshold;
    harness.start();
  }
  // Held until release() or the end of the test.
  void hold(std::size_t worker) {
    harness.proxy->run_on_worker_for_test(worker, [gate = gate.get_future().share()] { gate.wait(); });
    is_held = true;
  }
  void release() {
    if (std::exchange(is_held, false)) gate.set_value();
  }
  void TearDown() override { release(); }
  std::string metrics() {
    std::string text;
    harness.proxy->write_metrics(text);
    return text;
  }
  bool says(const std::string& line) { return metrics().find("\n" + line + "\n") != std::string::npos; }

  Harness harness;
  std::promise<void> gate;
  bool is_held = false;
};

TEST_F(StallWatchTest, AStalledWorkerIsNamedAndForgottenWhenItTurnsAgain) {
  start(20ms);
  EXPECT_EQ(harness.proxy->why_unready(), "");
  EXPECT_TRUE(says("lotse_worker_stalled{worker=\"1\"} 0"));
  hold(1);
  ASSERT_TRUE(harness.run_until([&] { return !harness.proxy->why_unready().empty(); }));
  EXPECT_TRUE(harness.proxy->why_unready().starts_with("worker 1 is stalled: its loop has not turned for "));
  EXPECT_TRUE(says("lotse_worker_stalled{worker=\"0\"} 0"));
  EXPECT_TRUE(says("lotse_worker_stalled{worker=\"1\"} 1"));
  EXPECT_TRUE(says("lotse_worker_stalls_total{worker=\"1\"} 1"));
  release();
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->why_unready().empty(); }));
  EXPECT_TRUE(says("lotse_worker_stalls_total{worker=\"1\"} 1"));
  EXPECT_TRUE(says("lotse_worker_stalls_total{worker=\"0\"} 0"));
  std::string text = metrics();
  std::size_t at = text.find("\nlotse_worker_lag_seconds_max{worker=\"1\"} ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_GE(std::stod(text.substr(text.find("} ", at) + 2)), 0.02);
}

TEST_F(StallWatchTest, OnlyALongStallIsAMatterOfHealth) {
  start(5ms);
  hold(0);
  ASSERT_TRUE(harness.run_until([&] { return !harness.proxy->why_unready().empty(); }));
  ASSERT_TRUE(harness.run_until([&] { return !harness.proxy->why_unhealthy().empty(); }));
  std::string why = harness.proxy->why_unhealthy();
  EXPECT_TRUE(why.starts_with("worker 0 is stalled")) << why;
  release();
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->why_unhealthy().empty(); }));
}

TEST_F(StallWatchTest, AnIdleWorkerIsNotStalled) {
  start(250ms);
  bool is_over = false;
  net::Timer over(harness.loop.timers(), [&] { is_over = true; });
  over.start(600ms);  // more than two thresholds in which nothing happens on the workers
  ASSERT_TRUE(harness.run_until([&] { return is_over || !harness.proxy->why_unready().empty(); }));
  EXPECT_EQ(harness.proxy->why_unready(), "");
  EXPECT_TRUE(says("lotse_worker_stalls_total{worker=\"0\"} 0"));
}

TEST_F(StallWatchTest, AReloadChangesTheThreshold) {
  start(1h);
  hold(1);
  harness.config.timeouts.worker_stall = 20ms;
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return !harness.proxy->why_unready().empty() && !harness.proxy->is_ready(); }));
  ASSERT_TRUE(harness.run_until([&] { return says("lotse_worker_stalled{worker=\"1\"} 1"); }));
}

TEST_F(StallWatchTest, TurnsAndBusyTimeAreCountedPerWorker) {
  start(2s);
  std::promise<void> done;
  harness.proxy->run_on_worker_for_test(0, [&] {
    auto end = std::chrono::steady_clock::now() + 20ms;
    while (std::chrono::steady_clock::now() < end) {}
    done.set_value();
  });
  done.get_future().wait();
  // The turn ends after the work: what comes next on that loop sees it counted.
  std::promise<void> next;
  harness.proxy->run_on_worker_for_test(0, [&] { next.set_value(); });
  next.get_future().wait();
  std::string text = metrics();
  std::size_t at = text.find("\nlotse_worker_busy_seconds_total{worker=\"0\"} ");
  ASSERT_NE(at, std::string::npos);
  EXPECT_GE(std::stod(text.substr(text.find("} ", at) + 2)), 0.02);
  EXPECT_NE(text.find("\nlotse_worker_turn_seconds_bucket{worker=\"0\",le=\"+Inf\"} "), std::string::npos);
}

}  // namespace
}  // namespace lotse::proxy::test

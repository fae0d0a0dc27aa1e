#include "discovery/scheduler_source.h"

#include <gtest/gtest.h>

#include "net/timers.h"
#include "tests/discovery/fake_scheduler.h"
#include "tests/discovery/fakes.h"

namespace lotse::discovery {
namespace {

using namespace std::chrono_literals;
using Tasks = std::vector<std::string>;

class SchedulerSourceTest : public testing::Test {
 protected:
  SchedulerSourceTest()
      : scheduler_(loop_), client_(loop_), catalog_(loop_.clock(), loop_.timers(), {}, seen_.subscriber()) {}

  void start(SchedulerSource::Options options = {}) {
    options.scheduler = scheduler_.endpoint();
    options.proxy_id = "p 1";
    options.boot = "boot-1";
    if (options.heartbeat == Duration(3s)) options.heartbeat = 50ms;
    options.retry_max = 20ms;
    source_ = std::make_unique<SchedulerSource>(client_, options, catalog_.source("scheduler"), proxy_, [] {});
    source_->start();
  }
  void start_and_join(SchedulerSource::Options options = {}) {
    start(options);
    wait_for_join(1);
  }
  void wait(const std::function<bool()>& is_done) { run_until(loop_, is_done); }
  void wait_for_join(std::size_t count) {
    wait([&] { return scheduler_.joins.size() >= count; });
    ASSERT_EQ(scheduler_.joins.size(), count);
  }
  void wait_for_applied(model::Revision revision) {
    wait([&] { return !scheduler_.reports.empty() && scheduler_.reports.back().applied == revision; });
  }
  bool is_fresh() const { return source_->fresh_until() > loop_.clock().now(); }

  net::Loop loop_;
  FakeScheduler scheduler_;
  http::Client client_;
  RecordingSubscriber seen_;
  Catalog catalog_;
  FakeProxy proxy_;
  std::unique_ptr<SchedulerSource> source_;
};

TEST_F(SchedulerSourceTest, SaysWhoItIs) {
  start_and_join();
  EXPECT_EQ(scheduler_.joins[0].query, "proxy=p%201&boot=boot-1");
  EXPECT_EQ(scheduler_.joins[0].last_event_id, "");
  wait([&] { return !scheduler_.reports.empty(); });
  EXPECT_EQ(scheduler_.reporters[0], "p 1");
  EXPECT_EQ(scheduler_.reports[0].boot, "boot-1");
  EXPECT_EQ(scheduler_.reports[0].address, "127.0.0.1:80");
  EXPECT_EQ(scheduler_.reports[0].requests_per_second, 12.5);
}

TEST_F(SchedulerSourceTest, AppliesASnapshotOnceItsLastChunkCame) {
  start_and_join();
  scheduler_.say_chunk({1, 5, 0, false, {endpoint("t1", 1)}});
  scheduler_.say_chunk({1, 5, 1, false, {endpoint("t2", 2)}});
  scheduler_.say_chunk({1, 5, 2, true, {endpoint("t3", 3)}});
  wait_for_applied({1, 5});
  ASSERT_EQ(seen_.changes.size(), 1u);
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1", "t2", "t3"}));
}

TEST_F(SchedulerSourceTest, AppliesUpdatesThatFollowAndAcknowledgesThem) {
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  scheduler_.say_update(1, 5, 6, {endpoint("t2", 2)});
  scheduler_.say_update(1, 6, 9, {}, {{"t1", model::GoneWhy::asked}});
  wait_for_applied({1, 9});
  EXPECT_EQ(seen_.tasks(), Tasks{"t2"});
}

TEST_F(SchedulerSourceTest, AcknowledgesOnlyWhatAllWorkersHave) {
  seen_.applies_at_once = false;
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  wait([&] { return seen_.waiting.size() == 1; });
  std::size_t before = scheduler_.reports.size();
  wait([&] { return scheduler_.reports.size() >= before + 3; });  // heartbeats go on
  EXPECT_EQ(scheduler_.reports.back().applied, (model::Revision{0, 0}));
  seen_.waiting[0]();
  wait_for_applied({1, 5});
}

TEST_F(SchedulerSourceTest, AGapAsksForASnapshotWithoutLastEventId) {
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  scheduler_.say_update(1, 7, 8, {endpoint("t9", 9)});
  scheduler_.say_update(1, 8, 9, {endpoint("t8", 8)});
  wait_for_join(2);
  EXPECT_EQ(scheduler_.joins[1].last_event_id, "");
  EXPECT_EQ(seen_.tasks(), Tasks{"t1"});
  scheduler_.say_snapshot(1, 9, {endpoint("t1", 1), endpoint("t8", 8)});
  wait_for_applied({1, 9});
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1", "t8"}));
  EXPECT_EQ(source_->counters().resyncs, 1u);
}

TEST_F(SchedulerSourceTest, AMissingChunkAsksForASnapshot) {
  start_and_join();
  scheduler_.say_chunk({1, 5, 0, false, {endpoint("t1", 1)}});
  scheduler_.say_chunk({1, 5, 2, true, {endpoint("t3", 3)}});
  wait_for_join(2);
  EXPECT_TRUE(seen_.changes.empty());
}

TEST_F(SchedulerSourceTest, NonsenseAsksForASnapshot) {
  start_and_join();
  scheduler_.say("snapshot", "{\"term\":", {1, 5});
  wait_for_join(2);
  EXPECT_TRUE(seen_.changes.empty());
}

TEST_F(SchedulerSourceTest, AStreamThatEndsIsResumedByItsLastId) {
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  wait_for_applied({1, 5});
  scheduler_.joins[0].stream.reset();
  wait_for_join(2);
  EXPECT_EQ(scheduler_.joins[1].last_event_id, "1-5");
  scheduler_.say_update(1, 5, 6, {endpoint("t2", 2)});
  wait_for_applied({1, 6});
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1", "t2"}));
  EXPECT_EQ(source_->counters().resyncs, 0u);
}

TEST_F(SchedulerSourceTest, ASchedulerRestartChangesNoEndpoint) {
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1), endpoint("t2", 2)});
  wait_for_applied({1, 5});
  scheduler_.die();
  wait([&] { return !source_->is_connected(); });
  scheduler_.rise();
  wait_for_join(2);
  scheduler_.say_snapshot(2, 1, {endpoint("t2", 2), endpoint("t1", 1)});
  wait_for_applied({2, 1});
  EXPECT_EQ(seen_.changes.size(), 1u);
  EXPECT_EQ(source_->term(), 2u);
}

TEST_F(SchedulerSourceTest, ALowerTermIsRefused) {
  start_and_join();
  scheduler_.say_snapshot(7, 5, {endpoint("t1", 1)});
  wait_for_applied({7, 5});
  scheduler_.say_update(6, 5, 6, {}, {{"t1", model::GoneWhy::asked}});
  wait_for_join(2);
  scheduler_.say_snapshot(6, 9, {});
  wait_for_join(3);
  EXPECT_EQ(seen_.tasks(), Tasks{"t1"});
  EXPECT_EQ(source_->counters().fenced, 2u);
}

TEST_F(SchedulerSourceTest, ATermKnownFromDiskIsNotForgotten) {
  start_and_join({.term = 9});
  scheduler_.say_snapshot(8, 5, {endpoint("t1", 1)});
  wait_for_join(2);
  EXPECT_TRUE(seen_.changes.empty());
}

TEST_F(SchedulerSourceTest, ReportsDrainingTasksThatStillHaveRequests) {
  proxy_.counts = {{"t1", 3}, {"t2", 8}, {"t3", 0}};
  proxy_.pending = {"t4"};
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1), endpoint("t2", 2), endpoint("t3", 3)});
  scheduler_.say_update(1, 5, 6, {draining(endpoint("t1", 1)), draining(endpoint("t3", 3))});
  wait_for_applied({1, 6});
  EXPECT_EQ(scheduler_.reports.back().draining, (std::vector<model::ProxyReport::Draining>{{"t1", 3}}));
  EXPECT_EQ(scheduler_.reports.back().pending, Tasks{"t4"});
  proxy_.counts.clear();
  source_->report_now();
  wait([&] { return scheduler_.reports.back().draining.empty(); });
}

TEST_F(SchedulerSourceTest, SendsOneReportAtATimeAndCoalescesTheRest) {
  start_and_join({.heartbeat = 1h});
  wait([&] { return !scheduler_.reports.empty(); });
  scheduler_.say_snapshot(1, 1, {});
  wait_for_applied({1, 1});
  scheduler_.holds_answers = true;
  std::size_t before = scheduler_.reports.size();
  for (std::uint64_t revision = 1; revision < 20; ++revision) {
    scheduler_.say_update(1, revision, revision + 1, {endpoint("t" + std::to_string(revision), 1)});
  }
  wait([&] { return scheduler_.held.size() == 1 && source_->applied().number == 20; });
  EXPECT_EQ(scheduler_.reports.size(), before + 1);
  scheduler_.holds_answers = false;
  scheduler_.held[0].respond(scheduler_.answer());
  wait_for_applied({1, 20});
  EXPECT_EQ(scheduler_.reports.size(), before + 2);
}

// ---- until when the table is known to be current

TEST_F(SchedulerSourceTest, IsCurrentOnceASnapshotIsAppliedUnderALease) {
  start_and_join();
  EXPECT_FALSE(is_fresh());
  scheduler_.say_snapshot(1, 5, {});
  wait([&] { return is_fresh(); });
  EXPECT_LE(source_->fresh_until(), loop_.clock().now() + 10s);
}

TEST_F(SchedulerSourceTest, TheLeaseCountsFromSendingTheRenewal) {
  start_and_join({.heartbeat = 1h, .lease = 5s});
  scheduler_.say_snapshot(1, 5, {});
  wait([&] { return is_fresh() && source_->applied().number == 5 && !source_->lease().is_under_way(); });
  scheduler_.holds_answers = true;
  Instant before_sending = loop_.clock().now();
  source_->report_now();
  Instant after_sending = loop_.clock().now();
  wait([&] { return scheduler_.held.size() == 1; });
  Instant before = source_->fresh_until();
  wait([&] { return loop_.clock().now() > after_sending + 20ms; });
  EXPECT_EQ(source_->fresh_until(), before);
  scheduler_.held[0].respond(scheduler_.answer());
  wait([&] { return source_->fresh_until() != before; });
  EXPECT_GE(source_->fresh_until(), before_sending + 5s);
  EXPECT_LE(source_->fresh_until(), after_sending + 5s);
}

TEST_F(SchedulerSourceTest, ARefusedRenewalRenewsNothing) {
  start_and_join({.heartbeat = 10ms, .lease = 400ms});
  scheduler_.say_snapshot(4, 5, {});
  wait([&] { return is_fresh(); });
  scheduler_.lease_status = 503;
  wait([&] { return !is_fresh(); });
  EXPECT_GT(source_->lease().failures(), 0u);
}

TEST_F(SchedulerSourceTest, ARenewalOfALowerTermRenewsNothing) {
  start_and_join({.heartbeat = 10ms, .lease = 400ms});
  scheduler_.say_snapshot(4, 5, {});
  wait([&] { return is_fresh(); });
  scheduler_.is_lease_term_fixed = true;
  scheduler_.lease_term = 3;
  wait([&] { return !is_fresh(); });
}

TEST_F(SchedulerSourceTest, AfterALapsedLeaseOnlyANewSnapshotMakesItCurrent) {
  start_and_join({.heartbeat = 10ms, .lease = 400ms});
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  wait([&] { return is_fresh(); });
  scheduler_.lease_status = 503;
  wait([&] { return !is_fresh(); });
  scheduler_.say_update(1, 5, 6, {endpoint("t2", 2)});  // the stream goes on, but nobody waits for us
  wait([&] { return source_->applied().number == 6; });
  EXPECT_FALSE(is_fresh());
  scheduler_.lease_status = 200;
  wait_for_join(2);
  EXPECT_EQ(scheduler_.joins[1].last_event_id, "");
  EXPECT_FALSE(is_fresh());
  scheduler_.say_snapshot(1, 6, {endpoint("t1", 1), endpoint("t2", 2)});
  wait([&] { return is_fresh(); });
}

TEST_F(SchedulerSourceTest, AStreamThatIsAwayForTooLongIsNotCurrentThoughTheLeaseLives) {
  start_and_join({.heartbeat = 10ms, .silence_max = 100ms});
  scheduler_.say_snapshot(1, 5, {});
  wait([&] { return is_fresh(); });
  scheduler_.refuses_streams = true;
  wait([&] { return !is_fresh(); });
  EXPECT_GT(source_->lease().until(), loop_.clock().now());
}

TEST_F(SchedulerSourceTest, ASchedulerThatWasAwayForLongerThanALeaseIsAskedOnceOnly) {
  start_and_join({.heartbeat = 5ms, .lease = 400ms});
  scheduler_.say_snapshot(1, 5, {});
  wait([&] { return is_fresh(); });
  scheduler_.die();
  wait([&] { return source_->counters().resyncs == 1; });
  Instant lapsed_at = loop_.clock().now();
  wait([&] { return loop_.clock().now() > lapsed_at + 50ms; });  // the attempt that follows at once has failed
  scheduler_.rise();
  wait_for_join(2);
  scheduler_.say_snapshot(2, 1, {});
  wait([&] { return is_fresh(); });
  EXPECT_EQ(scheduler_.joins.size(), 2u);
}

TEST_F(SchedulerSourceTest, ADeadSchedulerLeavesTheTableAsItWas) {
  start_and_join({.heartbeat = 10ms, .lease = 400ms});
  scheduler_.say_snapshot(1, 5, many(10));
  wait_for_applied({1, 5});
  scheduler_.die();
  wait([&] { return !is_fresh() && !source_->is_connected(); });
  EXPECT_EQ(seen_.table.size(), 10u);
  EXPECT_GT(source_->age(), Duration::zero());
}

TEST_F(SchedulerSourceTest, MayGoAtAnyMoment) {
  seen_.applies_at_once = false;
  start_and_join();
  scheduler_.say_snapshot(1, 5, {endpoint("t1", 1)});
  wait([&] { return seen_.waiting.size() == 1; });
  source_.reset();
  seen_.waiting[0]();
  loop_.run_once_ready();
}

}  // namespace
}  // namespace lotse::discovery

#include "discovery/catalog.h"

#include <gtest/gtest.h>

#include "tests/discovery/fakes.h"

namespace lotse::discovery {
namespace {

using namespace std::chrono_literals;
using model::GoneWhy;
using Tasks = std::vector<std::string>;

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() : timers_(clock_), catalog_(clock_, timers_, {}, seen_.subscriber()) {}

  void advance(Duration duration) {
    clock_.advance(duration);
    timers_.run_due();
  }
  void snapshot(std::vector<model::Endpoint> endpoints, GoneWhy missing = GoneWhy::lost) {
    sink().on_snapshot(std::move(endpoints), missing, [this] { ++applied_; });
    advance(5ms);
  }
  void set(std::vector<model::Endpoint> endpoints) {
    sink().on_update({std::move(endpoints), {}}, [this] { ++applied_; });
    advance(5ms);
  }
  void gone(const Tasks& tasks, GoneWhy why) {
    SourceUpdate update;
    for (const auto& task : tasks) update.gone.push_back({task, why});
    sink().on_update(std::move(update), [this] { ++applied_; });
    advance(5ms);
  }
  SourceSink& sink() { return catalog_.source("scheduler"); }
  static Tasks names(int count) {
    Tasks all;
    for (int i = 0; i < count; ++i) all.push_back("t" + std::to_string(i));
    std::sort(all.begin(), all.end());
    return all;
  }

  FakeClock clock_;
  net::Timers timers_;
  RecordingSubscriber seen_;
  Catalog catalog_;
  int applied_ = 0;
};

TEST_F(CatalogTest, PublishesWhatChangedAndNothingElse) {
  snapshot({endpoint("t1", 1), endpoint("t2", 2)});
  model::Endpoint down = endpoint("t1", 1);
  down.state = model::EndpointState::down;
  set({down});
  ASSERT_EQ(seen_.changes.size(), 2u);
  EXPECT_EQ(seen_.changes[1].set, std::vector<model::Endpoint>{down});
  EXPECT_TRUE(seen_.changes[1].removed.empty());
}

TEST_F(CatalogTest, AnIdenticalUpdateIsANoOpButIsAcknowledged) {
  snapshot({endpoint("t1")});
  snapshot({endpoint("t1")});
  set({endpoint("t1")});
  EXPECT_EQ(seen_.changes.size(), 1u);
  EXPECT_EQ(applied_, 3);
}

TEST_F(CatalogTest, TheFirstEventAfterQuietIsPublishedAtOnceAndTheRestAsOneBatch) {
  sink().on_update({{endpoint("t1", 1)}, {}}, [] {});
  EXPECT_EQ(seen_.changes.size(), 1u);
  sink().on_update({{endpoint("t2", 2)}, {}}, [] {});
  sink().on_update({{endpoint("t3", 3)}, {}}, [] {});
  EXPECT_EQ(seen_.changes.size(), 1u);
  advance(4ms);
  EXPECT_EQ(seen_.changes.size(), 1u);
  advance(1ms);
  ASSERT_EQ(seen_.changes.size(), 2u);
  EXPECT_EQ(seen_.changes[1].set.size(), 2u);
}

TEST_F(CatalogTest, WhatCameAndWentWithinABatchIsNotPublished) {
  snapshot({endpoint("t1", 1)});
  sink().on_update({{endpoint("t2", 2)}, {}}, [] {});  // at once
  sink().on_update({{endpoint("t3", 3)}, {}}, [] {});
  sink().on_update({{}, {{"t3", GoneWhy::asked}}}, [] {});
  advance(5ms);
  EXPECT_EQ(seen_.changes.size(), 2u);
}

TEST_F(CatalogTest, GoneTakesAllEndpointsOfATask) {
  model::Endpoint second_port = endpoint("t1", 2);
  second_port.port = 1;
  snapshot({endpoint("t1", 1), second_port, endpoint("t2", 3)});
  gone({"t1"}, GoneWhy::asked);
  EXPECT_EQ(seen_.tasks(), Tasks{"t2"});
}

TEST_F(CatalogTest, AcknowledgesOnlyWhenEverythingUpToThereIsApplied) {
  seen_.applies_at_once = false;
  std::vector<int> acknowledged;
  sink().on_update({{endpoint("t1", 1)}, {}}, [&] { acknowledged.push_back(1); });
  advance(5ms);
  sink().on_update({{endpoint("t2", 2)}, {}}, [&] { acknowledged.push_back(2); });
  advance(5ms);
  sink().on_update({{endpoint("t2", 2)}, {}}, [&] { acknowledged.push_back(3); });  // nothing new, but later
  ASSERT_EQ(seen_.waiting.size(), 2u);
  seen_.waiting[1]();
  EXPECT_TRUE(acknowledged.empty());
  seen_.waiting[0]();
  EXPECT_EQ(acknowledged, (std::vector<int>{1, 2, 3}));
}

TEST_F(CatalogTest, AMassLossIsHeldBackUntilTheSourceHasConfirmedItForAMinute) {
  snapshot(many(10));
  snapshot({});
  EXPECT_EQ(seen_.tasks(), names(10));
  EXPECT_EQ(catalog_.held(), 10u);
  advance(59s);
  EXPECT_EQ(seen_.tasks(), names(10));
  advance(1s);
  EXPECT_EQ(seen_.tasks(), Tasks{});
  EXPECT_EQ(catalog_.held(), 0u);
}

TEST_F(CatalogTest, AHeldLossIsAcknowledgedAllTheSame) {
  snapshot(many(10));
  snapshot({});
  EXPECT_EQ(applied_, 2);
}

TEST_F(CatalogTest, ALossIsNotConfirmedByASourceThatIsAway) {
  snapshot(many(10));
  snapshot({});
  advance(30s);
  sink().on_contact(false);
  advance(10min);
  EXPECT_EQ(seen_.tasks(), names(10));
  snapshot({});  // back, and it says the same
  advance(59s);
  EXPECT_EQ(seen_.tasks(), names(10));
  advance(61s);
  EXPECT_EQ(seen_.tasks(), Tasks{});
}

TEST_F(CatalogTest, EndpointsThatComeBackAreNotHeldAnyMore) {
  snapshot(many(10));
  snapshot({});
  snapshot(many(10));
  EXPECT_EQ(catalog_.held(), 0u);
  advance(2min);
  EXPECT_EQ(seen_.tasks(), names(10));
  EXPECT_EQ(seen_.changes.size(), 1u);
}

TEST_F(CatalogTest, AcceptLetsHeldEndpointsGo) {
  snapshot(many(10));
  snapshot({});
  catalog_.accept_losses();
  advance(5ms);
  EXPECT_EQ(seen_.tasks(), Tasks{});
}

TEST_F(CatalogTest, AMassRemovalThatWasAskedForGoesAtOnce) {
  snapshot(many(10));
  gone(names(10), GoneWhy::asked);
  EXPECT_EQ(seen_.tasks(), Tasks{});
}

TEST_F(CatalogTest, LostTasksBeyondTheLimitAreHeld) {
  snapshot(many(10));
  gone({"t0", "t1", "t2", "t3", "t4"}, GoneWhy::lost);
  EXPECT_EQ(seen_.table.size(), 5u);
  gone({"t5"}, GoneWhy::lost);
  EXPECT_EQ(seen_.table.size(), 5u);
  EXPECT_EQ(catalog_.held(), 1u);
  gone({"t5"}, GoneWhy::asked);
  EXPECT_EQ(seen_.table.size(), 4u);
}

TEST_F(CatalogTest, DrainingEndpointsAreNoLoss) {
  std::vector<model::Endpoint> all = many(10);
  for (model::Endpoint& each : all) each = draining(each);
  snapshot(all);
  snapshot({});
  EXPECT_EQ(seen_.tasks(), Tasks{});
}

TEST_F(CatalogTest, AHeldEndpointWhoseAddressHasANewOwnerGoesAtOnce) {
  snapshot(many(10));
  snapshot({});
  set({endpoint("new", 31003)});
  Tasks expected = names(10);
  std::erase(expected, "t3");
  expected.insert(expected.begin(), "new");
  EXPECT_EQ(seen_.tasks(), expected);
  EXPECT_EQ(catalog_.held(), 9u);
}

TEST_F(CatalogTest, SourcesDoNotTouchEachOther) {
  snapshot({endpoint("t1", 1)});
  catalog_.source("static").on_snapshot({endpoint("s1", 2)}, GoneWhy::asked, [] {});
  advance(5ms);
  snapshot({endpoint("t2", 3)});
  EXPECT_EQ(seen_.tasks(), (Tasks{"s1", "t2"}));
  catalog_.remove_source("static");
  advance(5ms);
  EXPECT_EQ(seen_.tasks(), Tasks{"t2"});
}

TEST_F(CatalogTest, AnEndpointThatTwoSourcesHaveStaysWhileOneHasIt) {
  snapshot({endpoint("t1")});
  catalog_.source("scheduler-2").on_snapshot({endpoint("t1")}, GoneWhy::lost, [] {});
  advance(5ms);
  EXPECT_EQ(seen_.changes.size(), 1u);
  gone({"t1"}, GoneWhy::asked);
  EXPECT_EQ(seen_.tasks(), Tasks{"t1"});
  catalog_.source("scheduler-2").on_update({{}, {{"t1", GoneWhy::asked}}}, [] {});
  advance(5ms);
  EXPECT_EQ(seen_.tasks(), Tasks{});
}

TEST_F(CatalogTest, MeasuresTheLagFromEventToApplied) {
  seen_.applies_at_once = false;
  sink().on_update({{endpoint("t1")}, {}}, [] {});
  clock_.advance(20ms);
  seen_.waiting.at(0)();
  std::string metrics;
  catalog_.write_metrics(metrics);
  EXPECT_NE(metrics.find("lotse_discovery_event_lag_last_seconds 0.02\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("lotse_discovery_endpoints{source=\"scheduler\"} 1\n"), std::string::npos) << metrics;
}

TEST(Catalog, ALateAcknowledgementFindsNobody) {
  FakeClock clock;
  net::Timers timers(clock);
  RecordingSubscriber seen;
  seen.applies_at_once = false;
  bool is_applied = false;
  {
    Catalog catalog(clock, timers, {}, seen.subscriber());
    catalog.source("a").on_update({{endpoint("t1")}, {}}, [&] { is_applied = true; });
  }
  seen.waiting.at(0)();
  EXPECT_FALSE(is_applied);
}

}  // namespace
}  // namespace lotse::discovery

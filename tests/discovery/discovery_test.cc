#include "discovery/discovery.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "discovery/table_file.h"
#include "tests/discovery/fake_scheduler.h"
#include "tests/discovery/fakes.h"

namespace lotse::discovery {
namespace {

using namespace std::chrono_literals;
using Tasks = std::vector<std::string>;

class DiscoveryTest : public testing::Test {
 protected:
  DiscoveryTest()
      : folder_(testing::TempDir() + "discovery_" + testing::UnitTest::GetInstance()->current_test_info()->name()),
        scheduler_(loop_),
        client_(loop_) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~DiscoveryTest() override {
    discovery_.reset();
    std::filesystem::remove_all(folder_);
  }

  void open() {
    Discovery::Options options;
    options.proxy_id = "p1";
    options.boot = "b1";
    options.data_dir = folder_;
    options.save_delay = 1ms;
    options.scheduler.heartbeat = 20ms;
    options.scheduler.retry_max = 20ms;
    discovery_ = std::make_unique<Discovery>(
        client_, proxy_, options,
        Discovery::Callbacks{seen_.subscriber(), [this](Instant instant) { fresh_until_ = instant; }});
  }
  void configure(std::vector<SourceSpec> specs) { discovery_->configure(specs, 50); }
  SourceSpec scheduler_spec() { return {scheduler_.url(), {}}; }
  void wait(const std::function<bool()>& is_done) { run_until(loop_, is_done); }

  std::string folder_;
  net::Loop loop_;
  FakeScheduler scheduler_;
  http::Client client_;
  FakeProxy proxy_;
  RecordingSubscriber seen_;
  Instant fresh_until_{};
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(DiscoveryTest, StaticEndpointsAreThereAtOnceAndAlwaysCurrent) {
  open();
  configure({{"", {{"/legacy", {"127.0.0.1:9000", "[::1]:9001"}}}}});
  EXPECT_EQ(seen_.tasks(), (Tasks{"static:/legacy:127.0.0.1:9000", "static:/legacy:[::1]:9001"}));
  EXPECT_EQ(seen_.table[0].host_port, 9000);
  EXPECT_TRUE(seen_.table[0].is_default);
  EXPECT_EQ(fresh_until_, Instant::max());
  EXPECT_EQ(discovery_->not_ready_reason(), "");
}

TEST_F(DiscoveryTest, AnEditRemovesStaticEndpointsAtOnce) {
  open();
  std::vector<std::string> ten;
  for (int i = 0; i < 10; ++i) ten.push_back("127.0.0.1:900" + std::to_string(i));
  configure({{"", {{"/legacy", ten}}}});
  EXPECT_EQ(seen_.table.size(), 10u);
  configure({});
  wait([&] { return seen_.table.empty(); });
}

TEST_F(DiscoveryTest, IsNotReadyBeforeTheFirstTable) {
  open();
  configure({scheduler_spec()});
  EXPECT_NE(discovery_->not_ready_reason().find(scheduler_.url()), std::string::npos);
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(1, 1, {endpoint("t1")});
  wait([&] { return discovery_->not_ready_reason().empty(); });
  wait([&] { return fresh_until_ > loop_.clock().now(); });
}

TEST_F(DiscoveryTest, StartsFromItsTableOnDiskWithoutTheScheduler) {
  open();
  configure({scheduler_spec()});
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(3, 1, {endpoint("t1", 1), endpoint("t2", 2)});
  wait([&] { return seen_.table.size() == 2; });
  discovery_.reset();  // saves
  scheduler_.die();
  seen_.table.clear();
  open();
  configure({scheduler_spec()});
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1", "t2"}));
  wait([&] { return discovery_->not_ready_reason().empty(); });  // the first attempt has failed
  EXPECT_EQ(fresh_until_, Instant{});                            // but it asks the agents
  scheduler_.rise();
  wait([&] { return scheduler_.joins.size() == 2; });
  EXPECT_EQ(scheduler_.reports.back().term, 3u);
  scheduler_.say_snapshot(4, 1, {endpoint("t1", 1), endpoint("t2", 2)});
  wait([&] { return fresh_until_ > loop_.clock().now(); });
  EXPECT_EQ(seen_.changes.size(), 2u);  // one by each process
}

TEST_F(DiscoveryTest, ATableOnDiskMakesReadyOnlyWhenTheSchedulerDoesNotAnswer) {
  SavedTable old{scheduler_.url(), 3, {std::make_shared<const model::Endpoint>(endpoint("t1"))}};
  ASSERT_TRUE(save_table(folder_ + "/table-scheduler.jsonl", old));
  open();
  configure({scheduler_spec()});
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1"}));  // it serves at once
  wait([&] { return scheduler_.joins.size() == 1; });
  EXPECT_NE(discovery_->not_ready_reason().find("has not answered yet"), std::string::npos);
  scheduler_.say_snapshot(3, 7, {endpoint("t1"), endpoint("t2")});
  wait([&] { return discovery_->not_ready_reason().empty(); });
  EXPECT_EQ(seen_.tasks(), (Tasks{"t1", "t2"}));
}

TEST_F(DiscoveryTest, SavesWhileItRuns) {
  open();
  configure({scheduler_spec()});
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(3, 1, {endpoint("t1", 1)});
  std::string path = folder_ + "/table-scheduler.jsonl";
  wait([&] {
    auto table = load_table(path);
    return table && table->endpoints.size() == 1;
  });
  scheduler_.say_update(3, 1, 2, {endpoint("t2", 2)});
  wait([&] {
    auto table = load_table(path);
    return table && table->endpoints.size() == 2;
  });
}

TEST_F(DiscoveryTest, ADamagedTableOnDiskIsIgnored) {
  std::ofstream(folder_ + "/table-scheduler.jsonl") << "{\"format\":1,";
  open();
  configure({scheduler_spec()});
  EXPECT_TRUE(seen_.table.empty());
  EXPECT_NE(discovery_->not_ready_reason(), "");
  wait([&] { return scheduler_.joins.size() == 1; });
}

TEST_F(DiscoveryTest, AnotherUrlKeepsTheOldTableUntilTheNewOneSpeaks) {
  FakeScheduler other(loop_);
  open();
  configure({scheduler_spec()});
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(9, 1, many(10));
  wait([&] { return seen_.table.size() == 10; });
  configure({{other.url(), {}}});
  wait([&] { return other.joins.size() == 1; });
  EXPECT_EQ(seen_.table.size(), 10u);
  other.say_snapshot(2, 1, {endpoint("n1", 1)});  // a lower term: another history
  wait([&] { return seen_.tasks() == Tasks{"n1"}; });
}

TEST_F(DiscoveryTest, AReloadThatChangesNothingTouchesNothing) {
  open();
  configure({scheduler_spec()});
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(1, 1, {endpoint("t1")});
  wait([&] { return seen_.table.size() == 1; });
  configure({scheduler_spec()});
  std::size_t reports = scheduler_.reports.size();
  wait([&] { return scheduler_.reports.size() >= reports + 3; });
  EXPECT_EQ(scheduler_.joins.size(), 1u);
  EXPECT_EQ(seen_.changes.size(), 1u);
}

TEST_F(DiscoveryTest, WritesMetrics) {
  open();
  configure({scheduler_spec(), {"", {{"/legacy", {"127.0.0.1:9000"}}}}});
  wait([&] { return scheduler_.joins.size() == 1; });
  scheduler_.say_snapshot(4, 7, {endpoint("t1")});
  wait([&] { return fresh_until_ > loop_.clock().now(); });
  std::string text;
  discovery_->write_metrics(text);
  for (const char* line :
       {"lotse_discovery_connected{source=\"scheduler\"} 1\n", "lotse_discovery_revision{source=\"scheduler\"} 7\n",
        "lotse_discovery_term{source=\"scheduler\"} 4\n", "lotse_discovery_fresh{source=\"scheduler\"} 1\n",
        "lotse_discovery_age_seconds{source=\"scheduler\"} 0\n", "lotse_discovery_endpoints{source=\"static\"} 1\n",
        "lotse_discovery_endpoints_held{source=\"scheduler\"} 0\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace lotse::discovery

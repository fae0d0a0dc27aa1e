#include "scheduler/server/engine.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/scheduler/server/loop_runner.h"
#include "tests/temporary_folder.h"

namespace lotse::scheduler {
namespace {

class Recorder final : public EngineOutput {
 public:
  void send_to_agent(const model::AgentId& agent, const model::AgentCommand& command) override {
    log.push_back((command.launch ? "launch on " : "kill on ") + agent);
  }
  void publish_routes(const model::RouteUpdate& update) override {
    log.push_back("routes " + std::to_string(update.to));
  }
  void emit(const Emit& event) override { log.push_back(event.type); }
  void routes_reset() override { log.emplace_back("reset"); }
  void writable_again() override { log.emplace_back("writable"); }
  std::vector<std::string> log;
};

class EngineTest : public testing::Test {
 protected:
  void SetUp() override {
    StoreRecords records;
    auto store = Store::open(loop_, {directory_.path()}, records);
    ASSERT_TRUE(store);
    store_ = std::move(*store);
    auto state = restore(records, store_->term(), store_->cluster(), {}, loop_.clock().both());
    ASSERT_TRUE(state);
    engine_ = std::make_unique<Engine>(loop_, *store_, std::move(*state), Settings{});
    engine_->set_output(recorder_);
    engine_->start();
  }
  static ChangeApps new_app(const std::string& id) {
    model::App app;
    app.id = id;
    app.cmd = "true";
    ChangeApps change;
    change.set.push_back(std::move(app));
    return change;
  }
  static AgentRegistered agent() {
    AgentRegistered event;
    event.registration.id = "node-1";
    event.registration.data_id = "data";
    event.registration.incarnation = 1;
    event.registration.host = "10.0.0.1";
    event.registration.cpus = 4;
    event.registration.mem_mib = 4096;
    event.registration.has_tasks = true;
    return event;
  }
  Engine::OnAnswer noting(const std::string& name) {
    return [this, name](const Answer& answer) {
      recorder_.log.push_back(name + (std::holds_alternative<model::ApiError>(answer) ? " refused" : " answered"));
    };
  }
  bool has(const std::string& entry) const {
    return std::find(recorder_.log.begin(), recorder_.log.end(), entry) != recorder_.log.end();
  }
  std::size_t place_of(const std::string& entry) const {
    return static_cast<std::size_t>(std::find(recorder_.log.begin(), recorder_.log.end(), entry) -
                                    recorder_.log.begin());
  }

  TemporaryFolder directory_;
  net::Loop loop_;
  Recorder recorder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, NothingLeavesBeforeItIsOnTheDisk) {
  engine_->submit(agent(), noting("agent"));
  engine_->submit(new_app("/x"), noting("app"));
  EXPECT_TRUE(recorder_.log.empty()) << recorder_.log.front();
  EXPECT_EQ(engine_->waiting(), 2u);
  ASSERT_TRUE(run_until(loop_, [&] { return has("app answered") && has("launch on node-1"); }));
  EXPECT_GE(store_->stats().transactions, 2u);
  EXPECT_LT(place_of("agent answered"), place_of("app answered"));
  EXPECT_LT(place_of("app answered"), place_of("launch on node-1"));
  EXPECT_EQ(engine_->waiting(), 0u);
}

TEST_F(EngineTest, AStepThatWritesNothingWaitsOnlyForThoseBeforeIt) {
  engine_->submit(ResetDelay{0, "/nobody"}, noting("first"));
  EXPECT_EQ(recorder_.log, std::vector<std::string>{"first refused"}) << "nothing was before it";
  recorder_.log.clear();
  engine_->submit(new_app("/x"), noting("app"));
  engine_->submit(ResetDelay{0, "/nobody"}, noting("second"));
  bool is_released = false;
  engine_->submit(Tick{}, Engine::OnReleased([&] { is_released = true; }));
  EXPECT_TRUE(recorder_.log.empty());
  ASSERT_TRUE(run_until(loop_, [&] { return is_released; }));
  EXPECT_LT(place_of("app answered"), place_of("second refused"));
}

TEST_F(EngineTest, AnAnswerMaySubmitTheNextEvent) {
  engine_->submit(new_app("/a"), [this](const Answer&) {
    recorder_.log.emplace_back("a");
    engine_->submit(ResetDelay{0, "/nobody"}, noting("inner"));
    recorder_.log.emplace_back("after submit");
  });
  ASSERT_TRUE(run_until(loop_, [&] { return has("inner refused"); }));
  EXPECT_LT(place_of("after submit"), place_of("inner refused"));
}

TEST_F(EngineTest, ManyChangesAtOnceAreAnsweredInOrderEachWithItsVersion) {
  std::vector<model::Version> versions;
  for (int i = 0; i < 100; ++i) {
    engine_->submit(new_app("/app-" + std::to_string(i)), [&](const Answer& answer) {
      if (const auto* result = std::get_if<DeploymentResult>(&answer)) versions.push_back(result->version);
    });
  }
  ASSERT_TRUE(run_until(loop_, [&] { return versions.size() == 100; }));
  EXPECT_TRUE(std::is_sorted(versions.begin(), versions.end()));
  EXPECT_EQ(std::set<model::Version>(versions.begin(), versions.end()).size(), 100u);
  EXPECT_LE(store_->stats().commits, store_->stats().transactions);
}

}  // namespace
}  // namespace lotse::scheduler

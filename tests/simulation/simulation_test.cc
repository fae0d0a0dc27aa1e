// A whole cluster from one seed: the real core, four agents, three proxies and an operator, on a bad network.
// LOTSE_SIM_SEED runs one seed; LOTSE_SIM_SEEDS says how many each test takes.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/simulation/checks.h"

namespace lotse::simulation {
namespace {

using namespace scheduler;

struct Plan {
  Faults faults;
  Duration trouble = 100s;   // faults and changes
  Duration settling = 400s;  // at most; then everything must be as wanted
  bool operator_deletes = true;
};

class World {
 public:
  World(std::uint64_t seed, const Plan& plan)
      : plan_(plan), faults_(plan.faults), dice_(seed), shell_(timeline_, dice_, faults_, seed) {
    shell_.watcher = &checks_;
    for (int i = 1; i <= 4; ++i) {
      agents_.push_back(std::make_unique<FakeAgent>(timeline_, dice_, faults_, network_, shell_, i));
    }
    for (int i = 1; i <= 3; ++i) {
      proxies_.push_back(std::make_unique<FakeProxy>(timeline_, dice_, faults_, network_, shell_, i));
    }
  }

  // Empty: all is well.
  std::string run() {
    shell_.start();
    for (auto& agent : agents_) timeline_.after(dice_.between(0ms, 3s), [&agent] { agent->start(); });
    for (auto& proxy : proxies_) timeline_.after(dice_.between(0ms, 10s), [&proxy] { proxy->start(); });
    operate();
    if (faults_.agents || faults_.proxies || faults_.scheduler || faults_.containers) make_trouble();
    run_until(timeline_.now + plan_.trouble);
    faults_ = {.network = false, .scheduler = false, .agents = false, .containers = false, .proxies = false};
    is_operating_ = false;
    const Instant end = timeline_.now + plan_.settling;
    while (timeline_.now < end && checks_.violation().empty()) {
      undrain_all();
      run_until(std::min(end, timeline_.now + 5s));
      if (checks_.unsettled().empty()) return checks_.violation();
    }
    if (!checks_.violation().empty()) return checks_.violation();
    return "does not settle: " + checks_.unsettled();
  }

 private:
  void run_until(Instant end) {
    while (checks_.violation().empty() && timeline_.run_next(end)) {
      if (!plan_.faults.agents && !plan_.faults.containers) checks_.check_nothing_routed_is_dead();
    }
  }

  void undrain_all() {
    if (!shell_.is_up()) return;
    std::vector<model::AgentId> draining;
    for (const auto& [id, agent] : shell_.state().agents) {
      if (agent.is_draining) draining.push_back(id);
    }
    for (const model::AgentId& id : draining) {
      if (shell_.is_up()) shell_.deliver(DrainAgent{.agent = id, .is_wanted = false});
    }
  }

  model::App random_app() {
    model::App app;
    const std::size_t number = dice_.index(5);
    app.id = "/app" + std::to_string(number);
    app.cmd = "run";
    app.instances = static_cast<int>(dice_.index(4)) + (plan_.operator_deletes ? 0 : 1);
    app.cpus = 0.2;
    app.mem_mib = 64;
    app.env["v"] = std::to_string(dice_.index(3));
    app.max_launch_delay = model::Seconds(10);
    app.port_definitions.resize(1 + number % 2);
    if (number == 1) app.health_checks.push_back({.port_index = 0});  // as a parsed definition has it
    if (number == 1 && dice_.once_in(3) && has_good_version(app.id)) {
      app.env["v"] = "bad";
      app.upgrade_strategy.progress_deadline = model::Seconds(20);
    }
    if (number == 2) app.constraints.push_back({"hostname", model::ConstraintOperator::unique, {}});
    if (number == 3) app.upgrade_strategy = {0.5, 0};
    if (number == 3) app.labels["lotse.drainSeconds"] = "5";
    if (number == 4) app.constraints.push_back({"rack", model::ConstraintOperator::group_by, {}});
    if (number == 4) app.upgrade_strategy = {1, 0};
    if (number == 0 && dice_.once_in(2))
      app.unreachable_strategy = {.inactive_after = model::Seconds(20), .expunge_after = model::Seconds(40)};
    return app;
  }

  bool has_good_version(const model::AppId& id) const {
    const App* app = find_app(shell_.state(), id);
    return app != nullptr && !app->good_version.empty();
  }

  model::AppId some_app() {
    const auto& apps = shell_.state().apps;
    return apps.empty() ? "" : std::next(apps.begin(), static_cast<std::ptrdiff_t>(dice_.index(apps.size())))->first;
  }

  void operate() {
    timeline_.after(dice_.between(500ms, 12s), [this] {
      if (!is_operating_) return;
      if (shell_.is_up()) act();
      operate();
    });
  }
  void act() {
    const bool force = dice_.once_in(3);
    const model::AppId app = some_app();
    switch (dice_.index(11)) {
      case 9:
        shell_.deliver(DrainAgent{.agent = "a" + std::to_string(1 + dice_.index(4)), .is_wanted = dice_.once_in(2)});
        return;
      case 10: {
        ChangeApps change{.put_groups = {{.id = "/group" + std::to_string(dice_.index(3)), .enforce_role = force}}};
        if (dice_.once_in(2)) change.remove_groups = {"/group" + std::to_string(dice_.index(3))};
        shell_.deliver(change);
        return;
      }
      case 0:
        if (!app.empty()) shell_.deliver(ChangeApps{.restart = {app}, .force = force});
        return;
      case 1:
        if (!app.empty() && plan_.operator_deletes) shell_.deliver(ChangeApps{.remove = {app}, .force = force});
        return;
      case 2:
      case 3: {
        const auto& tasks = shell_.state().tasks;
        if (tasks.empty()) return;
        const auto id = std::next(tasks.begin(), static_cast<std::ptrdiff_t>(dice_.index(tasks.size())))->first;
        shell_.deliver(KillTasks{.tasks = {id}, .scale = plan_.operator_deletes && dice_.once_in(3), .force = force});
        return;
      }
      case 4:
        if (!shell_.state().deployments.empty()) {
          const Deployment& first = shell_.state().deployments.begin()->second;
          // A bad version that nobody waits for any more would be what the operator wants.
          const bool may_force = !first.original.contains("/app1");
          shell_.deliver(CancelDeployment{.deployment = first.id, .force = force && may_force});
        }
        return;
      default:
        shell_.deliver(ChangeApps{.set = {random_app()}, .force = force});
    }
  }

  void make_trouble() {
    timeline_.after(dice_.between(1s, 12s), [this] {
      if (!is_operating_) return;
      FakeAgent& agent = *agents_[dice_.index(agents_.size())];
      switch (dice_.index(6)) {
        case 0:
          if (faults_.scheduler) shell_.crash();
          break;
        case 1:
          if (faults_.agents) agent.crash();
          break;
        case 2:
          if (faults_.agents) agent.cut_off(dice_.between(1s, 90s));
          break;
        case 3:
          if (faults_.proxies) proxies_[dice_.index(proxies_.size())]->crash();
          break;
        default:
          if (faults_.containers) agent.hurt_one();
      }
      make_trouble();
    });
  }

  Plan plan_;
  Faults faults_;
  Timeline timeline_;
  Dice dice_;
  Network network_{timeline_, dice_, faults_};
  Shell shell_;
  std::vector<std::unique_ptr<FakeAgent>> agents_;
  std::vector<std::unique_ptr<FakeProxy>> proxies_;
  Checks checks_{timeline_, shell_, agents_, proxies_};
  bool is_operating_ = true;
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_seeds(const Plan& plan) {
  if (const std::uint64_t seed = from_environment("LOTSE_SIM_SEED", 0); seed != 0) {
    EXPECT_EQ(World(seed, plan).run(), "") << "seed " << seed;
    return;
  }
  const std::uint64_t count = from_environment("LOTSE_SIM_SEEDS", 50);
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    const std::string trouble = World(seed, plan).run();
    ASSERT_EQ(trouble, "") << "seed " << seed << ": LOTSE_SIM_SEED=" << seed << " runs it alone";
  }
}

TEST(Simulation, ABadNetworkAlone) {
  run_seeds({.faults = {.scheduler = false, .agents = false, .containers = false, .proxies = false}});
}
TEST(Simulation, ProxiesComeAndGoAndTheSchedulerDies) {
  run_seeds({.faults = {.agents = false, .containers = false}, .operator_deletes = false});
}
TEST(Simulation, AgentsAndContainersDie) { run_seeds({.faults = {.scheduler = false}}); }
TEST(Simulation, EverythingAtOnce) { run_seeds({}); }

}  // namespace
}  // namespace lotse::simulation

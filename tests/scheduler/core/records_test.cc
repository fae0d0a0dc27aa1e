#include "scheduler/core/records.h"

#include <gtest/gtest.h>

#include "tests/scheduler/core/harness.h"

namespace lotse::scheduler {
namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

Result<State, Problem> read(const std::map<std::string, std::string>& store) {
  const Records records(store.begin(), store.end());
  return restore(records, 2, "c1", {}, Now{});
}

// A store with one of everything.
Harness full() {
  Harness cluster;
  cluster.add_agents(2);
  cluster.join("p1");
  cluster.step(SetCallback{.token = 1, .url = "http://ci.example:8080/hook"});
  cluster.step(ChangeApps{.put_groups = {{.id = "/shop/db", .dependencies = {{"/web"}}, .enforce_role = {}}}});
  model::App app = make_app("/web", 2);
  app.health_checks.push_back({.port_index = 0});
  cluster.put(app);
  for (const auto& id : cluster.tasks_of("/web")) {
    cluster.report(id, model::TaskState::running);
    cluster.health({.task = id, .is_ready = true, .alive = true, .results = {{.alive = true, .first_success = "t"}}});
  }
  cluster.report(cluster.tasks_of("/web").front(), model::TaskState::failed, "bytes \xff of Docker's");
  return cluster;
}

TEST(Records, HoldOneOfEverything) {
  const Harness cluster = full();
  std::set<std::string> kinds;
  for (const auto& [key, value] : cluster.store) kinds.insert(key.substr(0, key.find('/')));
  EXPECT_EQ(kinds,
            (std::set<std::string>{"agent", "app", "backoff", "callback", "deployment", "group", "health", "history",
                                   "last_version", "progress", "proxy", "release", "task", "version"}));
}

TEST(Records, ComeBackAsTheyWere) {
  const Harness cluster = full();
  auto state = read(cluster.store);
  ASSERT_TRUE(state) << state.error().text();
  EXPECT_EQ(state->apps.at("/web").last_failure->message, "bytes \xef\xbf\xbd of Docker's");
  EXPECT_EQ(state->deployments.size(), 1u);
  EXPECT_EQ(state->callbacks, cluster.state.callbacks);
  EXPECT_EQ(state->groups.at("/shop/db").dependencies, std::vector<model::AppId>{"/web"});
  EXPECT_EQ(state->history.size(), cluster.state.history.size());
  EXPECT_EQ(state->tasks.size(), cluster.state.tasks.size());
  EXPECT_EQ(all_endpoints(*state), all_endpoints(cluster.state));
  EXPECT_EQ(*state->apps.at("/web").current, *cluster.state.apps.at("/web").current);
}

TEST(Records, OfALaterVersionAreLeftAlone) {
  Harness cluster = full();
  cluster.store["future/thing"] = "{}";
  EXPECT_TRUE(read(cluster.store));
}

TEST(Records, BrokenOnesAreAProblemThatNamesThem) {
  const Harness cluster = full();
  for (const auto& [key, value] : cluster.store) {
    if (key == kLastVersionKey) continue;
    for (const std::string& broken :
         {std::string(), value.substr(0, value.size() / 2), std::string("[]"), std::string("{}")}) {
      auto store = cluster.store;
      store[key] = broken;
      auto state = read(store);
      ASSERT_FALSE(state) << key << " " << broken;
      EXPECT_EQ(state.error().where, key);
    }
  }
}

TEST(Records, MissingOnesThatOthersNeedAreAProblem) {
  const Harness cluster = full();
  for (const auto& [key, value] : cluster.store) {
    const std::string kind = key.substr(0, key.find('/'));
    if (kind != "app" && kind != "version" && kind != "agent") continue;
    auto store = cluster.store;
    store.erase(key);
    auto state = read(store);
    if (kind == "agent") continue;  // only where it has tasks; either way it does not crash
    EXPECT_FALSE(state) << key;
  }
}

}  // namespace
}  // namespace lotse::scheduler

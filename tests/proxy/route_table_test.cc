// Which route, which app: tables, without sockets.
#include "proxy/route_table.h"

#include <gtest/gtest.h>

#include "proxy/endpoint_registry.h"
#include "proxy/routing_state.h"

namespace lotse::proxy {
namespace {

RouteConfig route(std::string host, bool is_wildcard, std::string path, std::string app,
                  std::vector<std::string> listeners = {}) {
  RouteConfig one;
  one.match.host = {std::move(host), is_wildcard};
  one.match.path = std::move(path);
  one.match.listeners = std::move(listeners);
  one.to.push_back({{std::move(app), ""}, 1});
  return one;
}

std::string app_for(const RouteTable& table, std::string_view host, std::string_view path,
                    std::string_view listener = "web") {
  const Route* found = table.find(host, path, listener);
  return found == nullptr ? "" : found->targets.front().app.app;
}

TEST(RouteTable, PicksTheMostSpecificHostThenTheLongestPath) {
  Config config;
  config.routes = {route("", false, "/", "/any"),
                   route("", false, "/only-any", "/any-path"),
                   route(".example.com", true, "/", "/wild"),
                   route(".b.example.com", true, "/", "/wild-b"),
                   route("a.example.com", false, "/api", "/exact-api"),
                   route("a.example.com", false, "/api/v2", "/exact-v2"),
                   route("a.example.com", false, "/api", "/bound", {"admin"})};
  RouteTable table(config, [](const model::AppTarget&) { return SlotIndex{0}; });
  EXPECT_EQ(app_for(table, "a.example.com", "/api"), "/exact-api");
  EXPECT_EQ(app_for(table, "a.example.com", "/api/"), "/exact-api");
  EXPECT_EQ(app_for(table, "a.example.com", "/api/x"), "/exact-api");
  EXPECT_EQ(app_for(table, "a.example.com", "/api/v2/y"), "/exact-v2");
  EXPECT_EQ(app_for(table, "a.example.com", "/api/v22"), "/exact-api");
  EXPECT_EQ(app_for(table, "a.example.com", "/apis"), "/wild");  // the host's routes do not take it
  EXPECT_EQ(app_for(table, "a.example.com", "/api", "admin"), "/bound");
  EXPECT_EQ(app_for(table, "x.b.example.com", "/"), "/wild-b");
  EXPECT_EQ(app_for(table, "x.y.example.com", "/"), "/wild");
  EXPECT_EQ(app_for(table, "example.com", "/"), "/any");  // a wildcard needs a label
  EXPECT_EQ(app_for(table, "other", "/only-any/x"), "/any-path");
  EXPECT_EQ(app_for(table, "", "*"), "/any");
}

TEST(RouteTable, FindsNothingWithoutARoute) {
  RouteTable table(Config{}, [](const model::AppTarget&) { return SlotIndex{0}; });
  EXPECT_EQ(table.find("a", "/", "web"), nullptr);
  EXPECT_FALSE(table.knows_host("a"));
}

model::Endpoint endpoint(const std::string& app, const std::string& task, std::uint16_t port = 1) {
  model::Endpoint one;
  one.app = app;
  one.task = task;
  one.host = "127.0.0.1";
  one.host_port = port;
  one.is_default = true;
  return one;
}

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    config.expose.host = "{app}.test";
    config.expose.path = true;
    state.apply(registry.apply(config));
  }
  RoutingUpdate change(std::vector<model::Endpoint> set, std::vector<model::Endpoint> removed = {},
                       bool is_snapshot = false) {
    RoutingUpdate update = registry.apply(EndpointChange{std::move(set), std::move(removed), is_snapshot});
    state.apply(update);
    return update;
  }
  std::string by_path(std::string_view path) { return std::string(state.find("none", path, "", 0).app); }
  std::string by_host(std::string_view host) { return std::string(state.find(host, "/", "", 0).app); }
  std::size_t members(std::string_view path) {
    auto found = state.find("none", path, "", 0);
    return found.is_found ? state.slot_at(found.slot).set->members().size() : 0;
  }
  Config config;
  EndpointRegistry registry{2};
  RoutingState state;
};

TEST_F(RegistryTest, ExposesAppsByTheLongestIdAndByHost) {
  change({endpoint("/shop", "s"), endpoint("/shop/api", "a"), endpoint("/a/b/c/d/e", "deep")});
  EXPECT_EQ(by_path("/shop/api/x"), "/shop/api");
  EXPECT_EQ(state.find("none", "/shop/api/x", "", 0).strip_segments, 2);
  EXPECT_EQ(by_path("/shop/apix"), "/shop");
  EXPECT_EQ(by_path("/shop"), "/shop");
  EXPECT_EQ(by_path("/a/b/c/d/e/f"), "/a/b/c/d/e");
  EXPECT_EQ(by_path("/a/b"), "");
  EXPECT_EQ(by_path("/"), "");
  EXPECT_EQ(by_host("api.shop.test"), "/shop/api");
  EXPECT_EQ(by_host("shop.test"), "/shop");
  EXPECT_EQ(by_host("shop.api.test"), "");
}

TEST_F(RegistryTest, GivesAHostThatTwoAppsWantToTheFirstByName) {
  change({endpoint("/x/shop/api", "one")});
  EXPECT_EQ(by_host("api.shop.x.test"), "/x/shop/api");
  change({endpoint("/shop.x/api", "two")});
  EXPECT_EQ(by_host("api.shop.x.test"), "/shop.x/api");
}

TEST_F(RegistryTest, AnIdenticalChangeIsANoOp) {
  change({endpoint("/app", "a")});
  EXPECT_TRUE(change({endpoint("/app", "a")}).empty());
  EXPECT_TRUE(change({endpoint("/app", "a")}, {}, true).empty());
  EXPECT_TRUE(change({}, {endpoint("/app", "nobody")}).empty());
}

TEST_F(RegistryTest, AChangeTouchesItsOwnAppOnly) {
  for (int i = 0; i < 100; ++i) change({endpoint("/app" + std::to_string(i), "t" + std::to_string(i))});
  model::Endpoint one = endpoint("/app7", "t7");
  one.state = model::EndpointState::down;
  RoutingUpdate update = change({one});
  EXPECT_EQ(update.slots.size(), 1U);
  EXPECT_EQ(update.records.size(), 1U);
  EXPECT_TRUE(update.exposed.empty());
  EXPECT_EQ(update.table, nullptr);
}

TEST_F(RegistryTest, ASnapshotRemovesWhatItDoesNotName) {
  change({endpoint("/app", "a", 1), endpoint("/app", "b", 2), endpoint("/gone", "c", 3)});
  change({endpoint("/app", "b", 2)}, {}, true);
  EXPECT_EQ(members("/app"), 1U);
  EXPECT_EQ(members("/gone"), 0U);
  EXPECT_EQ(by_path("/gone/x"), "/gone");  // still known: 503, not 404
  EXPECT_EQ(registry.endpoint_count(model::EndpointState::up), 1U);
}

TEST_F(RegistryTest, KeepsARecordOverChangesOfItsState) {
  change({endpoint("/app", "a")});
  auto record = state.slot_at(state.find("none", "/app", "", 0).slot).set->members().front().record;
  model::Endpoint draining = endpoint("/app", "a");
  draining.state = model::EndpointState::draining;
  change({draining});
  EXPECT_EQ(state.slot_at(state.find("none", "/app", "", 0).slot).set->members().front().record, record);
  EXPECT_TRUE(registry.is_leaving("a"));
  // The same task on another port is another endpoint (ports are reused).
  change({endpoint("/app", "a", 2)});
  EXPECT_EQ(members("/app"), 2U);
  EXPECT_FALSE(registry.is_leaving("a"));
}

TEST_F(RegistryTest, TakesTargetsByPortNameAndIndexAndLeavesUdpOut) {
  model::Endpoint web = endpoint("/app", "a", 1), agent = endpoint("/app", "a", 2), udp = endpoint("/app", "a", 3);
  agent.port = 1;
  agent.port_name = "agent";
  agent.is_default = false;
  udp.port = 2;
  udp.is_udp = true;
  RouteConfig by_name = route("name", false, "/", "/app"), by_index = route("index", false, "/", "/app");
  by_name.to.front().app.port = "agent";
  by_index.to.front().app.port = "1";
  config.routes = {by_name, by_index};
  state.apply(registry.apply(config));
  change({web, agent, udp});
  for (const char* host : {"name", "index"}) {
    const auto& set = state.slot_at(state.find(host, "/", "", 0).slot).set;
    ASSERT_EQ(set->members().size(), 1U) << host;
    EXPECT_EQ(set->members().front().record->endpoint.host_port, 2);
  }
  EXPECT_EQ(members("/app"), 1U);
}

TEST_F(RegistryTest, ReusesSlotsOnlyWhenTheOldTableIsGone) {
  config.expose = {};
  config.routes = {route("", false, "/", "/first")};
  state.apply(registry.apply(config));
  SlotRef first{state.find("", "/", "", 0).slot, state.slot_at(state.find("", "/", "", 0).slot).generation};
  config.routes = {route("", false, "/", "/second")};
  state.apply(registry.apply(config));
  EXPECT_NE(state.find("", "/", "", 0).slot, first.index);
  registry.forget_old_table();
  config.routes = {route("", false, "/", "/third")};
  state.apply(registry.apply(config));
  EXPECT_EQ(state.find("", "/", "", 0).slot, first.index);
  EXPECT_EQ(state.slot(first), nullptr);  // an exchange that still holds the old one is told so
}

}  // namespace
}  // namespace lotse::proxy

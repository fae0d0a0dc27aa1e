#include "model/app.h"

#include <gtest/gtest.h>

namespace lotse::model {
namespace {

using std::chrono::milliseconds;

App bridge_app(std::vector<PortMapping> mappings) {
  App app{.id = "/a"};
  app.networks = {Network{.mode = NetworkMode::bridge}};
  app.container = Container{.image = "x", .port_mappings = std::move(mappings)};
  return app;
}

TEST(AppPorts, AreThePortDefinitionsOnTheHostNetwork) {
  App app{.id = "/a"};
  app.port_definitions = {{.port = 10001, .name = "http"}, {.protocol = "udp"}, {.protocol = "udp,tcp"}};
  auto ports = ports_of(app);
  ASSERT_EQ(ports.size(), 3u);
  EXPECT_EQ(ports[0].host_port, 0);  // random: the port is only the service port
  EXPECT_EQ(ports[0].service_port, 10001);
  EXPECT_EQ(ports[0].name, "http");
  EXPECT_TRUE(ports[1].is_udp && !ports[1].is_tcp);
  EXPECT_TRUE(ports[2].is_udp && ports[2].is_tcp);
}

TEST(AppPorts, AreFixedWhenTheAppRequiresThem) {
  App app{.id = "/a"};
  app.require_ports = true;
  app.port_definitions = {{.port = 7777}, {}};
  EXPECT_EQ(ports_of(app)[0].host_port, 7777);
  EXPECT_EQ(ports_of(app)[1].host_port, 0);
}

TEST(AppPorts, AreTheMappingsOnAnyOtherNetwork) {
  App app = bridge_app({{.container_port = 80, .host_port = 0, .service_port = 9000}, {.container_port = 81}});
  app.port_definitions = {{.port = 1}};
  auto ports = ports_of(app);
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].container_port, 80);
  EXPECT_EQ(ports[0].service_port, 9000);
  EXPECT_EQ(ports[1].host_port, std::nullopt);
}

TEST(DefaultPort, IsTheFirstTcpPort) {
  EXPECT_EQ(default_port_of(bridge_app({{.protocol = "udp"}, {.name = "http"}})), 1);
  EXPECT_EQ(default_port_of(bridge_app({{.protocol = "udp"}})), std::nullopt);
  EXPECT_EQ(default_port_of(App{}), std::nullopt);
}

TEST(DefaultPort, IsWhatTheLabelSaysByNameOrIndex) {
  App app = bridge_app({{.name = "http"}, {.name = "admin"}, {.protocol = "udp", .name = "dns"}});
  for (auto [label, index] : {std::pair{"admin", 1}, {"1", 1}, {"0", 0}, {"dns", 0}, {"7", 0}, {"", 0}, {"-1", 0}}) {
    app.labels["lotse.port"] = label;
    EXPECT_EQ(default_port_of(app), index) << label;
  }
}

TEST(KillGrace, IsThreeSecondsUnlessGiven) {
  App app;
  EXPECT_EQ(kill_grace_of(app), milliseconds(3000));
  app.kill_grace_period = Seconds(0.5);
  EXPECT_EQ(kill_grace_of(app), milliseconds(500));
  app.kill_grace_period = Seconds(1e300);
  EXPECT_GT(kill_grace_of(app), std::chrono::hours(24));
  app.kill_grace_period = Seconds(-1);
  EXPECT_EQ(kill_grace_of(app).count(), 0);
}

TEST(NeedsRestart, IsForAnythingButInstancesAndVersions) {
  App before{.id = "/a", .cmd = "x"};
  App after = before;
  after.instances = 7;
  after.version = "2015-08-26T20:23:39.463Z";
  after.last_scaling_at = after.last_config_change_at = after.version;
  EXPECT_FALSE(needs_restart(before, after));
  for (auto change : std::initializer_list<void (*)(App&)>{
           [](App& app) { app.labels["a"] = "b"; }, [](App& app) { app.upgrade_strategy.maximum_over_capacity = 0; },
           [](App& app) { app.health_checks.emplace_back(); }, [](App& app) { app.cmd = "y"; },
           [](App& app) { app.rest = "{}"; }, [](App& app) { app.kill_oldest_first = true; }}) {
    App changed = before;
    change(changed);
    EXPECT_TRUE(needs_restart(before, changed));
  }
}

}  // namespace
}  // namespace lotse::model

#include "agent/probe_targets.h"

#include <gtest/gtest.h>

#include "agent/prober.h"
#include "tests/agent/test_apps.h"

namespace lotse::agent {
namespace {

using Addresses = std::vector<ProbeAddress>;

TEST(ProbeTarget, PrefersTheContainersOwnAddress) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}, {0, 31006}});
  EXPECT_EQ(target_of_port(launch, 0, "172.17.0.2", "10.0.0.5").all(),
            (Addresses{{"172.17.0.2", 8080}, {"127.0.0.1", 31005}}));
  EXPECT_EQ(target_of_port(launch, 1, "172.17.0.2", "10.0.0.5").all(),
            (Addresses{{"172.17.0.2", 31006}, {"127.0.0.1", 31006}}));
  EXPECT_EQ(target_of_port(launch, 0, "", "10.0.0.5").all(), (Addresses{{"127.0.0.1", 31005}}));
  EXPECT_TRUE(target_of_port(launch, 2, "172.17.0.2", "10.0.0.5").is_empty());
}

TEST(ProbeTarget, OnTheHostTriesLoopbackThenTheAdvertisedAddress) {
  auto launch = process_task("x", {31000});
  EXPECT_EQ(target_of_port(launch, 0, "", "10.0.0.5").all(), (Addresses{{"127.0.0.1", 31000}, {"10.0.0.5", 31000}}));
  EXPECT_EQ(target_of_port(launch, 0, "", "127.0.0.1").all(), (Addresses{{"127.0.0.1", 31000}}));
}

TEST(ProbeTarget, ARefusalByTheContainerIsAnAnswer) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}});
  ProbeTarget target = target_of_port(launch, 0, "172.17.0.2", "10.0.0.5");
  target.on_connect_failed(Errc::refused);  // docker-proxy on the host port would accept
  EXPECT_EQ(target.current().ip, "172.17.0.2");
  target.on_connect_failed(Errc::unreachable);
  EXPECT_EQ(target.current().ip, "127.0.0.1");
}

TEST(ProbeTarget, ARefusalOnTheHostTriesTheOtherAddress) {
  ProbeTarget target = target_of_port(process_task("x", {31000}), 0, "", "10.0.0.5");
  target.on_connect_failed(Errc::refused);
  EXPECT_EQ(target.current().ip, "10.0.0.5");
  target.on_connect_failed(Errc::refused);
  EXPECT_EQ(target.current().ip, "127.0.0.1");
}

TEST(ProbeTarget, OfACheckByIndexPortOrDefault) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}, {9090, 31006}});
  model::HealthCheck check;
  EXPECT_EQ(target_of_check(launch, check, "172.17.0.2", "h").current(), (ProbeAddress{"172.17.0.2", 8080}));
  check.port_index = 1;
  EXPECT_EQ(target_of_check(launch, check, "172.17.0.2", "h").current(), (ProbeAddress{"172.17.0.2", 9090}));
  check.port_index.reset();
  check.port = 31006;  // a host port of ours
  EXPECT_EQ(target_of_check(launch, check, "172.17.0.2", "h").current(), (ProbeAddress{"172.17.0.2", 9090}));
  check.port = 7070;  // a port inside the container
  EXPECT_EQ(target_of_check(launch, check, "172.17.0.2", "h").current(), (ProbeAddress{"172.17.0.2", 7070}));
  check.port.reset();
  check.port_index = 9;
  EXPECT_TRUE(target_of_check(launch, check, "172.17.0.2", "h").is_empty());
}

TEST(PublishedPorts, AreThoseWithAHostPortAndTcp) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}, {53, 31006}, {9090, 0}});
  (*launch.app.container->port_mappings)[1].protocol = "udp";
  EXPECT_EQ(targets_of_published_ports(launch, "172.17.0.2", "h").size(), 1u);
  EXPECT_TRUE(targets_of_published_ports(container_task("shop:1", {}), "172.17.0.2", "h").empty());
}

TEST(UnsupportedCheck, IsHttpsAndNothingElse) {
  using P = model::HealthProtocol;
  for (auto [protocol, supported] : {std::pair{P::http, true},
                                     {P::tcp, true},
                                     {P::command, true},
                                     {P::mesos_http, true},
                                     {P::mesos_tcp, true},
                                     {P::https, false},
                                     {P::mesos_https, false}}) {
    model::App app;
    app.health_checks.emplace_back();
    app.health_checks[0].protocol = protocol;
    EXPECT_EQ(unsupported_check(app).has_value(), !supported);
  }
}

}  // namespace
}  // namespace lotse::agent

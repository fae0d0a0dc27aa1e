// The names as a function of what was published; no sockets.
#include "scheduler/server/dns_names.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lotse::scheduler {
namespace {

using Strings = std::vector<std::string>;

class DnsNamesTest : public testing::Test {
 protected:
  static model::Endpoint endpoint(const std::string& app, int number,
                                  model::EndpointState state = model::EndpointState::up) {
    model::Endpoint made;
    made.app = app;
    made.task = app + "." + std::to_string(number);
    made.host = "10.0.0." + std::to_string(number);
    made.host_port = static_cast<std::uint16_t>(31000 + number);
    made.port_name = "http";
    made.state = state;
    return made;
  }
  void set(const model::Endpoint& one) { names.apply({.set = {one}}); }
  void remove(const model::Endpoint& one) { names.apply({.gone = {{one.task}}}); }
  Strings addresses(const std::string& name) { return names.look_up(name).addresses; }
  bool exists(const std::string& name) { return names.look_up(name).exists; }
  std::vector<int> ports(const std::string& name) {
    std::vector<int> found;
    for (const dns::Service& service : names.look_up(name).services) found.push_back(service.port);
    std::sort(found.begin(), found.end());
    return found;
  }

  State state;
  DnsNames names{state, {.scheduler_addresses = {"10.9.9.9"}, .server_addresses = {"127.0.0.1"}}};
};

TEST_F(DnsNamesTest, AnAppHasTheNamesThatMesosDnsGaveIt) {
  set(endpoint("/shop/web", 1));
  for (const char* name : {"web.shop.marathon.mesos", "web-shop.marathon.mesos", "web.shop.marathon.slave.mesos",
                           "web-shop.marathon.slave.mesos"})
    EXPECT_EQ(addresses(name), Strings{"10.0.0.1"}) << name;
  for (const char* name :
       {"_web.shop._tcp.marathon.mesos", "_web-shop._tcp.marathon.mesos", "_http._web.shop._tcp.marathon.mesos",
        "_http._web-shop._tcp.marathon.mesos", "_web-shop._tcp.marathon.slave.mesos"})
    EXPECT_EQ(ports(name), std::vector<int>{31001}) << name;
  const dns::Service service = names.look_up("_web.shop._tcp.marathon.mesos").services.at(0);
  EXPECT_EQ(service.target, "ip-10-0-0-1.slave.mesos");
  EXPECT_EQ(service.target_address, "10.0.0.1");
}

TEST_F(DnsNamesTest, WhatIsBetweenExistsAndTheRestDoesNot) {
  set(endpoint("/shop/web", 1));
  for (const char* name : {"mesos", "marathon.mesos", "shop.marathon.mesos", "_tcp.marathon.mesos", "slave.mesos"})
    EXPECT_TRUE(exists(name)) << name;
  for (const char* name : {"web.marathon.mesos", "x.web.shop.marathon.mesos", "_udp.marathon.mesos", "other.mesos"})
    EXPECT_FALSE(exists(name)) << name;
}

TEST_F(DnsNamesTest, NamesGoWithTheLastTask) {
  const std::size_t before = names.names();
  set(endpoint("/shop/web", 1));
  set(endpoint("/shop/web", 2));
  remove(endpoint("/shop/web", 1));
  EXPECT_EQ(addresses("web.shop.marathon.mesos"), Strings{"10.0.0.2"});
  remove(endpoint("/shop/web", 2));
  EXPECT_FALSE(exists("web.shop.marathon.mesos"));
  EXPECT_FALSE(exists("shop.marathon.mesos"));
  EXPECT_EQ(names.names(), before);
}

TEST_F(DnsNamesTest, ADrainingTaskLeavesAtOnce) {
  set(endpoint("/web", 1));
  set(endpoint("/web", 2));
  set(endpoint("/web", 1, model::EndpointState::draining));
  EXPECT_EQ(addresses("web.marathon.mesos"), Strings{"10.0.0.2"});
  remove(endpoint("/web", 1));
  EXPECT_EQ(ports("_web._tcp.marathon.mesos"), std::vector<int>{31002});
}

TEST_F(DnsNamesTest, TasksWhoseChecksFailAreToldOnlyWhenThereIsNobodyElse) {
  set(endpoint("/web", 1, model::EndpointState::down));
  EXPECT_EQ(addresses("web.marathon.mesos"), Strings{"10.0.0.1"});
  set(endpoint("/web", 2));
  EXPECT_EQ(addresses("web.marathon.mesos"), Strings{"10.0.0.2"});
  EXPECT_EQ(ports("_web._tcp.marathon.mesos"), std::vector<int>{31002});
  set(endpoint("/web", 1));
  EXPECT_EQ(addresses("web.marathon.mesos"), (Strings{"10.0.0.1", "10.0.0.2"}));
}

TEST_F(DnsNamesTest, PortsHaveNamesAndProtocols) {
  model::Endpoint udp = endpoint("/web", 1);
  udp.port = 1;
  udp.host_port = 31500;
  udp.port_name = "stats";
  udp.is_udp = true;
  set(endpoint("/web", 1));
  set(udp);
  EXPECT_EQ(ports("_web._tcp.marathon.mesos"), std::vector<int>{31001});
  EXPECT_EQ(ports("_web._udp.marathon.mesos"), std::vector<int>{31500});
  EXPECT_EQ(ports("_stats._web._udp.marathon.mesos"), std::vector<int>{31500});
  EXPECT_FALSE(exists("_stats._web._tcp.marathon.mesos"));
}

TEST_F(DnsNamesTest, AnExactNameBeatsOneMadeUpAndNobodyGetsOneThatSeveralMadeUp) {
  set(endpoint("/shop/web", 1));
  set(endpoint("/web-shop", 2));
  EXPECT_EQ(addresses("web-shop.marathon.mesos"), Strings{"10.0.0.2"});
  remove(endpoint("/web-shop", 2));
  EXPECT_EQ(addresses("web-shop.marathon.mesos"), Strings{"10.0.0.1"});
  set(endpoint("/b-c/a", 3));
  set(endpoint("/c/a-b", 4));
  EXPECT_TRUE(exists("a-b-c.marathon.mesos"));
  EXPECT_EQ(addresses("a-b-c.marathon.mesos"), Strings{});
  EXPECT_EQ(addresses("a.b-c.marathon.mesos"), Strings{"10.0.0.3"});
}

TEST_F(DnsNamesTest, TheSchedulerTheServerAndTheAgentsHaveNames) {
  for (int i = 1; i <= 3; ++i) {
    Agent& agent = state.agents["a" + std::to_string(i)];
    agent.registration.host = "10.0.0." + std::to_string(i);
    agent.registration.api = agent.registration.host + ":5051";
    agent.health = i == 3 ? AgentHealth::lost : AgentHealth::live;
  }
  for (const char* name : {"leader.mesos", "master.mesos", "marathon.mesos"})
    EXPECT_EQ(addresses(name), Strings{"10.9.9.9"}) << name;
  EXPECT_EQ(addresses("ns1.mesos"), Strings{"127.0.0.1"});
  EXPECT_EQ(ports("_leader._tcp.mesos"), std::vector<int>{8080});
  EXPECT_EQ(ports("_framework._tcp.marathon.mesos"), std::vector<int>{8080});
  EXPECT_EQ(addresses("slave.mesos"), (Strings{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(ports("_slave._tcp.mesos"), (std::vector<int>{5051, 5051}));
  EXPECT_EQ(addresses("ip-10-0-0-2.slave.mesos"), Strings{"10.0.0.2"});
  EXPECT_FALSE(exists("ip-10-0-0-9.slave.mesos"));
}

TEST_F(DnsNamesTest, NamesThatDnsCannotHoldAreCutOrLeftOut) {
  EXPECT_EQ(dns_app_name("/a.b/c").labels, "c.a-b");
  EXPECT_FALSE(dns_app_name("/a.b/c").is_exact);
  EXPECT_EQ(dns_app_name("/" + std::string(80, 'x')).labels, std::string(63, 'x'));
  std::string deep;
  for (int i = 0; i < 6; ++i) deep += "/" + std::string(60, 'x');
  set(endpoint(deep, 1));
  remove(endpoint(deep, 1));
}

TEST_F(DnsNamesTest, ATableReplacesTheOneBefore) {
  set(endpoint("/old", 1));
  const std::uint32_t serial = names.serial();
  names.reset({endpoint("/new", 2)});
  EXPECT_FALSE(exists("old.marathon.mesos"));
  EXPECT_EQ(addresses("new.marathon.mesos"), Strings{"10.0.0.2"});
  EXPECT_GT(names.serial(), serial);
}

}  // namespace
}  // namespace lotse::scheduler

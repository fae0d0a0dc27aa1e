// DNS as part of the scheduler: over real sockets, with agents and proxies that speak the protocol.
#include "scheduler/server/dns_service.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "net/udp.h"
#include "tests/scheduler/server/cluster_fixture.h"

namespace lotse::scheduler {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class DnsServiceTest : public ClusterTest {
 protected:
  void SetUp() override {
    options_.dns.listen = "127.0.0.1:0";
    options_.dns.ttl = 1s;
    start();
    auto on_datagram = [this](std::span<const char> bytes, const net::Address&) {
      received_.assign(bytes.data(), bytes.size());
    };
    auto socket = net::UdpSocket::open(loop_, *net::Address::parse("127.0.0.1:0"), on_datagram);
    ASSERT_TRUE(socket);
    socket_ = std::move(*socket);
  }
  dns::DecodedResponse ask(const std::string& name, dns::Type type = dns::Type::a) {
    received_.clear();
    socket_->send(scheduler_->dns_address(), dns::encode_query({.name = name, .type = type}));
    EXPECT_TRUE(wait_until([&] { return !received_.empty(); }));
    return dns::decode_response(received_).value_or(dns::DecodedResponse{});
  }

  std::string received_;
  std::unique_ptr<net::UdpSocket> socket_;
};

TEST_F(DnsServiceTest, AnAppIsToldFromWhenItIsReady) {
  add_agent("node-1");
  EXPECT_EQ(ask("web.shop.marathon.mesos").rcode, 3U);
  put_app("/shop/web", hello());
  ASSERT_TRUE(wait_until_deployed());
  EXPECT_EQ(ask("web.shop.marathon.mesos").answer, Lines{"web.shop.marathon.mesos. 1 IN A 10.0.0.1"});
  const auto services = ask("_http._web.shop._tcp.marathon.mesos", dns::Type::srv);
  EXPECT_EQ(services.answer.size(), 1U);
  EXPECT_EQ(services.additional, Lines{"ip-10-0-0-1.slave.mesos. 1 IN A 10.0.0.1"});
  EXPECT_NE(peer_->fetch("GET", "/metrics/prometheus").body.find("lotse_dns_queries_total{protocol=\"udp\"} 3"),
            std::string::npos);
}

TEST_F(DnsServiceTest, ATaskLeavesDnsAtOnceAndIsStoppedOneTtlLater) {
  FakeAgent& agent = add_agent("node-1");
  put_app("/web", hello());
  ASSERT_TRUE(wait_until_deployed());
  agent.commands.clear();
  const auto began = loop_.clock().now();
  peer_->fetch("DELETE", "/v2/apps/web");
  EXPECT_EQ(ask("web.marathon.mesos").rcode, 3U);
  EXPECT_TRUE(agent.commands.empty());
  ASSERT_TRUE(wait_until([&] { return agent.running.empty(); }));
  EXPECT_GE(loop_.clock().now() - began, 1s);
}

TEST_F(DnsServiceTest, ARestartTellsWhatWasTold) {
  add_agent("node-1");
  put_app("/web", hello());
  ASSERT_TRUE(wait_until_deployed());
  socket_.reset();
  stop();
  SetUp();
  EXPECT_EQ(ask("web.marathon.mesos").answer.size(), 1U);
}

}  // namespace
}  // namespace lotse::scheduler

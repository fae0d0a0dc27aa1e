// The server over real sockets.
#include "dns/server.h"

#include <gtest/gtest.h>

#include "tests/dns/fake_names.h"
#include "tests/net/net_fixture.h"

namespace lotse::dns {
namespace {

using net::Peer;

class DnsServer : public net::NetTest {
 protected:
  void start(ServerOptions options = {}) {
    names.names["web.marathon.mesos"] = {.exists = true, .addresses = {"10.0.0.1"}};
    NameFacts& many = names.names["many.marathon.mesos"];
    many.exists = true;
    for (int i = 0; i < 200; ++i) many.addresses.push_back("10.0.1." + std::to_string(i));
    auto opened = Server::open(loop, *net::Address::parse("127.0.0.1:0"), names, options);
    ASSERT_TRUE(opened);
    server = std::move(*opened);
  }
  static std::string query(const std::string& name, std::uint16_t id = 1) {
    return encode_query({.id = id, .name = name, .type = Type::a});
  }
  static std::string framed(const std::string& message) {
    return {std::string{static_cast<char>(message.size() >> 8), static_cast<char>(message.size() & 0xff)} + message};
  }
  DecodedResponse ask_udp(const std::string& message) {
    std::string received;
    auto on_datagram = [&](std::span<const char> bytes, const net::Address&) {
      received.assign(bytes.data(), bytes.size());
    };
    auto socket = net::UdpSocket::open(loop, *net::Address::parse("127.0.0.1:0"), on_datagram);
    EXPECT_TRUE(socket);
    EXPECT_TRUE((*socket)->send(server->address(), message));
    run_until([&] { return !received.empty(); });
    return decode_response(received).value_or(DecodedResponse{});
  }
  std::vector<DecodedResponse> answers_of(const Peer& peer) {
    std::vector<DecodedResponse> answers;
    std::string_view rest = peer.received;
    while (rest.size() >= 2) {
      const std::size_t length =
          static_cast<std::size_t>(static_cast<std::uint8_t>(rest[0])) << 8 | static_cast<std::uint8_t>(rest[1]);
      if (rest.size() < 2 + length) break;
      answers.push_back(decode_response(rest.substr(2, length)).value_or(DecodedResponse{}));
      rest.remove_prefix(2 + length);
    }
    return answers;
  }
  void connect(Peer& peer) {
    peer.stream = net::connect(loop, server->address(), peer);
    peer.stream->start_reading();
  }

  FakeNames names;
  std::unique_ptr<Server> server;
};

TEST_F(DnsServer, AnswersByUdpAndTcpOnOnePort) {
  start();
  EXPECT_EQ(ask_udp(query("web.marathon.mesos")).answer.size(), 1U);
  Peer peer;
  connect(peer);
  peer.stream->write(framed(query("many.marathon.mesos")));
  run_until([&] { return !answers_of(peer).empty(); });
  EXPECT_EQ(answers_of(peer)[0].answer.size(), 200U);
  EXPECT_EQ(server->counters().udp_queries, 1U);
  EXPECT_EQ(server->counters().tcp_queries, 1U);
}

TEST_F(DnsServer, TruncatesByUdp) {
  start();
  EXPECT_TRUE(ask_udp(query("many.marathon.mesos")).is_truncated);
  EXPECT_EQ(server->counters().truncated, 1U);
}

TEST_F(DnsServer, AChangeIsSeenByTheNextQuery) {
  start();
  EXPECT_EQ(ask_udp(query("web.marathon.mesos")).answer.size(), 1U);
  names.names["web.marathon.mesos"].addresses.push_back("10.0.0.2");
  EXPECT_EQ(ask_udp(query("web.marathon.mesos")).answer.size(), 2U);
}

TEST_F(DnsServer, GarbageByUdpIsAnsweredOrDroppedAndTheNextQueryIsServed) {
  start();
  auto socket = net::UdpSocket::open(loop, *net::Address::parse("127.0.0.1:0"), [](auto, const auto&) {});
  ASSERT_TRUE(socket);
  (*socket)->send(server->address(), "x");
  (*socket)->send(server->address(), std::string(3000, '\xff'));
  (*socket)->send(server->address(), query("web.marathon.mesos").substr(0, 20));
  EXPECT_EQ(ask_udp(query("web.marathon.mesos")).answer.size(), 1U);
  EXPECT_EQ(server->counters().malformed, 3U);
}

TEST_F(DnsServer, QueriesMayComeManyAtOnceAndInPieces) {
  start();
  Peer peer;
  connect(peer);
  std::string all;
  for (std::uint16_t id = 1; id <= 50; ++id) all += framed(query("web.marathon.mesos", id));
  for (char byte : all) peer.stream->write(std::string_view(&byte, 1));
  run_until([&] { return answers_of(peer).size() == 50; });
  for (std::uint16_t id = 1; id <= 50; ++id) EXPECT_EQ(answers_of(peer)[id - 1U].id, id);
}

TEST_F(DnsServer, AnIdleConnectionIsClosedAndSoIsOneThatSpeaksNoDns) {
  start({.idle_max = std::chrono::milliseconds(50)});
  Peer idle, wrong;
  connect(idle);
  connect(wrong);
  wrong.stream->write("GET / HTTP/1.1\r\n\r\n");
  run_until([&] { return server->connections() == 0 && !idle.events.empty() && idle.events.back() != "connected"; });
}

TEST_F(DnsServer, AtTheBoundTheOldestConnectionGoes) {
  start({.connections_max = 2});
  Peer first, second, third;
  for (Peer* peer : {&first, &second, &third}) {
    connect(*peer);
    peer->stream->write(framed(query("web.marathon.mesos")));
    run_until([&] { return answers_of(*peer).size() == 1; });
  }
  EXPECT_EQ(server->connections(), 2U);
  EXPECT_EQ(server->counters().connections_closed, 1U);
}

TEST_F(DnsServer, WhoDoesNotReadItsAnswersIsNotReadEither) {
  start({.queued_bytes_max = 16 * 1024});
  Peer peer;
  peer.stream = net::connect(loop, server->address(), peer);
  std::string all;
  for (std::uint16_t id = 1; id <= 4000; ++id) all += framed(query("many.marathon.mesos", id));
  peer.stream->write(all);
  std::uint64_t before = 0;
  int still = 0;
  run_until([&] {
    const std::uint64_t now = server->counters().tcp_queries;
    still = now == before && now > 0 ? still + 1 : 0;
    before = now;
    return still > 50;
  });
  EXPECT_LT(server->counters().tcp_queries, 4000U);
  peer.stream->start_reading();
  run_until([&] { return server->counters().tcp_queries == 4000; });
}

TEST(DnsRateLimit, ANetworkGetsSoManyAnswersASecond) {
  RateLimit limit(2);
  const Instant now{std::chrono::hours(1)};
  EXPECT_TRUE(limit.takes("10.0.0.1", now));
  EXPECT_TRUE(limit.takes("10.0.0.2", now));
  EXPECT_FALSE(limit.takes("10.0.0.3", now));
  EXPECT_TRUE(limit.takes("10.0.1.1", now));
  EXPECT_TRUE(limit.takes("10.0.0.1", now + std::chrono::seconds(1)));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.takes("127.0.0.1", now));
}

}  // namespace
}  // namespace lotse::dns

#include "net/stream.h"

#include <sys/socket.h>

#include <array>
#include <string>

#include "base/random.h"
#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

using Events = std::vector<std::string>;

// TCP and unix sockets keep the same promises.
class StreamTest : public NetTest, public testing::WithParamInterface<const char*> {
 protected:
  std::string address() { return std::string(GetParam()) == "tcp" ? "127.0.0.1:0" : "unix:" + folder.path() + "/s"; }
  void connect_pair_here() { connect_pair(client, server, address()); }

  TemporaryFolder folder;
  Peer client, server;
};
INSTANTIATE_TEST_SUITE_P(Sockets, StreamTest, testing::Values("tcp", "unix"),
                         [](const auto& kind) { return kind.param; });

std::string random_bytes(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.next());
  return bytes;
}

TEST_P(StreamTest, CarriesBytesBothWays) {
  connect_pair_here();
  client.stream->start_reading();
  server.stream->start_reading();
  EXPECT_TRUE(client.stream->is_reading());
  client.stream->write("ping");
  std::array<std::string_view, 4> pieces{"po", "", "n", "g"};
  server.stream->write(pieces);
  run_until([&] { return client.received == "pong" && server.received == "ping"; });
  EXPECT_EQ(client.stream->queued_bytes(), 0U);
}

TEST_P(StreamTest, SaysNothingUntilItReads) {
  connect_pair_here();
  client.stream->write("early");
  for (int i = 0; i < 20; ++i) loop.run_once_ready();
  EXPECT_EQ(server.received, "");
  server.stream->start_reading();
  run_until([&] { return server.received == "early"; });
}

TEST_P(StreamTest, TakesBytesBeforeItIsConnected) {
  auto listener = listen(address(), [&](std::unique_ptr<Stream> accepted) {
    server.adopt(std::move(accepted));
    server.stream->start_reading();
  });
  client.stream = connect(loop, listener->address(), client);
  client.stream->write("head ");
  client.stream->write("body");
  client.stream->start_reading();
  client.stream->shutdown();
  EXPECT_EQ(client.stream->queued_bytes(), 9U);
  run_until([&] { return server.events == Events{"bytes", "end"}; });
  EXPECT_EQ(server.received, "head body");
  EXPECT_EQ(client.events.front(), "connected");
}

TEST_P(StreamTest, QueuesForAReaderThatStoppedAndKeepsEveryByteInOrder) {
  connect_pair_here();
  server.stream->start_reading();
  server.stream->stop_reading();
  std::string sent;
  for (std::uint64_t i = 0; i < 400; ++i) {
    std::string piece = random_bytes(1 + i * 97 % 70'000, i);
    client.stream->write(piece);
    sent += piece;
    if (i % 50 == 0) loop.run_once_ready();
  }
  for (int i = 0; i < 20; ++i) loop.run_once_ready();
  EXPECT_GT(client.stream->queued_bytes(), 1'000'000U);
  EXPECT_EQ(server.received, "");
  EXPECT_TRUE(client.events.empty());

  // The reader goes on in bursts, as one with watermarks does.
  bool whole = false;
  Timer go_on(loop.timers(), [&] { server.stream->start_reading(); });
  std::size_t stop_at = 500'000;
  server.on_bytes_hook = [&] {
    whole = server.received.size() == sent.size();
    if (server.received.size() < stop_at) return;
    stop_at += 500'000;
    server.stream->stop_reading();
    go_on.start(1ms);
  };
  server.stream->start_reading();
  run_until([&] { return whole; });
  EXPECT_TRUE(server.received == sent);
  run_until([&] { return !client.events.empty(); });
  EXPECT_EQ(client.events, Events{"drained"});
  EXPECT_EQ(client.stream->queued_bytes(), 0U);
}

TEST_P(StreamTest, StopsWithinTheCallbackItIsToldIn) {
  connect_pair_here();
  server.on_bytes_hook = [&] { server.stream->stop_reading(); };
  server.stream->start_reading();
  std::string sent = random_bytes(1'000'000, 1);
  client.stream->write(sent);
  run_until([&] { return !server.received.empty(); });
  std::size_t after_one = server.received.size();
  for (int i = 0; i < 20; ++i) loop.run_once_ready();
  EXPECT_EQ(server.received.size(), after_one);
  EXPECT_LE(after_one, loop.read_buffer().size());
}

TEST_P(StreamTest, WritesMorePiecesThanOneSystemCallTakes) {
  connect_pair_here();
  server.stream->start_reading();
  std::string source = random_bytes(3000, 5);
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < source.size(); i += 3) pieces.push_back(std::string_view(source).substr(i, 3));
  client.stream->write(pieces);
  run_until([&] { return server.received.size() >= source.size(); });
  EXPECT_EQ(server.received, source);
}

TEST_P(StreamTest, ASmallWriteLeavesNothingBehind) {
  connect_pair_here();
  client.stream->write("small");
  EXPECT_EQ(client.stream->queued_bytes(), 0U);
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_TRUE(client.events.empty()) << "on_drained is for writes that left some";
}

TEST_P(StreamTest, HalfClosesAfterTheQueuedBytes) {
  connect_pair_here();
  std::string big = random_bytes(3'000'000, 2);
  client.stream->write(big);
  client.stream->write("last");
  client.stream->shutdown();
  client.stream->write("ignored");
  client.stream->start_reading();
  server.stream->start_reading();
  run_until([&] { return !server.events.empty() && server.events.back() == "end"; });
  EXPECT_TRUE(server.received == big + "last");
  EXPECT_FALSE(server.stream->is_reading());
  server.stream->write("still open this way");
  run_until([&] { return client.received == "still open this way"; });
  server.stream->shutdown();
  run_until([&] { return client.events.back() == "end"; });
  client.stream->start_reading();  // nothing more comes: the end is told once
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  std::erase(client.events, "drained");  // if the socket did not take it all at once
  EXPECT_EQ(client.events, (Events{"bytes", "end"}));
}

TEST_P(StreamTest, DestroyingItEndsThePeersStream) {
  connect_pair_here();
  server.stream->start_reading();
  client.stream.reset();
  run_until([&] { return server.events == Events{"end"}; });
}

TEST_P(StreamTest, ReportsAFailedWriteLaterAndOnce) {
  connect_pair_here();
  server.stream.reset();
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  bool is_writing = true;
  client.on_error_hook = [&] { EXPECT_FALSE(is_writing); };
  for (int i = 0; i < 100 && client.errors.empty(); ++i) {
    is_writing = true;
    client.stream->write("into the void");
    client.stream->write("into the void");
    is_writing = false;
    loop.run_once_ready();
  }
  ASSERT_EQ(client.errors.size(), 1U);
  EXPECT_EQ(client.errors[0].code, Errc::connection_reset);
  EXPECT_EQ(client.errors[0].retry, Retry::on_reused_connection);
  client.stream->write("no more");
  client.stream->start_reading();
  client.stream->shutdown();
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_EQ(client.events, Events{"error: connection reset by the peer"});
}

// A server that refuses an upload answers early and closes; the answer must not be lost to our failing write.
TEST_P(StreamTest, DeliversWhatThePeerSentBeforeAWriteFailed) {
  connect_pair_here();
  server.stream->write("413 too large");
  server.stream.reset();
  client.stream->start_reading();
  for (int i = 0; i < 3; ++i) client.stream->write("upload");  // the second fails, if not the first
  run_until([&] { return client.events.size() >= 2; });
  EXPECT_EQ(client.received, "413 too large");
  EXPECT_EQ(client.events[0], "bytes");
}

TEST_P(StreamTest, AWriteErrorIsToldEvenIfReadingStops) {
  connect_pair_here();
  server.stream.reset();
  client.stream->start_reading();
  for (int i = 0; i < 3; ++i) client.stream->write("void");
  client.stream->stop_reading();
  for (int i = 0; i < 3 && client.errors.empty(); ++i) {
    loop.run_once_ready();
    client.stream->write("void");
  }
  run_until([&] { return !client.errors.empty(); });
}

TEST_P(StreamTest, KnowsBothEnds) {
  connect_pair_here();
  EXPECT_EQ(client.stream->peer(), server.stream->local());
  if (std::string(GetParam()) == "tcp") {
    EXPECT_EQ(client.stream->local(), server.stream->peer());
    EXPECT_EQ(server.stream->peer().ip(), "127.0.0.1");
  } else {
    EXPECT_TRUE(server.stream->peer().is_unix());
    EXPECT_EQ(client.stream->peer().to_string(), "unix:" + folder.path() + "/s");
  }
}

TEST_P(StreamTest, RefusedWhereNobodyListens) {
  std::string where = address();
  if (std::string(GetParam()) == "tcp") {
    auto fd = make_listening_socket(*Address::parse(where));
    where = local_address(fd->get()).to_string();  // closed again: nobody listens there
  }
  client.stream = connect(loop, *Address::parse(where), client);
  client.stream->start_reading();
  client.stream->write("unsent");
  EXPECT_TRUE(client.events.empty());
  run_until([&] { return !client.events.empty(); });
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_EQ(client.events, Events{"error: connection refused"});
  EXPECT_EQ(client.errors[0].retry, Retry::always);
}

TEST_P(StreamTest, DestroyingItCancelsTheConnect) {
  auto listener = listen(address(), [&](std::unique_ptr<Stream> accepted) { server.adopt(std::move(accepted)); });
  client.stream = connect(loop, listener->address(), client);
  client.stream->write("x");
  client.stream->shutdown();
  client.stream.reset();
  for (int i = 0; i < 10; ++i) loop.run_once_ready();
  EXPECT_TRUE(client.events.empty());
}

TEST_P(StreamTest, DestroyedWithBytesQueuedJustGoes) {
  connect_pair_here();
  client.stream->write(std::string(20'000'000, 'x'));
  client.stream->write(std::string(1000, 'x'));
  client.stream->shutdown();
  EXPECT_GT(client.stream->queued_bytes(), 0U);
  client.stream.reset();
  for (int i = 0; i < 10; ++i) loop.run_once_ready();
  EXPECT_TRUE(client.events.empty());
}

TEST_P(StreamTest, ResetSaysNothingMoreAndTakesNothingMore) {
  connect_pair_here();
  client.stream->start_reading();
  client.stream->write(std::string(20'000'000, 'x'));
  server.stream->start_reading();
  client.stream->reset();
  client.stream->write("ignored");
  client.stream->start_reading();
  client.stream->stop_reading();
  client.stream->shutdown();
  client.stream->reset();
  EXPECT_FALSE(client.stream->is_reading());
  EXPECT_EQ(client.stream->queued_bytes(), 0U);
  EXPECT_TRUE(client.stream->local().is_empty());
  run_until([&] { return !server.events.empty() && server.events.back() != "bytes"; });
  if (std::string(GetParam()) == "tcp") {
    EXPECT_EQ(server.events.back(), "error: connection reset by the peer");
  }
  EXPECT_TRUE(client.events.empty());
}

// Every callback may destroy the stream it comes from.
TEST_P(StreamTest, MayBeDestroyedInOnConnected) {
  auto listener = listen(address(), [&](std::unique_ptr<Stream> accepted) { server.adopt(std::move(accepted)); });
  client.stream = connect(loop, listener->address(), client);
  client.stream->write(std::string(10'000'000, 'x'));
  client.on_connected_hook = [&] { client.stream.reset(); };
  run_until([&] { return !client.events.empty(); });
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_EQ(client.events, Events{"connected"});
}

TEST_P(StreamTest, MayBeDestroyedInOnBytes) {
  connect_pair_here();
  server.on_bytes_hook = [&] { server.stream.reset(); };
  server.stream->start_reading();
  client.stream->write(std::string(200'000, 'x'));
  run_until([&] { return !server.events.empty(); });
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_EQ(server.events, Events{"bytes"});
  EXPECT_LE(server.received.size(), loop.read_buffer().size());
}

TEST_P(StreamTest, MayBeResetInOnBytes) {
  connect_pair_here();
  server.on_bytes_hook = [&] { server.stream->reset(); };
  server.stream->start_reading();
  client.stream->write(std::string(200'000, 'x'));
  run_until([&] { return !server.events.empty(); });
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_EQ(server.events, Events{"bytes"});
}

TEST_P(StreamTest, MayBeDestroyedInOnEnd) {
  connect_pair_here();
  server.on_end_hook = [&] { server.stream.reset(); };
  server.stream->start_reading();
  client.stream->shutdown();
  run_until([&] { return !server.events.empty(); });
  EXPECT_EQ(server.events, Events{"end"});
}

TEST_P(StreamTest, MayBeDestroyedInOnDrained) {
  connect_pair_here();
  client.on_drained_hook = [&] { client.stream.reset(); };
  server.stream->start_reading();
  client.stream->write(std::string(20'000'000, 'x'));
  run_until([&] { return !client.events.empty(); });
  EXPECT_EQ(client.events, Events{"drained"});
}

TEST_P(StreamTest, MayBeDestroyedInOnErrorOfAFailedConnect) {
  client.stream = connect(loop, *Address::parse("unix:" + folder.path() + "/nobody"), client);
  client.stream->write("x");
  client.on_error_hook = [&] { client.stream.reset(); };
  run_until([&] { return !client.events.empty(); });
  EXPECT_EQ(client.stream, nullptr);
}

TEST_P(StreamTest, MayBeDestroyedInOnErrorOfAFailedWrite) {
  connect_pair_here();
  client.on_error_hook = [&] { client.stream.reset(); };
  client.stream->write(std::string(20'000'000, 'x'));
  server.stream->start_reading();
  run_until([&] { return !server.received.empty(); });
  server.stream->reset();
  run_until([&] { return !client.events.empty(); });
  EXPECT_EQ(client.stream, nullptr);
  EXPECT_EQ(client.errors.size(), 1U);
}

TEST_P(StreamTest, MayBeDestroyedWhileAnErrorWaitsToBeReported) {
  connect_pair_here();
  server.stream.reset();
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  for (int i = 0; i < 3; ++i) client.stream->write("void");
  client.stream.reset();
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_TRUE(client.events.empty());
}

TEST_F(NetTest, AConnectThatFailsAtOnceIsReportedFromTheLoop) {
  Peer client;
  client.stream = connect(loop, Address(), client);
  client.stream->start_reading();
  client.stream->write("x");
  EXPECT_TRUE(client.events.empty());
  run_until([&] { return !client.events.empty(); });
  EXPECT_EQ(client.errors[0].retry, Retry::always);
  EXPECT_EQ(client.stream->queued_bytes(), 0U);

  Peer other;
  other.stream = connect(loop, *Address::parse("unix:@lotse-test-nobody"), other);
  other.stream.reset();  // before it is reported
  for (int i = 0; i < 5; ++i) loop.run_once_ready();
  EXPECT_TRUE(other.events.empty());
}

TEST_F(NetTest, APeersResetIsAnError) {
  Peer client, server;
  connect_pair(client, server);
  server.stream->start_reading();
  client.stream->reset();
  run_until([&] { return !server.events.empty(); });
  EXPECT_EQ(server.events, Events{"error: connection reset by the peer"});
  EXPECT_EQ(server.errors[0].origin, Origin::local);
  EXPECT_EQ(server.errors[0].uv_code, -ECONNRESET);
}

TEST_F(NetTest, ResetsAlsoAfterAHalfClose) {
  Peer client, server;
  connect_pair(client, server);
  server.stream->start_reading();
  client.stream->shutdown();
  run_until([&] { return server.events == Events{"end"}; });
  server.stream->write("x");
  client.stream->reset();
  for (int i = 0; i < 100 && server.errors.empty(); ++i) {
    server.stream->write("x");
    loop.run_once_ready();
  }
  EXPECT_EQ(server.errors.size(), 1U);
}

TEST_F(NetTest, ConnectsOverIpv6) {
  auto fd = make_listening_socket(*Address::parse("[::1]:0"));
  if (!fd && fd.error().code == Errc::unreachable) GTEST_SKIP() << "this machine has no IPv6";
  Peer client, server;
  connect_pair(client, server, "[::1]:0");
  EXPECT_EQ(server.stream->peer().ip(), "::1");
}

TEST_F(NetTest, AdoptsASocketpair) {
  std::array<int, 2> fds{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  Peer a, b;
  auto first = adopt_stream(loop, fds[0]), second = adopt_stream(loop, fds[1]);
  ASSERT_TRUE(first && second);
  a.adopt(std::move(*first));
  b.adopt(std::move(*second));
  b.stream->start_reading();
  a.stream->write("across");
  run_until([&] { return b.received == "across"; });
}

TEST_F(NetTest, RefusesToAdoptWhatIsNoSocketAndClosesIt) {
  std::array<int, 2> fds{};
  ASSERT_EQ(pipe(fds.data()), 0);
  UniqueFd other(fds[1]);
  EXPECT_FALSE(adopt_stream(loop, fds[0]));
  EXPECT_EQ(write(other.get(), "x", 1), -1);  // EPIPE: its reader was closed
  EXPECT_FALSE(adopt_stream(loop, -1));
}

TEST_F(NetTest, AListenerThatTakesOverHearsTheRest) {
  Peer client, server, successor;
  connect_pair(client, server);
  server.on_bytes_hook = [&] { successor.adopt(std::move(server.stream)); };
  server.stream->start_reading();
  client.stream->write("first");
  run_until([&] { return successor.stream != nullptr; });
  client.stream->write("second");
  run_until([&] { return successor.received == "second"; });
  EXPECT_EQ(server.received, "first");
}

}  // namespace
}  // namespace lotse::net

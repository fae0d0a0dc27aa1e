#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/log.h"
#include "net/listen.h"
#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

class ListenerTest : public NetTest {
 protected:
  // `count` blocking connects that sit in the kernel's queue.
  std::vector<UniqueFd> queue_clients(const Address& address, int count) {
    std::vector<UniqueFd> clients;
    for (int i = 0; i < count; ++i) {
      clients.emplace_back(::socket(address.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(clients.back().get(), address.raw(), address.length()), 0);
    }
    return clients;
  }
  void turn(int times = 10) {
    for (int i = 0; i < times; ++i) loop.run_once_ready();
  }

  std::vector<std::unique_ptr<Stream>> accepted;
  std::function<void(std::unique_ptr<Stream>)> keep = [this](std::unique_ptr<Stream> stream) {
    accepted.push_back(std::move(stream));
  };
};

TEST(MakeListeningSocket, PicksAPortForPort0) {
  auto fd = make_listening_socket(*Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(fd);
  EXPECT_EQ(local_address(fd->get()).ip(), "127.0.0.1");
  EXPECT_NE(local_address(fd->get()).port(), 0);
  EXPECT_TRUE(fcntl(fd->get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC);
}

TEST(MakeListeningSocket, SaysThatTheAddressIsTaken) {
  auto first = make_listening_socket(*Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(first);
  auto second = make_listening_socket(local_address(first->get()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::address_in_use);
}

TEST(MakeListeningSocket, SharesAnAddressWithReusePort) {
  auto first = make_listening_socket(*Address::parse("127.0.0.1:0"), {.reuse_port = true});
  ASSERT_TRUE(first);
  EXPECT_TRUE(make_listening_socket(local_address(first->get()), {.reuse_port = true}));
}

TEST(MakeListeningSocket, RefusesAnAddressOfAnotherMachine) {
  auto fd = make_listening_socket(*Address::parse("192.0.2.1:0"));  // TEST-NET-1, RFC 5737
  ASSERT_FALSE(fd);
  EXPECT_EQ(fd.error().code, Errc::unreachable);
  EXPECT_FALSE(make_listening_socket(Address()));
}

TEST(MakeListeningSocket, ReplacesAUnixSocketThatNobodyListensOn) {
  TemporaryFolder folder;
  auto address = *Address::parse("unix:" + folder.path() + "/s");
  ASSERT_TRUE(make_listening_socket(address));  // and closed: its file stays
  auto second = make_listening_socket(address);
  ASSERT_TRUE(second);
  auto third = make_listening_socket(address);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Errc::address_in_use);
}

TEST(MakeListeningSocket, LeavesAFileThatIsNoSocketAlone) {
  TemporaryFolder folder;
  std::string path = folder.path() + "/s";
  std::ofstream(path) << "precious";
  EXPECT_FALSE(make_listening_socket(*Address::parse("unix:" + path)));
  std::string content;
  std::ifstream(path) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(ListenerTest, AcceptsWithNodelaySet) {
  auto listener = listen("127.0.0.1:0", [&](std::unique_ptr<Stream> stream) {
    EXPECT_FALSE(stream->is_reading());
    EXPECT_FALSE(stream->peer().is_empty());
    accepted.push_back(std::move(stream));
  });
  EXPECT_NE(listener->address().port(), 0);
  auto clients = queue_clients(listener->address(), 3);
  run_until([&] { return accepted.size() == 3; });
  // The accepted descriptors are not ours to see; they are those of this process that are connected to the listener.
  int seen = 0;
  for (int fd = 3; fd < 256; ++fd) {
    int value = 0;
    socklen_t length = sizeof value;
    if (local_address(fd) != listener->address()) continue;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) != 0 || value != 0) continue;
    ++seen;
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
    EXPECT_NE(value, 0);
    EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  }
  EXPECT_EQ(seen, 3);
}

TEST_F(ListenerTest, PausedItLeavesConnectionsToTheKernel) {
  auto listener = listen("127.0.0.1:0", keep);
  listener->pause();
  auto clients = queue_clients(listener->address(), 5);
  turn();
  EXPECT_EQ(accepted.size(), 0U);
  listener->resume();
  listener->resume();
  run_until([&] { return accepted.size() == 5; });
}

TEST_F(ListenerTest, PausedFromItsCallbackItStopsAtOnce) {
  std::unique_ptr<Listener> listener = listen("127.0.0.1:0", [&](std::unique_ptr<Stream> stream) {
    accepted.push_back(std::move(stream));
    listener->pause();
  });
  auto clients = queue_clients(listener->address(), 5);
  turn();
  EXPECT_EQ(accepted.size(), 1U);
  listener->resume();
  turn();
  EXPECT_EQ(accepted.size(), 2U);
}

TEST_F(ListenerTest, AcceptsAllThatIsQueuedForAFinalStop) {
  auto listener = listen("127.0.0.1:0", keep);
  listener->pause();
  auto clients = queue_clients(listener->address(), 200);
  EXPECT_TRUE(listener->accept_all_queued());
  EXPECT_EQ(accepted.size(), 200U);
  EXPECT_TRUE(listener->accept_all_queued());
  listener.reset();
  turn();
  EXPECT_EQ(accepted.size(), 200U);
}

// A stop without a reset: who has shaken hands is accepted, who comes later is neither accepted nor refused.
TEST_F(ListenerTest, IgnoresNewClientsWhileItTakesThoseThatWait) {
  for (const char* any : {"127.0.0.1:0", "[::1]:0"}) {
    accepted.clear();
    auto listener = listen(any, keep);
    listener->pause();
    const Address address = listener->address();
    auto clients = queue_clients(address, 5);
    ASSERT_TRUE(listener->ignore_new_clients());
    UniqueFd late(::socket(address.raw()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::connect(late.get(), address.raw(), address.length()), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_TRUE(listener->accept_all_queued());
    EXPECT_EQ(accepted.size(), 5U);
    listener.reset();
    pollfd events{late.get(), POLLOUT, 0};
    EXPECT_EQ(poll(&events, 1, 0), 0) << "neither connected nor refused";
    for (auto& client : clients) {
      char byte = 0;
      EXPECT_EQ(recv(client.get(), &byte, 1, MSG_DONTWAIT), -1);
      EXPECT_EQ(errno, EAGAIN) << "reset";
    }
  }
}

TEST_F(ListenerTest, AUnixListenerHasNoHandshakes) {
  TemporaryFolder folder;
  auto listener = listen("unix:" + folder.path() + "/s", keep);
  EXPECT_FALSE(listener->ignore_new_clients());
}

TEST_F(ListenerTest, AcceptsAllAlsoFromItsCallback) {
  std::unique_ptr<Listener> listener = listen("127.0.0.1:0", [&](std::unique_ptr<Stream> stream) {
    accepted.push_back(std::move(stream));
    if (accepted.size() > 1) return;
    EXPECT_FALSE(listener->accept_all_queued());
  });
  auto clients = queue_clients(listener->address(), 200);
  loop.run_once_ready();
  EXPECT_EQ(accepted.size(), 200U);
}

TEST_F(ListenerTest, LetsOthersRunBetweenManyAccepts) {
  auto listener = listen("127.0.0.1:0", keep);
  auto clients = queue_clients(listener->address(), 200);
  loop.run_once_ready();
  EXPECT_LT(accepted.size(), 200U);
  run_until([&] { return accepted.size() == 200; });
}

TEST_F(ListenerTest, MayBeDestroyedInItsCallback) {
  auto held = std::make_shared<int>(0);
  std::unique_ptr<Listener> listener;
  listener = listen("127.0.0.1:0", [&listener, held](std::unique_ptr<Stream>) {
    listener.reset();
    ++*held;  // the callback's captures live as long as it runs
  });
  auto clients = queue_clients(listener->address(), 3);
  turn();
  EXPECT_EQ(*held, 1);
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(ListenerTest, ClosesItsSocket) {
  auto listener = listen("127.0.0.1:0", keep);
  Address address = listener->address();
  listener.reset();
  EXPECT_TRUE(make_listening_socket(address));
}

TEST_F(ListenerTest, RefusesADescriptorThatCannotBeWatched) {
  TemporaryFolder folder;
  UniqueFd file(::open((folder.path() + "/file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_FALSE(Listener::open(loop, std::move(file), keep));
  EXPECT_FALSE(Listener::open(loop, UniqueFd(), keep));
}

// Out of descriptors: the clients wait in the kernel's queue, we wait 100 ms, and nobody is dropped.
TEST_F(ListenerTest, WaitsWhenDescriptorsRunOutAndDropsNobody) {
  auto listener = listen("127.0.0.1:0", keep);
  auto clients = queue_clients(listener->address(), 3);
  // UBSan looks at an object's type through a pipe the first time that it meets it, and soon there will be none to be
  // had.
  log::warn("net", "{}", "about to run out of descriptors");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<UniqueFd> fill;
  rlimit low = before;
  low.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  for (;;) {
    UniqueFd copy(dup(clients[0].get()));
    if (!copy) break;
    fill.push_back(std::move(copy));
  }
  std::uint64_t turns = loop.turns();
  Instant begin = loop.clock().now();
  bool is_over = false;
  Timer over(loop.timers(), [&] { is_over = true; });
  over.start(250ms);
  while (!is_over) loop.run_once();
  EXPECT_LT(loop.turns() - turns, 20U) << "it spins";
  EXPECT_GE(loop.clock().now() - begin, 250ms);
  EXPECT_EQ(accepted.size(), 0U);
  fill.clear();
  run_until([&] { return accepted.size() == 3; });
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  char byte = 0;
  for (auto& client : clients) EXPECT_EQ(recv(client.get(), &byte, 1, MSG_DONTWAIT), -1) << "dropped";
}

}  // namespace
}  // namespace lotse::net

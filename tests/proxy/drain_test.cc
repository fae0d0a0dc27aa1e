// Leaving: of tasks (the route barrier's acknowledgement), of listeners, and of the whole process.
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class DrainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "task-a");
    harness.apply({at(model::EndpointState::up)});
    harness.proxy->set_on_drained([this](const model::TaskId& task) { drained.push_back(task); });
  }
  model::Endpoint at(model::EndpointState state) {
    model::Endpoint one = Harness::endpoint("/app", *backend);
    one.state = state;
    return one;
  }
  void hold_requests() {
    backend->script = [this](Peer& peer) { backend->take_request(peer); };
  }
  bool run_until(const std::function<bool()>& is_true) { return harness.run_until(is_true); }

  Harness harness;
  std::unique_ptr<Backend> backend;
  std::vector<std::string> drained;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(DrainTest, ADrainingTaskIsReportedWhenItsLastRequestIsOver) {
  hold_requests();
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 8; ++i) {  // over both workers, most likely
    clients.push_back(harness.connect());
    clients.back()->send(kGet);
  }
  ASSERT_TRUE(run_until([&] { return backend->requests == 8; }));
  harness.apply({at(model::EndpointState::draining)});
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 8U);
  EXPECT_TRUE(drained.empty());
  for (std::size_t i = 0; i + 1 < 8; ++i) backend->peers[i]->send(Backend::ok("x"));
  ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("task-a") == 1; }));
  EXPECT_TRUE(drained.empty());
  backend->peers[7]->send(Backend::ok("x"));
  ASSERT_TRUE(run_until([&] { return !drained.empty(); }));
  EXPECT_EQ(drained.front(), "task-a");
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 0U);
  for (auto& one : clients) EXPECT_TRUE(one->received.ends_with("\r\n\r\nx"));
  // Its connections finish and close, none is kept.
  ASSERT_TRUE(run_until([&] { return harness.metric("lotse_upstream_connections") == 0; }));
}

TEST_F(DrainTest, ADrainingTaskGetsNoNewRequestAndItsIdleConnectionsClose) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  harness.apply({at(model::EndpointState::draining)});
  ASSERT_TRUE(run_until([&] { return backend->peers.front()->is_over(); }));
  EXPECT_TRUE(harness.ask(*client, kGet).starts_with("HTTP/1.1 503 "));
  EXPECT_EQ(backend->requests, 1U);
}

TEST_F(DrainTest, ARemovedTaskFinishesItsRequestsAndIsStillCounted) {
  hold_requests();
  auto client = harness.connect();
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  harness.apply({}, {at(model::EndpointState::up)});
  EXPECT_EQ(harness.proxy->in_flight("task-a"), 1U);
  backend->peers.front()->send(Backend::ok("done"));
  ASSERT_TRUE(run_until([&] { return client->received.ends_with("done"); }));
  ASSERT_TRUE(run_until([&] { return harness.proxy->in_flight("task-a") == 0 && backend->peers.front()->is_over(); }));
}

TEST_F(DrainTest, AnIdenticalChangeTouchesNoConnection) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  for (int i = 0; i < 20; ++i) harness.apply({at(model::EndpointState::up)}, {}, i % 2 == 0);
  harness.ask(*client, kGet);
  EXPECT_EQ(backend->accepted, 1U);
}

TEST_F(DrainTest, AStopFinishesWhatIsBegunAndClosesIdleConnections) {
  hold_requests();
  auto busy = harness.connect(), idle = harness.connect();
  busy->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1 && idle->is_connected; }));
  bool is_done = false;
  harness.proxy->drain(10s, [&] { is_done = true; });
  ASSERT_TRUE(run_until([&] { return idle->is_over(); }));
  EXPECT_FALSE(is_done);
  auto late = harness.connect();
  ASSERT_TRUE(run_until([&] { return late->is_over(); }));
  EXPECT_EQ(late->error.code, Errc::refused);
  backend->peers.front()->send(Backend::ok("last"));
  ASSERT_TRUE(run_until([&] { return is_done; }));
  ASSERT_TRUE(run_until([&] { return busy->is_over(); }));
  EXPECT_NE(busy->received.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(busy->received.ends_with("last"));
}

// Clients that connect as fast as they can while the process stops. Each counts itself answered, or, when it was not
// even connected, turned away; a connection that was made and then broken is what must not be.
struct Stormer {
  std::size_t answered = 0, turned_away = 0, broken = 0;

  void run(const net::Address& address) {
    while (turned_away == 0) {
      net::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      timeval patience{.tv_sec = 0, .tv_usec = 400'000};  // for the connect: a dropped SYN is sent again after 1 s
      setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
      if (::connect(fd.get(), address.raw(), address.length()) != 0) {
        ++turned_away;
        continue;
      }
      ask(fd.get()) ? ++answered : ++broken;
    }
  }
  static bool ask(int fd) {
    constexpr std::string_view kRequest = "GET /app HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    if (::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kRequest.size()))
      return false;
    std::string received;
    char buffer[1024];
    ssize_t count = 0;
    while ((count = ::recv(fd, buffer, sizeof buffer, 0)) > 0) received.append(buffer, static_cast<std::size_t>(count));
    return count == 0 && received.starts_with("HTTP/1.1 200 ") && received.ends_with("task-a");
  }
};

TEST_F(DrainTest, AStopAnswersEveryConnectionThatWasMade) {
  const net::Address address = harness.address();
  std::array<Stormer, 6> clients;
  std::atomic<std::size_t> left = clients.size();
  std::vector<std::thread> threads;
  for (Stormer& client : clients) {
    threads.emplace_back([&] {
      client.run(address);
      --left;
    });
  }
  EXPECT_TRUE(run_until([&] { return backend->requests > 100; }));
  bool is_done = false;
  harness.proxy->drain(20s, [&] { is_done = true; });
  EXPECT_TRUE(run_until([&] { return is_done && left == 0; }));
  for (std::thread& thread : threads) thread.join();
  for (const Stormer& client : clients) {
    EXPECT_EQ(client.broken, 0U);
    EXPECT_GT(client.answered, 0U);
  }
}

TEST_F(DrainTest, ARemovedListenerAnswersEveryConnectionThatWasMade) {
  harness.config.listeners.push_back(Harness::listener("other", "127.0.0.1:0"));
  harness.config.listeners.back().address = "127.0.0.1:00";  // another identity than the first one's
  ASSERT_TRUE(harness.reload());
  const net::Address address = harness.address(1);
  Stormer client;
  std::atomic<bool> is_over = false;
  std::thread thread([&] {
    client.run(address);
    is_over = true;
  });
  EXPECT_TRUE(run_until([&] { return backend->requests > 50; }));
  harness.config.listeners.pop_back();
  EXPECT_TRUE(harness.reload());
  EXPECT_TRUE(run_until([&] { return is_over.load(); }));
  thread.join();
  EXPECT_EQ(client.broken, 0U);
  EXPECT_TRUE(harness.get("/app").starts_with("HTTP/1.1 200 ")) << "the listener that stays serves on";
}

TEST_F(DrainTest, AConnectionThatIsDrainedWhileIdleMayStillAskOnce) {
  auto client = harness.connect();
  harness.ask(*client, kGet);
  bool is_done = false;
  harness.proxy->drain(10s, [&] { is_done = true; });
  std::string answer = harness.ask(*client, kGet);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  ASSERT_TRUE(run_until([&] { return is_done; }));
}

TEST_F(DrainTest, AStopEndsAtItsDeadlineAndAtASecondCall) {
  hold_requests();
  auto client = harness.connect();
  client->send(kGet);
  ASSERT_TRUE(run_until([&] { return backend->requests == 1; }));
  bool is_done = false;
  harness.proxy->drain(50ms, [&] { is_done = true; });
  ASSERT_TRUE(run_until([&] { return is_done; }));
  ASSERT_TRUE(run_until([&] { return client->is_over(); }));

  Harness second;
  second.start();
  Backend other(second.loop, "b");
  second.apply({Harness::endpoint("/app", other)});
  other.script = [](Peer&) {};
  auto stuck = second.connect();
  stuck->send(kGet);
  ASSERT_TRUE(second.run_until([&] { return other.accepted == 1; }));
  int done = 0;
  second.proxy->drain(1h, [&] { ++done; });
  second.proxy->drain(1h, [&] { ++done; });
  ASSERT_TRUE(second.run_until([&] { return done == 1; }));
}

}  // namespace
}  // namespace lotse::proxy::test

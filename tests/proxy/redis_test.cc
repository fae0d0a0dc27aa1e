// A real Redis behind a TCP listener, spoken to by its own clients.
#include <unistd.h>

#include "tests/proxy/child_program.h"
#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

constexpr const char* kServer = "/usr/bin/redis-server";

class RedisTest : public ::testing::Test {
 protected:
  void start() {
    ListenerConfig listener = Harness::listener("redis", "127.0.0.2:0");
    listener.tcp = TcpConfig{.to = {{.app = {"/redis", ""}}}};
    harness.config.listeners.push_back(listener);
    harness.start();
    for (int tries = 0; tries < 20 && port == 0; ++tries) start_server();
    ASSERT_NE(port, 0);
    harness.apply({Harness::endpoint("/redis", "task-a", port)});
  }
  // Redis takes no port 0: one that was free a moment ago, and another one if it is not any more.
  void start_server() {
    const std::uint16_t free_port = Backend(harness.loop, "").port();
    server = std::make_unique<ChildProgram>(
        harness, kServer,
        std::vector<std::string>{"--bind", "127.0.0.1", "--port", std::to_string(free_port), "--dir", folder.path(),
                                 "--save", "", "--daemonize", "no", "--logfile", ""});
    harness.run_until([this] {
      return server->has_exited || server->output.received.find("eady to accept connections") != std::string::npos;
    });
    if (!server->has_exited) port = free_port;
  }
  std::vector<std::string> to_proxy(std::vector<std::string> more) {
    const net::Address proxy = harness.address(1);
    std::vector<std::string> arguments{"-h", proxy.ip(), "-p", std::to_string(proxy.port())};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string ask(Peer& client, const std::string& command, const std::string& answer) {
    client.received.clear();
    client.send(command);
    harness.run_until([&] { return client.received.size() >= answer.size() || client.is_over(); });
    return client.received;
  }

  TemporaryFolder folder;
  Harness harness;
  std::unique_ptr<ChildProgram> server;
  std::uint16_t port = 0;
};

TEST_F(RedisTest, ItsOwnClientsSpeakToItThroughTheProxy) {
  if (access(kServer, X_OK) != 0) GTEST_SKIP() << "redis-server is not installed";
  start();
  {
    ChildProgram set(harness, "/usr/bin/redis-cli", to_proxy({"set", "greeting", "moin"}));
    EXPECT_TRUE(set.exits_with(0));
    EXPECT_EQ(set.output.received, "OK\n");
  }
  {
    ChildProgram get(harness, "/usr/bin/redis-cli", to_proxy({"get", "greeting"}));
    EXPECT_TRUE(get.exits_with(0));
    EXPECT_EQ(get.output.received, "moin\n");
  }
  {
    ChildProgram load(harness, "/usr/bin/redis-benchmark",
                      to_proxy({"-q", "-n", "5000", "-c", "20", "-P", "16", "-d", "20000", "-t", "set,get"}));
    EXPECT_TRUE(load.exits_with(0));
    EXPECT_EQ(load.output.received.find("rror"), std::string::npos) << load.output.received;
  }
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("task-a") == 0; }));
  EXPECT_GE(harness.metric("lotse_listener_accepted_total{listener=\"redis\"}"), 22U);
  EXPECT_EQ(harness.metric("lotse_listener_tcp_connections{listener=\"redis\"}"), 0U);
  EXPECT_GT(harness.metric("lotse_listener_tcp_bytes_in_total{listener=\"redis\"}"), 5'000U * 20'000U);
}

TEST_F(RedisTest, ASubscriberHearsOnThroughEveryChangeOfTheTable) {
  if (access(kServer, X_OK) != 0) GTEST_SKIP() << "redis-server is not installed";
  start();
  auto subscriber = harness.connect(1), publisher = harness.connect(1);
  const std::string subscribed = "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n";
  EXPECT_EQ(ask(*subscriber, "*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n", subscribed), subscribed);
  model::Endpoint draining = Harness::endpoint("/redis", "task-a", port);
  draining.state = model::EndpointState::draining;
  ASSERT_TRUE(harness.reload());
  harness.apply({draining});
  subscriber->received.clear();
  const std::string big(1'000'000, 'n');
  EXPECT_EQ(ask(*publisher, "*3\r\n$7\r\nPUBLISH\r\n$4\r\nnews\r\n$1000000\r\n" + big + "\r\n", ":1\r\n"), ":1\r\n");
  const std::string message = "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1000000\r\n" + big + "\r\n";
  ASSERT_TRUE(harness.run_until([&] { return subscriber->received.size() >= message.size(); }));
  EXPECT_TRUE(subscriber->received == message);
}

}  // namespace
}  // namespace lotse::proxy::test

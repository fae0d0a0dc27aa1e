// The promises under hostile timing: SIGSTOP, kill -9 in turns, deployments that overtake each other.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "tests/e2e/cluster.h"
#include "tests/e2e/load.h"

namespace lotse::e2e {
namespace {

using nlohmann::json;

std::vector<int> ports_of(const json& app) {
  std::vector<int> ports;
  for (const json& task : app.value("tasks", json::array())) {
    for (const json& port : task["ports"]) ports.push_back(port.get<int>());
  }
  return ports;
}

// Another app on a host port that was given back, without the quarantine: whoever still connects there believes an old
// table. Connections stay in the kernel's queue until they are counted.
class Usurper {
 public:
  explicit Usurper(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // The port is free when Docker has let it go.
    EXPECT_TRUE(eventually([&] { return bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0; }))
        << "port " << port;
    EXPECT_EQ(listen(fd_, 128), 0);
  }
  Usurper(Usurper&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Usurper() {
    if (fd_ >= 0) close(fd_);
  }
  int connections() const {
    int count = 0;
    for (int one = accept(fd_, nullptr, nullptr); one >= 0; one = accept(fd_, nullptr, nullptr), ++count) close(one);
    return count;
  }

 private:
  int fd_;
};

std::vector<Usurper> usurp(const std::vector<int>& ports) {
  std::vector<Usurper> usurpers;
  for (int port : ports) usurpers.emplace_back(port);
  return usurpers;
}

int connections_of(const std::vector<Usurper>& usurpers) {
  int count = 0;
  for (const Usurper& usurper : usurpers) count += usurper.connections();
  return count;
}

bool has_ended(Cluster& cluster, const std::string& deployment) {
  HttpAnswer answer = cluster.api("GET", "/v2/deployments");
  return answer.status == 200 && answer.body.find(deployment) == std::string::npos;
}

TEST(Chaos, AProxyStoppedPastItsLeaseDelaysADeploymentByThatAndSendsNothingToWhoHasTheOldPorts) {
  Cluster cluster({.proxies = 2});
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  cluster.wait_until_served("/hello/", 30s, 1);
  const std::vector<int> old_ports = ports_of(cluster.app("/hello"));
  ASSERT_EQ(old_ports.size(), 3u);
  Load load({.address = cluster.proxy_address(0), .connections = 16, .pause_ms = 5});
  load.let_pass(100);

  cluster.proxy(1).signal(SIGSTOP);
  HttpAnswer restart = cluster.api("POST", "/v2/apps/hello/restart");
  ASSERT_EQ(restart.status, 200) << restart.body;
  const std::string deployment = restart.json().value("deploymentId", "");
  // Its lease is not over: the new tasks do not count without it, and no old one goes.
  load.let_pass(200);
  EXPECT_FALSE(has_ended(cluster, deployment));
  cluster.wait_for_deployment(deployment, 40s);
  std::vector<Usurper> usurpers = usurp(old_ports);

  // These requests wait in the kernel for the proxy to wake: its workers have them before discovery has a word.
  Load woken({.address = cluster.proxy_address(1), .connections = 32});
  load.let_pass(200);
  cluster.proxy(1).signal(SIGCONT);
  woken.let_pass(1000);
  cluster.restart("/hello");  // it takes part again
  for (Load* one : {&load, &woken}) {
    one->stop();
    EXPECT_EQ(one->failed(), 0u) << one->failures();
  }
  EXPECT_EQ(connections_of(usurpers), 0) << "requests to another app";
}

TEST(Chaos, AProxyThatStartsFromAnOldTableWithoutASchedulerAsksTheAgent) {
  Cluster cluster({.proxies = 1});
  json other = hello_app(1);
  other["id"] = "/other";
  cluster.wait_for_deployment(cluster.deploy(other));
  cluster.wait_for_deployment(cluster.deploy(hello_app(2)));
  const std::vector<int> old_ports = ports_of(cluster.app("/hello"));
  const std::string table = cluster.directory() + "/proxy-0/table-scheduler.jsonl";
  ASSERT_TRUE(eventually([&] {  // about a second after it was applied
    std::ifstream stream(table);
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    return std::all_of(old_ports.begin(), old_ports.end(), [&](int port) {
      return text.find("\"hostPort\":" + std::to_string(port)) != std::string::npos;
    });
  }));
  cluster.proxy(0).kill_9();
  cluster.restart("/hello");
  std::vector<Usurper> usurpers = usurp(old_ports);
  cluster.scheduler().kill_9();
  cluster.start_proxy(0);
  // Nothing but the agent can tell that these tasks are gone, and that the other app's is still there.
  for (int i = 0; i < 20; ++i) {
    HttpAnswer answer = http("GET", cluster.proxy_address(), "/hello/");
    EXPECT_EQ(answer.status, 503) << answer.body;
    EXPECT_EQ(http("GET", cluster.proxy_address(), "/other/").status, 200);
  }
  cluster.start_scheduler();
  cluster.wait_until_served("/hello/");
  EXPECT_EQ(connections_of(usurpers), 0) << "requests to another app";
}

TEST(Chaos, SchedulerAndAgentKilledInTurnsWhileTwoProxiesServeLoseNoRequest) {
  Cluster cluster({.proxies = 2});
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load first({.address = cluster.proxy_address(0), .connections = 16});
  Load second({.address = cluster.proxy_address(1), .connections = 16});
  first.let_pass(100);
  for (int i = 0; i < 6; ++i) {
    HttpAnswer answer = cluster.api("POST", "/v2/apps/hello/restart");
    ASSERT_EQ(answer.status, 200) << answer.body;
    for (int kill = 0; kill < 2; ++kill) {
      first.let_pass(static_cast<std::uint64_t>(50 + 130 * i));
      if ((i + kill) % 2 == 0) {
        cluster.scheduler().kill_9();
        second.let_pass(50);
        cluster.start_scheduler();
      } else {
        cluster.agent().kill_9();
        second.let_pass(50);
        cluster.start_agent();
      }
    }
    cluster.wait_for_deployment(answer.json().value("deploymentId", ""));
  }
  for (Load* one : {&first, &second}) {
    one->stop();
    EXPECT_EQ(one->failed(), 0u) << one->failures();
  }
  EXPECT_EQ(cluster.app("/hello").value("tasksHealthy", 0), 3);
  EXPECT_TRUE(eventually([&] { return cluster.containers().size() == 3; }));
}

TEST(Chaos, ForcedRestartsAndCancelledDeploymentsThatOvertakeEachOtherLoseNothingAndSettle) {
  Cluster cluster({.proxies = 2});
  cluster.wait_for_deployment(cluster.deploy(hello_app(3)));
  Load first({.address = cluster.proxy_address(0), .connections = 16});
  Load second({.address = cluster.proxy_address(1), .connections = 16});
  for (int i = 0; i < 12; ++i) {
    first.let_pass(static_cast<std::uint64_t>(20 + 60 * (i % 5)));
    HttpAnswer answer = cluster.api("POST", "/v2/apps/hello/restart?force=true");
    ASSERT_EQ(answer.status, 200) << answer.body;
    if (i % 3 != 2) continue;
    second.let_pass(static_cast<std::uint64_t>(40 * i));
    const std::string deployment = answer.json().value("deploymentId", "");
    HttpAnswer cancelled = cluster.api("DELETE", "/v2/deployments/" + deployment + (i % 2 == 0 ? "?force=true" : ""));
    EXPECT_TRUE(cancelled.status == 200 || cancelled.status == 202 || cancelled.status == 404) << cancelled.body;
  }
  cluster.wait_until_no_deployment();
  EXPECT_TRUE(eventually([&] { return cluster.app("/hello").value("tasksHealthy", 0) == 3; }))
      << cluster.app("/hello").dump(1);
  cluster.restart("/hello");  // no lock was left behind
  for (Load* one : {&first, &second}) {
    one->stop();
    EXPECT_EQ(one->failed(), 0u) << one->failures();
  }
  EXPECT_EQ(cluster.app("/hello")["tasks"].size(), 3u);
  EXPECT_TRUE(eventually([&] { return cluster.containers().size() == 3; }));
}

// A machine that was suspended, or a scheduler under SIGSTOP: it heard nobody because it did not listen.
TEST(Chaos, ASchedulerStoppedPastAllLeasesStillWaitsForTheProxiesWhenItWakes) {
  Cluster cluster;
  cluster.wait_for_deployment(cluster.deploy(hello_app(1)));
  cluster.wait_until_served("/hello/");
  Load slow({.address = cluster.proxy_address(), .target = "/hello/slow?ms=25000", .connections = 4});
  ASSERT_TRUE(eventually([&] {
    return http("GET", cluster.admin_address(), "/metrics").body.find("lotse_downstream_connections 4") !=
           std::string::npos;
  })) << http("GET", cluster.admin_address(), "/metrics").body;
  HttpAnswer restart = cluster.api("POST", "/v2/apps/hello/restart");
  ASSERT_TRUE(eventually([&] {
    return cluster.api("GET", "/v1/proxies").json()["proxies"][0]["draining"].size() == 1;
  })) << cluster.api("GET", "/v1/proxies").body;
  std::thread stopping([&] { slow.stop(); });  // after the requests that are under way
  cluster.scheduler().signal(SIGSTOP);
  cluster.proxy(0).wait_for_log("the lease ran out");
  const auto margin_over = std::chrono::steady_clock::now() + 4s;  // the scheduler's own count ends 2 s later
  eventually([&] { return std::chrono::steady_clock::now() > margin_over; });
  cluster.scheduler().signal(SIGCONT);
  cluster.wait_for_deployment(restart.json().value("deploymentId", ""), 40s);
  stopping.join();
  EXPECT_EQ(slow.failed(), 0u) << slow.failures();
}

}  // namespace
}  // namespace lotse::e2e

// The binary upgrade over real processes: under load nothing is refused, reset or lost, and a new process that fails,
// wherever it does, leaves the old one serving.
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "net/address.h"
#include "net/listen.h"
#include "tests/certificates.h"
#include "tests/integration/proxy_process.h"

namespace lotse::integration {
namespace {

class TakeoverTest : public ProxyProcessTest {
 protected:
  // Kept-alive connections that ask without a pause, some that rest between requests, and one connection per request.
  void start_load() {
    loads.push_back(std::make_unique<Load>(e2e::LoadOptions{.address = address, .target = "/", .connections = 8}));
    loads.push_back(
        std::make_unique<Load>(e2e::LoadOptions{.address = address, .target = "/", .connections = 8, .pause_ms = 30}));
    loads.push_back(std::make_unique<Load>(e2e::LoadOptions{
        .address = address, .target = "/", .connections = 4, .fields = "Connection: close\r\n", .pause_ms = 1}));
    loads.push_back(std::make_unique<Load>(e2e::LoadOptions{.address = address, .target = "/slow", .connections = 2}));
  }
  void let_pass(std::uint64_t count) {
    for (std::size_t i = 0; i + 1 < loads.size(); ++i) loads[i]->let_pass(count);
  }
  std::string failures() {
    std::string text;
    for (auto& load : loads) text += load->failures();
    return text;
  }
  void expect_nothing_lost() {
    for (auto& load : loads) {
      load->stop();
      EXPECT_EQ(load->failed(), 0U) << load->failures() << proxy.log();
      EXPECT_GT(load->answered(), 0U);
    }
  }
  bool is_still_served(const Program& by) { return by.pid() > 0 && ask("/", address) == "Hello from it"; }

  std::vector<std::unique_ptr<Load>> loads;
};

int upgrades() {  // LOTSE_UPGRADES=100 for the long one
  const char* wanted = std::getenv("LOTSE_UPGRADES");
  return wanted == nullptr ? 10 : std::atoi(wanted);
}

TEST_F(TakeoverTest, NothingIsRefusedResetOrLostOverManyUpgradesUnderLoad) {
  start();
  start_load();
  for (int i = 1; i <= upgrades() && !HasFailure(); ++i) {
    workers = 1 + i % 4;
    write_config(listeners);
    let_pass(20);
    take_over();
    while (before.size() > 3) {
      EXPECT_EQ(before.front().wait_for_exit(20s), 0);
      before.erase(before.begin());
    }
  }
  let_pass(50);
  expect_nothing_lost();
  EXPECT_EQ(metric("lotse_takeovers_total"), upgrades());
  EXPECT_EQ(metric("lotse_takeover_failures_total"), 0);
  for (Program& one : before) EXPECT_EQ(one.wait_for_exit(20s), 0);
  proxy.signal(SIGTERM);
  EXPECT_EQ(proxy.wait_for_exit(20s), 0);
}

TEST_F(TakeoverTest, AUsr2SignalStartsTheProgramAnewAndItTakesOver) {
  start();
  start_load();
  let_pass(20);
  proxy.signal(SIGUSR2);
  ASSERT_TRUE(eventually([&] { return metric("lotse_takeovers_total") == 1; })) << proxy.log();
  const pid_t successor = std::atoi(proxy.wait_for_log("started process ").c_str());
  EXPECT_EQ(proxy.wait_for_exit(20s), 0);
  let_pass(20);
  expect_nothing_lost();
  ASSERT_GT(successor, 0);
  kill(successor, SIGTERM);
  EXPECT_TRUE(eventually([&] { return kill(successor, 0) != 0 || ask("/", address).empty(); }));
}

TEST_F(TakeoverTest, ABrokenConfigurationLeavesTheOldProcessServing) {
  start();
  start_load();
  std::ofstream(folder.path() + "/broken.yaml") << "version: 1\nlisteners: 7\n";
  auto arguments = command("--takeover");
  arguments[3] = folder.path() + "/broken.yaml";
  Program next(arguments, folder.path() + "/new-log");
  EXPECT_EQ(next.wait_for_exit(20s), 1);
  ASSERT_TRUE(eventually([&] { return metric("lotse_takeover_failures_total") == 1; }));
  let_pass(50);
  take_over();  // and the next one that is sound takes over
  let_pass(50);
  expect_nothing_lost();
}

// With a scheduler that takes connections and says nothing, a new process has neither a table nor a failure: it is
// never ready.
class NeverReadyTest : public TakeoverTest {
 protected:
  void SetUp() override {
    start();
    write_config(listeners, "timeouts: {takeover: 300ms}\n");
    ASSERT_TRUE(eventually([&] { return metric("lotse_config_reloads_total") == 2; }));
    mute = *net::make_listening_socket(*net::Address::parse("127.0.0.1:0"));
    std::ofstream(folder.path() + "/mute.yaml")
        << "version: 1\nadmin: {address: \"127.0.0.1:0\"}\nlisteners: " << listeners
        << "\nexpose: {path: true}\ndiscovery: {sources: [{scheduler: \"http://"
        << net::local_address(mute.get()).to_string() << "\"}]}\n";
    start_load();
  }
  Program start_never_ready() const {
    auto arguments = command("--takeover");
    arguments[3] = folder.path() + "/mute.yaml";
    return Program(arguments, folder.path() + "/new-log");
  }
  net::UniqueFd mute;
};

TEST_F(NeverReadyTest, ANewProcessWithoutATableIsGivenUpInTimeAndTheOldOneServesOn) {
  Program next = start_never_ready();
  EXPECT_EQ(next.wait_for_exit(20s), 1) << next.log();
  EXPECT_EQ(metric("lotse_takeover_failures_total"), 1);
  let_pass(50);
  expect_nothing_lost();
}

TEST_F(NeverReadyTest, AStoppedNewProcessCostsNothingAndEndsWhenItWakes) {
  Program next = start_never_ready();
  next.wait_for_log("admin on ");
  next.signal(SIGSTOP);
  ASSERT_TRUE(eventually([&] { return metric("lotse_takeover_failures_total") == 1; }));
  let_pass(50);
  next.signal(SIGCONT);
  EXPECT_EQ(next.wait_for_exit(20s), 1) << next.log();
  expect_nothing_lost();
}

TEST_F(TakeoverTest, WhereverTheNewProcessIsKilledTheOldOneServesOn) {
  start();
  start_load();
  std::minstd_rand random(20261128);
  for (int i = 0; i < 25 && !HasFailure(); ++i) {
    Program next(command("--takeover"), folder.path() + "/new-log");
    usleep(static_cast<useconds_t>(random() % 120'000));  // from its first instructions to after its takeover
    next.kill_9();
    ASSERT_TRUE(proxy.is_running());
    let_pass(10);
  }
  // What the new one had accepted goes with it; nobody is ever refused, and no address is without a process.
  EXPECT_EQ(failures().find("refused"), std::string::npos) << failures();
  ASSERT_TRUE(eventually([&] { return metric("lotse_draining") == 0; }));
  take_over();
  EXPECT_TRUE(is_still_served(proxy));
}

TEST_F(TakeoverTest, WhenTheOldProcessIsKilledTheNewOneServes) {
  start();
  take_over();
  before.front().kill_9();
  start_load();
  let_pass(50);
  expect_nothing_lost();
  EXPECT_EQ(metric("lotse_takeovers_total"), 1);
}

TEST_F(TakeoverTest, AListenerThatTheNewProcessLacksIsDrainedAndANewOneIsBound) {
  listeners = "[{name: web, address: \"127.0.0.1:0\"}, {name: old, address: \"127.0.0.2:0\"}]";
  start();
  const std::string old = "127.0.0.2:" + proxy.wait_for_log("listening on 127.0.0.2:");
  EXPECT_EQ(ask("/", old), "Hello from it");
  write_config("[{name: web, address: \"127.0.0.1:0\"}, {name: new, address: \"127.0.0.3:0\"}]");
  take_over();
  const std::string fresh = "127.0.0.3:" + proxy.wait_for_log("listening on 127.0.0.3:");
  EXPECT_EQ(ask("/", fresh), "Hello from it");
  EXPECT_EQ(ask("/", address), "Hello from it");
  EXPECT_TRUE(eventually([&] { return ask("/", old).empty(); }));
}

TEST_F(TakeoverTest, TheDataDirectoryStaysLockedAndASecondProcessIsRefused) {
  start();
  take_over();
  EXPECT_EQ(before.front().wait_for_exit(20s), 0);  // with the one that locked it gone
  Program other(command(), folder.path() + "/new-log");
  EXPECT_EQ(other.wait_for_exit(20s), 1);
  EXPECT_NE(other.log().find("in use by another process"), std::string::npos) << other.log();
}

TEST_F(TakeoverTest, WithNobodyToTakeOverFromItStartsAsEver) {
  write_config(listeners);
  proxy = Program(command("--takeover"), folder.path() + "/log");
  address = proxy.wait_for_log("listening on ");
  EXPECT_EQ(ask("/", address), "Hello from it");
}

TEST_F(TakeoverTest, ATlsSessionIsResumedWithTheNewProcess) {
  test::Authority authority(folder.path());
  const test::PemPair pair = authority.issue({.names = {"lotse.test"}}, "lotse");
  listeners = "[{name: web, address: \"127.0.0.1:0\", tls: {certificates: [{cert: \"" + pair.cert + "\", key: \"" +
              pair.key + "\"}]}}]";
  start();
  // The ticket comes after the handshake: the client reads until the answer is over.
  auto connect = [&](const std::string& option) {
    return e2e::run({"bash", "-c",
                     R"(printf 'GET / HTTP/1.1\r\nHost: lotse.test\r\nConnection: close\r\n\r\n' |)"
                     " openssl s_client -ign_eof -connect " +
                         address + option + folder.path() + "/session 2>&1"});
  };
  const std::string first = connect(" -sess_out ");
  EXPECT_NE(first.find("New, TLSv1.3"), std::string::npos) << first;
  EXPECT_NE(first.find("Hello from it"), std::string::npos) << first;
  take_over();
  take_over();  // keys that were handed on twice
  const std::string again = connect(" -sess_in ");
  EXPECT_NE(again.find("Reused, TLSv1.3"), std::string::npos) << again;
  EXPECT_NE(again.find("Hello from it"), std::string::npos) << again;
}

TEST_F(TakeoverTest, OnlyTheSameUserIsServed) {
  start();
  const std::string path = data() + "/takeover.sock";
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
  if (geteuid() != 0) GTEST_SKIP() << "to become another user takes root";
  chmod(folder.path().c_str(), 0755);
  chmod(data().c_str(), 0755);
  chmod(path.c_str(), 0666);
  pid_t child = fork();
  if (child == 0) {  // another user that can open the socket all the same
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    char byte = 0;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    bool is_closed = setuid(65534) == 0 && connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0 &&
                     recv(fd, &byte, 1, 0) <= 0;
    _exit(is_closed ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  proxy.wait_for_log("refused to user 65534");
}

}  // namespace
}  // namespace lotse::integration

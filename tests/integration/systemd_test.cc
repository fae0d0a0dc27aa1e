// What systemd sees of a proxy: states on NOTIFY_SOCKET, sockets by LISTEN_FDS.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>

#include "net/address.h"
#include "net/listen.h"
#include "tests/integration/proxy_process.h"

namespace lotse::integration {
namespace {

class SystemdTest : public ProxyProcessTest {
 protected:
  void SetUp() override {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    notify_path().copy(name.sun_path, sizeof name.sun_path - 1);
    notify = net::UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(notify.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
    timeval wait{.tv_sec = 20, .tv_usec = 0};
    setsockopt(notify.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  }
  std::string notify_path() const { return folder.path() + "/notify"; }
  std::string hear() const {  // the next state
    char buffer[4096];
    ssize_t count = recv(notify.get(), buffer, sizeof buffer, 0);
    return {buffer, static_cast<std::size_t>(std::max<ssize_t>(count, 0))};
  }
  std::string hear_one_with(const std::string& text) const {
    for (;;) {
      std::string state = hear();
      if (state.empty() || state.find(text) != state.npos) return state;
    }
  }
  void start_with(std::vector<std::string> variables, const std::string& option = "") {
    write_config(listeners);
    variables.insert(variables.begin(), {"env", "NOTIFY_SOCKET=" + notify_path()});
    for (const std::string& argument : command(option)) variables.push_back(argument);
    proxy = Program(variables, folder.path() + "/log");
    admin = proxy.wait_for_log("admin on ");
    admin = admin.substr(0, admin.find(','));
  }
  net::UniqueFd notify;
};

TEST_F(SystemdTest, IsToldOfTheStartAReloadAndTheStop) {
  start_with({});
  EXPECT_EQ(hear(), "READY=1\nSTATUS=serving");
  proxy.signal(SIGHUP);
  const std::string reloading = hear();
  EXPECT_TRUE(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC=")) << reloading;
  EXPECT_EQ(hear(), "READY=1\nSTATUS=serving");
  proxy.signal(SIGTERM);
  EXPECT_EQ(hear(), "STOPPING=1\nSTATUS=draining");
  EXPECT_EQ(proxy.wait_for_exit(20s), 0);
}

TEST_F(SystemdTest, TheWatchdogIsFedAtTwiceTheRateAskedFor) {
  start_with({"WATCHDOG_USEC=200000"});
  EXPECT_EQ(hear(), "READY=1\nSTATUS=serving");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(hear(), "WATCHDOG=1");
}

TEST_F(SystemdTest, AnotherProcessesWatchdogIsNotOurs) {
  start_with({"WATCHDOG_USEC=1000", "WATCHDOG_PID=1"});
  EXPECT_EQ(hear(), "READY=1\nSTATUS=serving");
  proxy.signal(SIGTERM);
  EXPECT_EQ(hear(), "STOPPING=1\nSTATUS=draining");
}

TEST_F(SystemdTest, AnUpgradeNamesTheNewMainProcessWhichIsReadyThen) {
  start_with({});
  hear();
  proxy.signal(SIGUSR2);
  const std::string successor = proxy.wait_for_log("started process ");
  EXPECT_EQ(hear(), "MAINPID=" + successor.substr(0, successor.find(' ')));
  EXPECT_EQ(hear(), "READY=1\nSTATUS=serving");
  EXPECT_EQ(proxy.wait_for_exit(20s), 0);
  kill(std::atoi(successor.c_str()), SIGTERM);
  EXPECT_EQ(hear_one_with("STOPPING"), "STOPPING=1\nSTATUS=draining");
}

TEST_F(SystemdTest, AcceptsFromTheSocketsItIsPassedByNameOrAddress) {
  auto by_name = net::make_listening_socket(*net::Address::parse("127.0.0.1:0"));
  auto by_address = net::make_listening_socket(*net::Address::parse("127.0.0.1:0"));
  auto for_admin = net::make_listening_socket(*net::Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(by_name && by_address && for_admin);
  const std::string second = net::local_address(by_address->get()).to_string();
  listeners = "[{name: web, address: \"127.0.0.1:0\"}, {name: other, address: \"" + second + "\"}]";
  write_config(listeners);
  // A shell knows its pid before it becomes the program, and moves the descriptors to 3, 4 and 5.
  std::string script;
  std::vector<net::UniqueFd> inherited;
  int place = 3;
  for (const auto* socket : {&*by_name, &*by_address, &*for_admin}) {
    inherited.emplace_back(fcntl(socket->get(), F_DUPFD, 20));
    script += "exec " + std::to_string(place++) + "<&" + std::to_string(inherited.back().get()) + "; ";
  }
  script += "LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES=web:unknown:admin exec \"$@\"";
  std::vector<std::string> arguments{"bash", "-c", script, "bash"};
  for (const std::string& argument : command()) arguments.push_back(argument);
  proxy = Program(arguments, folder.path() + "/log");
  inherited.clear();
  admin = proxy.wait_for_log("admin on ");
  EXPECT_TRUE(admin.starts_with(net::local_address(for_admin->get()).to_string())) << admin;
  EXPECT_EQ(ask("/", net::local_address(by_name->get()).to_string()), "Hello from it");
  EXPECT_EQ(ask("/", second), "Hello from it");
}

}  // namespace
}  // namespace lotse::integration

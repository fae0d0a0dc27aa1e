// Each field of a definition that Docker can honour, as the task itself feels it.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tests/agent/docker_fixture.h"

namespace lotse::agent {
namespace {

using model::TaskState;

class DefinitionFields : public DockerFixture {
 protected:
  // What a task that ends by itself wrote.
  std::string output_of(const model::LaunchTask& launch) {
    scheduler.launch(launch);
    EXPECT_TRUE(run_until(loop, [&] {
      const auto* last = scheduler.last(launch.task);
      return last != nullptr && model::is_terminal(last->state);
    }));
    EXPECT_TRUE(vanishes(launch.task));
    return scheduler.last(launch.task)->state == TaskState::finished ? get("/v1/tasks/" + launch.task + "/logs").body
                                                                     : "ended: " + scheduler.last(launch.task)->message;
  }
};

TEST_F(DefinitionFields, VolumesAreMountedAndReadOnlyOnesCannotBeWritten) {
  start_and_connect();
  std::filesystem::create_directories(folder.path() + "/shared");
  auto launch = task({"write", "/rw/a", "/ro/b"});
  launch.app.container->volumes = {
      {.container_path = "/rw", .host_path = folder.path() + "/shared", .read_only = false},
      {.container_path = "/ro", .host_path = folder.path() + "/shared", .read_only = true}};
  EXPECT_EQ(output_of(launch), "/rw/a: written\n/ro/b: Read-only file system\n");
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/shared/a"));
}

TEST_F(DefinitionFields, ARelativeHostPathLiesInTheSandbox) {
  start_and_connect();
  auto launch = task({"write", "/data/a"});
  launch.app.container->volumes = {{.container_path = "/data", .host_path = "data", .read_only = false}};
  EXPECT_EQ(output_of(launch), "/data/a: written\n");
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/data/sandboxes/" + launch.task + "/data/a"));
}

TEST_F(DefinitionFields, UserAndTerminal) {
  start_and_connect();
  auto launch = task({"who"});
  EXPECT_EQ(output_of(launch), "uid 0 gid 0, no terminal\n");
  launch = task({"who"});
  launch.app.user = "65534:65534";
  EXPECT_EQ(output_of(launch), "uid 65534 gid 65534, no terminal\n");
  launch = task({"who"});
  launch.app.tty = true;
  EXPECT_EQ(output_of(launch), "uid 0 gid 0, terminal\r\n");
}

TEST_F(DefinitionFields, ATaskMayWriteItsSandboxAsItsUser) {
  start_and_connect();
  auto launch = task({"write", "/mnt/mesos/sandbox/mine"});
  launch.app.user = "65534";
  EXPECT_EQ(output_of(launch), "/mnt/mesos/sandbox/mine: written\n");
}

TEST_F(DefinitionFields, ParametersReachDocker) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch.app.container->parameters = {{"hostname", "berth-7"}, {"ulimit", "nofile=1024:2048"}, {"cap-add", "NET_ADMIN"},
                                      {"shm-size", "32m"},     {"add-host", "db:10.0.0.7"},    {"label", "tier=gold"},
                                      {"read-only", "true"},   {"tmpfs", "/run:size=1m"}};
  launch_and_wait(launch);
  auto container = inspect(launch.task);
  auto host = container["HostConfig"];
  EXPECT_EQ(container["Config"]["Hostname"], "berth-7");
  EXPECT_EQ(host["Ulimits"][0]["Hard"], 2048);
  EXPECT_EQ(host["CapAdd"].dump().find("NET_ADMIN") != std::string::npos, true);
  EXPECT_EQ(host["ShmSize"], 32 << 20);
  EXPECT_EQ(host["ExtraHosts"][0], "db:10.0.0.7");
  EXPECT_EQ(container["Config"]["Labels"]["tier"], "gold");
  EXPECT_EQ(host["ReadonlyRootfs"], true);
  EXPECT_EQ(host["Tmpfs"]["/run"], "size=1m");
}

TEST_F(DefinitionFields, ArgsGoToTheEntrypointOfTheImage) {
  start_and_connect();
  std::string output = output_of(task({"say", "two words", "$HOME"}));  // on both streams, which Docker may swap
  EXPECT_TRUE(output == "two words $HOME\nsaid\n" || output == "said\ntwo words $HOME\n") << output;
}

// One port in both protocols: TCP answers by HTTP, UDP by an echo of its own task.
TEST_F(DefinitionFields, UdpPortsArePublishedAsUdp) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"udp", "5353"}, {{5353, port}});
  launch.app.container->port_mappings->front().protocol = "udp";
  launch_and_wait(launch);
  int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  auto target = net::Address::parse("127.0.0.1:" + std::to_string(port)).value();
  ASSERT_EQ(::connect(fd, target.raw(), sizeof(sockaddr_in)), 0);
  std::string answer;
  EXPECT_TRUE(run_until(loop, [&] {
    static_cast<void>(::send(fd, "ahoy", 4, 0));  // a datagram before it listens is lost
    char bytes[16];
    ssize_t count = ::recv(fd, bytes, sizeof bytes, 0);
    if (count > 0) answer.assign(bytes, static_cast<std::size_t>(count));
    return !answer.empty();
  }));
  ::close(fd);
  EXPECT_EQ(answer, "ahoy");
}

TEST_F(DefinitionFields, PortsWithoutAHostPortAreTheContainersOwn) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"env"}, {{8080, port}, {9090, 0}});
  (*launch.app.container->port_mappings)[0].name = "http-api";
  (*launch.app.container->port_mappings)[1].host_port.reset();
  launch_and_wait(launch);
  LogReader reader(*this, "/v1/tasks/" + launch.task + "/logs?follow=true");
  std::string number = std::to_string(port);
  for (const std::string& line : {"PORT=" + number, "PORT0=" + number, std::string("PORT1=9090"),
                                  "PORTS=" + number + ",9090", "PORT_8080=" + number, std::string("PORT_9090=9090"),
                                  "PORT_HTTP_API=" + number, std::string("MARATHON_APP_RESOURCE_MEM=32.0")}) {
    EXPECT_TRUE(run_until(loop, [&] { return reader.text.find(line + "\n") != std::string::npos; })) << line;
  }
  EXPECT_FALSE(inspect(launch.task)["HostConfig"]["PortBindings"].contains("9090/tcp"));
}

TEST_F(DefinitionFields, NetworksOfTheHostAndOfUsers) {
  start_and_connect();
  const std::string name = "lotse-test-" + std::to_string(::getpid());
  auto launch = task({"serve", "8080"}, {{8080, free_port()}});
  launch.app.networks = {model::Network{.mode = model::NetworkMode::container, .name = name, .labels = {}}};
  EXPECT_NE(output_of(launch).find("network " + name + " not found"), std::string::npos);
  docker("POST", "/networks/create", nlohmann::json{{"Name", name}}.dump());
  ASSERT_EQ(last_status, 201);
  launch.task = unique_task_id("shop_api");
  launch_and_wait(launch);
  EXPECT_TRUE(run_until(loop, [&] { return is_ready(launch.task); }));
  EXPECT_FALSE(inspect(launch.task)["NetworkSettings"]["Networks"][name]["IPAddress"].get<std::string>().empty());
  EXPECT_EQ(scheduler.last(launch.task)->ip_address,
            inspect(launch.task)["NetworkSettings"]["Networks"][name]["IPAddress"]);
  scheduler.kill(launch.task);
  ASSERT_TRUE(vanishes(launch.task));
  docker("DELETE", "/networks/" + name);
  auto on_host = task({"sleep"});
  on_host.app.networks = {model::Network{}};
  on_host.app.container->port_mappings.reset();
  launch_and_wait(on_host);
  EXPECT_EQ(inspect(on_host.task)["HostConfig"]["NetworkMode"], "host");
}

class ProcessFields : public AgentFixture {
 protected:
  ProcessFields() { options.runtime = RuntimeChoice::process; }
  std::string message_of(const model::LaunchTask& launch) {
    scheduler.launch(launch);
    EXPECT_TRUE(run_until(loop, [&] {
      const auto* last = scheduler.last(launch.task);
      return last != nullptr && model::is_terminal(last->state);
    }));
    return scheduler.last(launch.task) != nullptr ? scheduler.last(launch.task)->message : "";
  }
  model::LaunchTask with_volume(const std::string& container_path, const std::string& host_path, bool read_only) {
    auto launch = process_task("test -d \"$MESOS_SANDBOX/shared\" && echo x >shared/by-task");
    launch.app.container.emplace();
    launch.app.container->is_docker = false;
    launch.app.container->volumes = {
        {.container_path = container_path, .host_path = host_path, .read_only = read_only}};
    return launch;
  }
};

TEST_F(ProcessFields, ARelativeVolumeIsALinkInTheSandbox) {
  start_and_connect();
  std::filesystem::create_directories(folder.path() + "/shared");
  EXPECT_EQ(message_of(with_volume("shared", folder.path() + "/shared", false)), "exit code 0");
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/shared/by-task"));
}

TEST_F(ProcessFields, AVolumeThatAProcessCannotHaveIsRefusedInWords) {
  start_and_connect();
  EXPECT_NE(message_of(with_volume("/elsewhere", "/tmp", false)).find("use a relative containerPath, or an image"),
            std::string::npos);
  EXPECT_NE(message_of(with_volume("shared", "/tmp", true)).find("mode RO needs an image"), std::string::npos);
  EXPECT_NE(message_of(with_volume("../shared", "/tmp", false)).find("outside of the sandbox"), std::string::npos);
}

}  // namespace
}  // namespace lotse::agent

#include "agent/docker_body.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "agent/docker_parameters.h"
#include "tests/agent/test_apps.h"

namespace lotse::agent {
namespace {

using nlohmann::json;

ContainerContext context() {
  return {.cluster = "c1",
          .agent_id = "node-1",
          .data_id = "d1",
          .host = "10.0.0.5",
          .sandbox_path = "/data/s",
          .cores = 4};
}

json body_of(const model::LaunchTask& launch) {
  auto body = container_body(launch, context());
  EXPECT_TRUE(body.has_value()) << body.error().text();
  return body ? json::parse(*body) : json();
}

TEST(ContainerBody, PublishesEachPortOnItsHostPort) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}, {53, 31006}, {0, 31007}});
  (*launch.app.container->port_mappings)[1].protocol = "udp";
  json body = body_of(launch);
  json expected = json::parse(R"({"8080/tcp":[{"HostIp":"0.0.0.0","HostPort":"31005"}],
                                  "53/udp":[{"HostIp":"0.0.0.0","HostPort":"31006"}],
                                  "31007/tcp":[{"HostIp":"0.0.0.0","HostPort":"31007"}]})");
  EXPECT_EQ(body["HostConfig"]["PortBindings"], expected);
  EXPECT_EQ(body["HostConfig"]["NetworkMode"], "bridge");
  EXPECT_EQ(body["ExposedPorts"].size(), 3u);
}

TEST(ContainerBody, PublishesBothProtocolsOfOnePort) {
  auto launch = container_task("shop:1", {}, {{53, 31006}});
  launch.app.container->port_mappings->front().protocol = "udp,tcp";
  EXPECT_EQ(body_of(launch)["HostConfig"]["PortBindings"].size(), 2u);
}

TEST(ContainerBody, PublishesNothingOnTheHostNetwork) {
  auto launch = container_task("shop:1", {});
  launch.app.networks = {model::Network{}};
  json body = body_of(launch);
  EXPECT_EQ(body["HostConfig"]["NetworkMode"], "host");
  EXPECT_FALSE(body["HostConfig"].contains("PortBindings"));
}

TEST(ContainerBody, LabelsSayWhoseItIs) {
  auto launch = container_task("shop:1", {});
  launch.app.labels = {{"team", "shop"}, {"lotse.task", "forged"}};
  json labels = body_of(launch)["Labels"];
  EXPECT_EQ(labels["lotse.cluster"], "c1");
  EXPECT_EQ(labels["lotse.agent"], "node-1");
  EXPECT_EQ(labels["lotse.agent.data"], "d1");
  EXPECT_EQ(labels["lotse.task"], launch.task);
  EXPECT_EQ(labels["lotse.version"], "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(labels["team"], "shop");
}

TEST(ContainerBody, ACommandRunsInAShellAndArgsGoToTheEntrypoint) {
  auto launch = container_task("shop:1", {"--fast", "x y"});
  json body = body_of(launch);
  EXPECT_EQ(body["Cmd"], json::parse(R"(["--fast","x y"])"));
  EXPECT_FALSE(body.contains("Entrypoint"));
  launch.app.args.clear();
  launch.app.cmd = "echo $HOME; exec srv";
  body = body_of(launch);
  EXPECT_EQ(body["Entrypoint"], json::parse(R"(["/bin/sh"])"));
  EXPECT_EQ(body["Cmd"], json::parse(R"(["-c","echo $HOME; exec srv"])"));
  launch.app.cmd.reset();
  body = body_of(launch);
  EXPECT_FALSE(body.contains("Cmd"));  // the image's own
}

TEST(ContainerBody, LimitsAreWhatDockerTakes) {
  struct Row {
    double cpus, mem;
    json shares, nano, memory;
  };
  const Row rows[] = {{0.5, 128, 512, 500'000'000, 134217728},
                      {16, 1, 16384, 4'000'000'000, 6291456},  // no more than the machine has; Docker's minimum
                      {0.001, 0, 2, 10'000'000, nullptr},
                      {0, 64, 2, nullptr, 67108864}};
  for (const Row& row : rows) {
    auto launch = container_task("shop:1", {});
    launch.app.cpus = row.cpus;
    launch.app.mem_mib = row.mem;
    json host_config = body_of(launch)["HostConfig"];
    EXPECT_EQ(host_config["CpuShares"], row.shares);
    EXPECT_EQ(host_config.value("NanoCpus", json()), row.nano);
    EXPECT_EQ(host_config.value("Memory", json()), row.memory);
  }
}

TEST(ContainerBody, MountsTheSandboxAndTheVolumes) {
  auto launch = container_task("shop:1", {});
  launch.app.container->volumes = {{"/in", "/on/host", true}, {"/work", "work", false}};
  EXPECT_EQ(body_of(launch)["HostConfig"]["Binds"],
            json::parse(R"(["/data/s:/mnt/mesos/sandbox:rw","/on/host:/in:ro","/data/s/work:/work:rw"])"));
}

TEST(ContainerBody, SetsUserPrivilegesAndLogBound) {
  auto launch = container_task("shop:1", {});
  launch.app.user = "nobody";
  launch.app.container->privileged = true;
  json body = body_of(launch);
  EXPECT_EQ(body["User"], "nobody");
  EXPECT_EQ(body["HostConfig"]["Privileged"], true);
  EXPECT_EQ(body["HostConfig"]["LogConfig"]["Type"], "json-file");
  EXPECT_EQ(body["HostConfig"]["RestartPolicy"]["Name"], "no");
}

TEST(ContainerBody, SurvivesBytesThatAreNotText) {
  auto launch = container_task("shop:1", {"\xff\xfe"});
  EXPECT_TRUE(container_body(launch, context()).has_value());
}

TEST(ContainerBody, TheLabelsBringTheLaunchBackWithoutItsSecrets) {
  auto launch = container_task("shop:1", {"serve"}, {{8080, 31005}});
  launch.app.env = {{"PASSWORD", "secret"}};
  launch.app.health_checks.emplace_back();
  launch.app.health_checks[0].port_index = 0;
  json labels = body_of(launch)["Labels"];
  EXPECT_EQ(labels.dump().find("secret"), std::string::npos);
  model::LaunchTask back = launch_from_labels(labels.get<model::Labels>());
  launch.app.env.clear();
  EXPECT_EQ(back, launch);
}

TEST(ContainerBody, DamagedLabelsBringBackWhatThereIs) {
  model::LaunchTask back = launch_from_labels(
      {{"lotse.task", "t1"}, {"lotse.app", "/a"}, {"lotse.version", "v"}, {"lotse.launch", "{nonsense"}});
  EXPECT_EQ(back.task, "t1");
  EXPECT_EQ(back.app.id, "/a");
  EXPECT_TRUE(back.host_ports.empty());
}

TEST(WithTag, AddsLatestOnlyWhereNoneIs) {
  EXPECT_EQ(with_tag("redis"), "redis:latest");
  EXPECT_EQ(with_tag("redis:7"), "redis:7");
  EXPECT_EQ(with_tag("host:5000/team/app"), "host:5000/team/app:latest");
  EXPECT_EQ(with_tag("host:5000/team/app:1"), "host:5000/team/app:1");
  EXPECT_EQ(with_tag("app@sha256:abc"), "app@sha256:abc");
}

struct ParameterRow {
  const char *key, *value, *pointer, *expected;
};
// In the test's name instead of the bytes of its addresses, which differ from run to run.
void PrintTo(const ParameterRow& row, std::ostream* out) { *out << row.key << '=' << row.value; }
class DockerParameter : public ::testing::TestWithParam<ParameterRow> {};

TEST_P(DockerParameter, BecomesItsField) {
  const ParameterRow& row = GetParam();
  json body{{"HostConfig", json::object()}};
  auto problem = apply_docker_parameter(body, {row.key, row.value});
  ASSERT_FALSE(problem.has_value()) << problem->text();
  EXPECT_EQ(body[json::json_pointer(row.pointer)], json::parse(row.expected));
}

INSTANTIATE_TEST_SUITE_P(
    Table, DockerParameter,
    ::testing::Values(
        ParameterRow{"hostname", "db", "/Hostname", R"("db")"},
        ParameterRow{"add-host", "a:1.2.3.4", "/HostConfig/ExtraHosts", R"(["a:1.2.3.4"])"},
        ParameterRow{"cap-add", "NET_ADMIN", "/HostConfig/CapAdd", R"(["NET_ADMIN"])"},
        ParameterRow{"ulimit", "nofile=1024:2048", "/HostConfig/Ulimits",
                     R"([{"Name":"nofile","Soft":1024,"Hard":2048}])"},
        ParameterRow{"ulimit", "core=0", "/HostConfig/Ulimits", R"([{"Name":"core","Soft":0,"Hard":0}])"},
        ParameterRow{"device", "/dev/fuse", "/HostConfig/Devices",
                     R"([{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse","CgroupPermissions":"rwm"}])"},
        ParameterRow{"label", "a=b=c", "/Labels", R"({"a":"b=c"})"}, ParameterRow{"env", "A=1", "/Env", R"(["A=1"])"},
        ParameterRow{"sysctl", "net.core.somaxconn=1024", "/HostConfig/Sysctls", R"({"net.core.somaxconn":"1024"})"},
        ParameterRow{"tmpfs", "/run:rw,size=1m", "/HostConfig/Tmpfs", R"({"/run":"rw,size=1m"})"},
        ParameterRow{"shm-size", "64m", "/HostConfig/ShmSize", "67108864"},
        ParameterRow{"memory-swap", "-1", "/HostConfig/MemorySwap", "-1"},
        ParameterRow{"cpus", "1.5", "/HostConfig/NanoCpus", "1500000000"},
        ParameterRow{"init", "true", "/HostConfig/Init", "true"},
        ParameterRow{"read-only", "", "/HostConfig/ReadonlyRootfs", "true"},
        ParameterRow{"entrypoint", "/srv", "/Entrypoint", R"(["/srv"])"},
        ParameterRow{"volume", "/a:/b", "/HostConfig/Binds", R"(["/a:/b"])"}));

TEST(DockerParameters, RefuseWhatTheyCannotHonour) {
  const model::Parameter bad[] = {{"make-coffee", "1"}, {"name", "x"},        {"restart", "always"},
                                  {"rm", "true"},       {"memory", "lots"},   {"ulimit", "nofile"},
                                  {"init", "maybe"},    {"pids-limit", "1x"}, {"label", "lotse.task=forged"}};
  for (const model::Parameter& parameter : bad) {
    json body{{"HostConfig", json::object()}};
    auto problem = apply_docker_parameter(body, parameter);
    ASSERT_TRUE(problem.has_value()) << parameter.key;
    EXPECT_NE(problem->text().find(parameter.key), std::string::npos);
  }
}

TEST(DockerParameters, ReadsSizesAsDockerDoes) {
  EXPECT_EQ(parse_size("512"), 512);
  EXPECT_EQ(parse_size("1k"), 1024);
  EXPECT_EQ(parse_size("64M"), 64 << 20);
  EXPECT_EQ(parse_size("2gb"), std::int64_t{2} << 30);
  for (const char* bad : {"", "x", "1x", "-1", "1.5m", "99999999999999999999", "99999999999g"}) {
    EXPECT_FALSE(parse_size(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lotse::agent

#include "agent/task_environment.h"

#include <gtest/gtest.h>

#include "tests/agent/test_apps.h"

namespace lotse::agent {
namespace {

using Environment = std::map<std::string, std::string>;

TEST(TaskEnvironment, NamesPortsAsMarathonDoes) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}, {9090, 31017}});
  (*launch.app.container->port_mappings)[1].name = "admin-ui";
  Environment env = task_environment(launch, "10.0.0.5", "/mnt/mesos/sandbox");
  EXPECT_EQ(env["HOST"], "10.0.0.5");
  EXPECT_EQ(env["PORT"], "31005");
  EXPECT_EQ(env["PORT0"], "31005");
  EXPECT_EQ(env["PORT1"], "31017");
  EXPECT_EQ(env["PORTS"], "31005,31017");
  EXPECT_EQ(env["PORT_8080"], "31005");  // by the requested, i.e. the container port
  EXPECT_EQ(env["PORT_9090"], "31017");
  EXPECT_EQ(env["PORT_ADMIN-UI"], "31017");
  EXPECT_EQ(env["PORT_ADMIN_UI"], "31017");  // the form a shell can read
}

TEST(TaskEnvironment, OnTheHostNetworkTheRequestedPortIsTheDefinitions) {
  auto launch = process_task("x", {31000, 31001});
  launch.app.port_definitions[0].name = "web";
  Environment env = task_environment(launch, "h", "/s");
  EXPECT_EQ(env["PORT_10000"], "31000");
  EXPECT_EQ(env["PORT_10001"], "31001");
  EXPECT_EQ(env["PORT_WEB"], "31000");
}

TEST(TaskEnvironment, UsesTheContainerPortWhereNoneIsPublished) {
  auto launch = container_task("shop:1", {}, {{8080, 0}});
  launch.app.container->port_mappings->front().host_port.reset();
  Environment env = task_environment(launch, "h", "/s");
  EXPECT_EQ(env["PORT0"], "8080");
  EXPECT_EQ(env["PORTS"], "8080");
}

TEST(TaskEnvironment, HasNoPortsWithoutPorts) {
  Environment env = task_environment(container_task("shop:1", {}), "h", "/s");
  EXPECT_FALSE(env.contains("PORT"));
  EXPECT_FALSE(env.contains("PORT0"));
  EXPECT_FALSE(env.contains("PORTS"));
}

TEST(TaskEnvironment, DescribesTheApp) {
  auto launch = container_task("shop:1", {});
  launch.app.cpus = 0.5;
  launch.app.mem_mib = 128;
  Environment env = task_environment(launch, "h", "/mnt/mesos/sandbox");
  EXPECT_EQ(env["MARATHON_APP_ID"], "/shop/api");
  EXPECT_EQ(env["MARATHON_APP_VERSION"], "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(env["MARATHON_APP_DOCKER_IMAGE"], "shop:1");
  EXPECT_EQ(env["MARATHON_APP_RESOURCE_CPUS"], "0.5");
  EXPECT_EQ(env["MARATHON_APP_RESOURCE_MEM"], "128.0");
  EXPECT_EQ(env["MARATHON_APP_RESOURCE_DISK"], "0.0");
  EXPECT_EQ(env["MARATHON_APP_RESOURCE_GPUS"], "0.0");
  EXPECT_EQ(env["MESOS_TASK_ID"], launch.task);
  EXPECT_EQ(env["LOTSE_TASK_ID"], launch.task);
  EXPECT_EQ(env["MESOS_SANDBOX"], "/mnt/mesos/sandbox");
  EXPECT_FALSE(task_environment(process_task("x"), "h", "/s").contains("MARATHON_APP_DOCKER_IMAGE"));
}

TEST(TaskEnvironment, TurnsLabelsIntoVariables) {
  auto launch = container_task("shop:1", {});
  launch.app.labels = {
      {"lotse.port", "web"}, {"a..b", "2"}, {"long", std::string(513, 'x')}, {std::string(600, 'k'), "v"}};
  Environment env = task_environment(launch, "h", "/s");
  EXPECT_EQ(env["MARATHON_APP_LABEL_LOTSE_PORT"], "web");
  EXPECT_EQ(env["MARATHON_APP_LABEL_A_B"], "2");
  EXPECT_FALSE(env.contains("MARATHON_APP_LABEL_LONG"));
  EXPECT_EQ(env["MARATHON_APP_LABELS"], "A_B LOTSE_PORT");
}

TEST(TaskEnvironment, TheAppsOwnWinsOverAllButTheTaskId) {
  auto launch = container_task("shop:1", {}, {{8080, 31005}});
  launch.app.env = {{"PORT0", "mine"}, {"HOST", "mine"}, {"LOTSE_TASK_ID", "forged"}};
  launch.env = {{"EXTRA", "1"}};
  Environment env = task_environment(launch, "h", "/s");
  EXPECT_EQ(env["PORT0"], "mine");
  EXPECT_EQ(env["HOST"], "mine");
  EXPECT_EQ(env["EXTRA"], "1");
  EXPECT_EQ(env["LOTSE_TASK_ID"], launch.task);
}

}  // namespace
}  // namespace lotse::agent

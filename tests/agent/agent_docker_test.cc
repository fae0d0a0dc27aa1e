// The whole agent against a fake scheduler and the real Docker Engine.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/agent/docker_fixture.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

using AgentWithDocker = DockerFixture;

TEST_F(AgentWithDocker, RunsAContainerThatAnswersOnItsHostPort) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"serve", "8080"}, {{8080, port}});
  launch.app.labels = {{"team", "shop"}};
  launch_and_wait(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_ready(launch.task); }));
  EXPECT_TRUE(scheduler.last(launch.task)->ip_address.starts_with("172."));

  auto container = inspect(launch.task);
  EXPECT_EQ(container["Config"]["Labels"]["lotse.cluster"], scheduler.cluster);
  EXPECT_EQ(container["Config"]["Labels"]["lotse.task"], launch.task);
  EXPECT_EQ(container["Config"]["Labels"]["lotse.app"], "/shop/api");
  EXPECT_EQ(container["Config"]["Labels"]["team"], "shop");
  EXPECT_EQ(container["HostConfig"]["Memory"], 32 * 1024 * 1024);
  EXPECT_EQ(container["HostConfig"]["NanoCpus"], 100'000'000);
  EXPECT_EQ(container["HostConfig"]["LogConfig"]["Config"]["max-size"], "10m");

  http::ClientRequest request;
  request.endpoint = {.host = "127.0.0.1", .port = static_cast<std::uint16_t>(port), .unix_path = {}};
  std::optional<Result<http::ClientResponse>> answer;
  auto call =
      client.send(std::move(request), [&](Result<http::ClientResponse> got) { answer.emplace(std::move(got)); });
  ASSERT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
  ASSERT_TRUE(answer->has_value());
  EXPECT_EQ((*answer)->body, "ok\n");
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "listening on 8080\n");
}

TEST_F(AgentWithDocker, ADeathIsSeenByItsEvent) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  docker("POST", "/containers/lotse-" + launch.task + "/kill");
  Instant killed = loop.clock().now();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_LT(loop.clock().now() - killed, 20s);  // milliseconds on a quiet machine; the next listing is a minute away
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 137 (SIGKILL)");
  ASSERT_TRUE(vanishes(launch.task));
}

TEST_F(AgentWithDocker, TellsExitCodesAndKeepsTheLastWords) {
  start_and_connect();
  auto says = task({"say", "goodbye"}), exits = task({"exit", "3"});
  scheduler.launch(says);
  scheduler.launch(exits);
  ASSERT_TRUE(run_until(loop, [&] {
    return scheduler.has(says.task, TaskState::finished) && scheduler.has(exits.task, TaskState::failed);
  }));
  EXPECT_EQ(scheduler.last(exits.task)->message, "exit code 3");
  Instant deadline = loop.clock().now() + 20s;
  std::string log;
  while (log.empty() && loop.clock().now() < deadline) log = get("/v1/tasks/" + says.task + "/logs").body;
  EXPECT_NE(log.find("goodbye\n"), std::string::npos);
  EXPECT_NE(log.find("said\n"), std::string::npos);  // standard error as well
}

TEST_F(AgentWithDocker, TellsHowATaskEndedThatMemoryRanOutFor) {
  start_and_connect();
  auto launch = task({"eat"});
  launch.app.mem_mib = 8;
  launch.app.container->parameters.push_back({"memory-swap", "8m"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  // Whether Docker itself hears of the kernel's reason depends on how its cgroups are mounted: the words for both cases
  // are in docker_answers_test.cc and next_step_test.cc.
  const std::string message = scheduler.last(launch.task)->message;
  EXPECT_TRUE(message == "exit code 137 (SIGKILL, out of memory)" || message == "exit code 137 (SIGKILL)") << message;
}

TEST_F(AgentWithDocker, RunsACmdThroughTheShellWhateverTheEntrypoint) {
  start_and_connect();
  auto launch = task({});
  launch.app.args.clear();
  launch.app.cmd = "exit 5";
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 5");
}

TEST_F(AgentWithDocker, GivesATaskItsEnvironment) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"env"}, {{8080, port}});
  launch.app.env = {{"COLOUR", "blue"}};
  launch_and_wait(launch);
  LogReader reader(*this, "/v1/tasks/" + launch.task + "/logs?follow=true");
  auto has = [&](const std::string& line) { return reader.text.find(line + "\n") != std::string::npos; };
  EXPECT_TRUE(run_until(loop, [&] {
    return has("PORT0=" + std::to_string(port)) && has("COLOUR=blue") && has("PORT_8080=" + std::to_string(port)) &&
           has("HOST=127.0.0.1") && has("MARATHON_APP_ID=/shop/api") && has("MESOS_TASK_ID=" + launch.task) &&
           has("MESOS_SANDBOX=/mnt/mesos/sandbox");
  })) << reader.text;
}

TEST_F(AgentWithDocker, StopsWithTermThenKill) {
  start_and_connect();
  auto gentle = task({"sleep"}), stubborn = task({"stubborn"});
  launch_and_wait(gentle);
  launch_and_wait(stubborn);
  scheduler.kill(gentle.task, 20);
  scheduler.kill(stubborn.task, 1);
  ASSERT_TRUE(run_until(loop, [&] {
    return scheduler.has(gentle.task, TaskState::killed) && scheduler.has(stubborn.task, TaskState::killed);
  }));
  EXPECT_EQ(scheduler.last(gentle.task)->message, "exit code 15");  // the handler's own exit
  EXPECT_EQ(scheduler.last(stubborn.task)->message, "exit code 137 (SIGKILL)");
  ASSERT_TRUE(vanishes(gentle.task) && vanishes(stubborn.task));
}

TEST_F(AgentWithDocker, AMissingImageFailsWithDockersWords) {
  start_and_connect();
  auto launch = container_task("127.0.0.1:1/nobody/has-this:1", {"serve"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("127.0.0.1:1"), std::string::npos);
  EXPECT_NE(scheduler.last(launch.task)->message.find("refused"), std::string::npos);
}

TEST_F(AgentWithDocker, ATakenPortFailsWithDockersWordsAndLeavesNothing) {
  start_and_connect();
  auto taken = net::make_listening_socket(net::Address::parse("0.0.0.0:0").value());
  auto launch = task({"serve", "8080"}, {{8080, net::local_address(taken->get()).port()}});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("address already in use"), std::string::npos)
      << scheduler.last(launch.task)->message;
  ASSERT_TRUE(vanishes(launch.task));
}

TEST_F(AgentWithDocker, AnUnknownParameterIsRefusedByName) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch.app.container->parameters.push_back({"make-coffee", "black"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "container parameter \"make-coffee\": is not supported");
}

TEST_F(AgentWithDocker, ARestartedAgentKillsNothingAndTakesOver) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"serve", "8080"}, {{8080, port}});
  model::HealthCheck check;
  check.interval = model::Seconds(0.1);
  check.path = "/health";
  launch.app.health_checks.push_back(check);
  launch_and_wait(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));
  std::string started = inspect(launch.task)["State"]["StartedAt"];
  scheduler.health.clear();
  std::size_t before = scheduler.registrations.size();
  restart();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.back().has_tasks; }));
  for (std::size_t i = before; i < scheduler.registrations.size(); ++i) {
    ASSERT_EQ(scheduler.registrations[i].tasks.size(), 1u);  // from the first registration on
    EXPECT_EQ(scheduler.registrations[i].tasks[0].state, TaskState::running);
  }
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));
  EXPECT_EQ(inspect(launch.task)["State"]["StartedAt"], started);
  docker("POST", "/containers/lotse-" + launch.task + "/kill");  // and still sees its death
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
}

TEST_F(AgentWithDocker, ADeathWhileTheAgentWasAwayIsTold) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  agent.reset();
  docker("POST", "/containers/lotse-" + launch.task + "/kill");
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 137 (SIGKILL)");
}

TEST_F(AgentWithDocker, AContainerRemovedBehindItsBackIsLost) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  agent.reset();
  docker("DELETE", "/containers/lotse-" + launch.task + "?force=1");
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::lost); }));
}

TEST_F(AgentWithDocker, AContainerWithoutARecordIsAdoptedFromItsLabels) {
  start_and_connect();
  int port = free_port();
  auto launch = task({"serve", "8080"}, {{8080, port}});
  model::HealthCheck check;
  check.interval = model::Seconds(0.1);
  launch.app.health_checks.push_back(check);
  launch_and_wait(launch);
  agent.reset();
  std::filesystem::remove(folder.path() + "/data/tasks/" + launch.task + ".json");
  scheduler.health.clear();
  start();
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));  // its checks are known again
  EXPECT_EQ(get("/v1/tasks/" + launch.task).status, 200);
  scheduler.kill(launch.task);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

TEST_F(AgentWithDocker, TwoAgentsOnOneDockerLeaveEachOthersContainersAlone) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  AgentOptions other_options = options;
  other_options.data = folder.path() + "/other";
  FakeScheduler other_scheduler(loop);
  other_scheduler.cluster = scheduler.cluster;
  other_options.scheduler = other_scheduler.url();
  other_options.kill_tasks_on_stop = true;
  Agent other(loop, other_options);  // the same id and cluster even: the data directory is what counts
  ASSERT_TRUE(other.start().has_value());
  ASSERT_TRUE(run_until(
      loop, [&] { return other_scheduler.is_connected() && other_scheduler.registrations.back().has_tasks; }));
  EXPECT_TRUE(other_scheduler.registrations.back().tasks.empty());
  other_scheduler.launch(launch);  // the name is taken by a container that is not its own
  ASSERT_TRUE(run_until(loop, [&] { return other_scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(other_scheduler.last(launch.task)->message.find("not this agent's"), std::string::npos);
  bool stopped = false;
  other.stop({}, [&] { stopped = true; });
  ASSERT_TRUE(run_until(loop, [&] { return stopped; }));
  EXPECT_EQ(inspect(launch.task)["State"]["Status"], "running");
}

TEST_F(AgentWithDocker, AKillDuringARecordlessListWaitsForTheList) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  agent.reset();
  scheduler.drop_streams();
  std::filesystem::remove(folder.path() + "/data/tasks/" + launch.task + ".json");
  start_and_connect();
  scheduler.kill(launch.task);  // perhaps before Docker was listed: never answered with "lost"
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
  auto states = scheduler.states(launch.task);
  EXPECT_EQ(std::count(states.begin(), states.end(), TaskState::lost), 0);
}

TEST_F(AgentWithDocker, WithoutDockerLaunchesFailWithItsWordsAndTheAgentGoesOn) {
  options.docker_socket = folder.path() + "/no-docker.sock";
  start_and_connect();
  ASSERT_TRUE(run_until(loop, [&] { return !scheduler.registrations.back().runtime_problem.empty(); }));
  EXPECT_EQ(scheduler.registrations.back().runtime, "docker");
  auto launch = task({"sleep"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message,
            "Cannot connect to the Docker daemon at unix://" + options.docker_socket + ": no such file or directory");
  std::filesystem::create_symlink(socket, options.docker_socket);  // Docker comes up
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.back().runtime_problem.empty(); }));
  launch_and_wait(task({"sleep"}));
}

TEST_F(AgentWithDocker, AutomaticRunsProcessesUntilDockerAnswers) {
  options.runtime = RuntimeChoice::automatic;
  options.docker_socket = folder.path() + "/no-docker.sock";
  start_and_connect();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.back().has_tasks; }));
  EXPECT_EQ(scheduler.registrations.back().runtime, "process");
  auto launch = process_task("sleep 100");
  launch_and_wait(launch);
  std::filesystem::create_symlink(socket, options.docker_socket);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.back().runtime == "docker"; }));
  launch_and_wait(task({"sleep"}));
}

TEST_F(AgentWithDocker, HttpChecksDecideHealth) {
  start_and_connect();
  auto launch = task({"serve", "8080"}, {{8080, free_port()}});
  model::HealthCheck check;
  check.interval = model::Seconds(0.1);
  check.max_consecutive_failures = 2;
  launch.app.health_checks.push_back(check);
  launch_and_wait(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true && is_ready(launch.task); }));
  auto exec = docker("POST", "/containers/lotse-" + launch.task + "/exec", R"({"Cmd":["/task","break"]})");
  docker("POST", "/exec/" + exec["Id"].get<std::string>() + "/start", R"({"Detach":true})");
  ASSERT_TRUE(
      run_until(loop, [&] { return is_alive(launch.task) == false && scheduler.health_of(launch.task)->wants_kill; }));
  EXPECT_NE(scheduler.health_of(launch.task)->results[0].last_failure_cause.find("500 Internal Server Error"),
            std::string::npos);
  EXPECT_TRUE(is_ready(launch.task));  // once ready, always ready
}

TEST_F(AgentWithDocker, CommandChecksRunInsideTheContainer) {
  start_and_connect();
  auto launch = task({"sleep"});
  model::HealthCheck check;
  check.protocol = model::HealthProtocol::command;
  check.command = "exit 0";
  check.interval = model::Seconds(0.1);
  launch.app.health_checks.push_back(check);
  auto fails = launch;
  fails.task = unique_task_id("shop_api");
  fails.app.health_checks[0].command = "exit 2";
  fails.app.health_checks[0].grace_period = model::Seconds(0);
  scheduler.launch(launch);
  scheduler.launch(fails);
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true && is_alive(fails.task) == false; }));
  EXPECT_EQ(scheduler.health_of(fails.task)->results[0].last_failure_cause, "command: exit code 2");
}

TEST_F(AgentWithDocker, IsNotReadyBeforeItsPortListensThoughDockerProxyAccepts) {
  start_and_connect();
  auto launch = task({"serve", "8080", "2000"}, {{8080, free_port()}});  // listens 2 s after its start
  launch_and_wait(launch);
  std::string text = inspect(launch.task)["State"]["StartedAt"];
  WallTime started = parse_timestamp(text.substr(0, 23) + "Z").value();
  ASSERT_TRUE(run_until(loop, [&] { return is_ready(launch.task); }));
  EXPECT_GT(loop.clock().wall() - started, 1s);
}

TEST_F(AgentWithDocker, StartsManyAtOnce) {
  start_and_connect();
  std::vector<model::LaunchTask> launches;
  for (int i = 0; i < 12; ++i) launches.push_back(task({"sleep"}));
  for (const auto& launch : launches) scheduler.launch(launch);
  ASSERT_TRUE(run_until(
      loop,
      [&] {
        return std::all_of(launches.begin(), launches.end(),
                           [&](const auto& launch) { return scheduler.has(launch.task, TaskState::running); });
      },
      90s));
  for (const auto& launch : launches) scheduler.kill(launch.task);
  ASSERT_TRUE(run_until(
      loop,
      [&] {
        return std::all_of(launches.begin(), launches.end(),
                           [&](const auto& launch) { return scheduler.has(launch.task, TaskState::killed); });
      },
      90s));
}

}  // namespace
}  // namespace lotse::agent

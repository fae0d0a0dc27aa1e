// The whole agent against a fake scheduler, with the process runtime: no Docker needed.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fstream>

#include "agent/agent.h"
#include "tests/agent/agent_fixture.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

class AgentWithProcesses : public AgentFixture {
 protected:
  AgentWithProcesses() { options.runtime = RuntimeChoice::process; }
};

TEST_F(AgentWithProcesses, RegistersWithWhatTheMachineHas) {
  options.attributes = {{"rack", "a"}};
  options.cpus = 1.5;
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.is_connected(); }));
  const model::AgentRegistration& first = scheduler.registrations.front();
  EXPECT_EQ(first.id, "agent-under-test");
  EXPECT_EQ(first.incarnation, 1u);
  EXPECT_EQ(first.cpus, 1.5);
  EXPECT_GT(first.mem_mib, 100);
  EXPECT_GT(first.disk_mib, 100);
  EXPECT_EQ(first.attributes.at("rack"), "a");
  EXPECT_EQ(first.runtime, "process");
  EXPECT_TRUE(first.has_tasks);
  EXPECT_EQ(first.host, "127.0.0.1");
  EXPECT_EQ(first.data_id.size(), 36u);
}

TEST_F(AgentWithProcesses, RunsACommandAndTellsItsEnd) {
  start_and_connect();
  auto launch = process_task("echo hello from $MARATHON_APP_ID; exit 0");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  EXPECT_EQ(scheduler.states(launch.task).front(), TaskState::starting);
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 0");
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "hello from /proc\n");
  EXPECT_EQ(get("/v1/tasks/" + launch.task).status, 404);
}

TEST_F(AgentWithProcesses, TellsHowATaskFailed) {
  start_and_connect();
  auto exits = process_task("exit 3"), dies = process_task("kill -9 $$");
  scheduler.launch(exits);
  scheduler.launch(dies);
  ASSERT_TRUE(run_until(loop, [&] {
    return scheduler.has(exits.task, TaskState::failed) && scheduler.has(dies.task, TaskState::failed);
  }));
  EXPECT_EQ(scheduler.last(exits.task)->message, "exit code 3");
  EXPECT_EQ(scheduler.last(dies.task)->message, "exit code 137 (SIGKILL)");
}

TEST_F(AgentWithProcesses, KillsWithTermFirst) {
  start_and_connect();
  auto launch = process_task("trap 'echo got term; exit 0' TERM; while :; do sleep 0.05; done");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  scheduler.kill(launch.task, 20);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
  std::vector<TaskState> expected{TaskState::starting, TaskState::running, TaskState::killing, TaskState::killed};
  EXPECT_EQ(scheduler.states(launch.task), expected);
}

TEST_F(AgentWithProcesses, KillsTheStubbornAfterItsGracePeriod) {
  start_and_connect();
  auto launch = process_task("trap '' TERM; echo ready >ready; while :; do sleep 0.05; done");
  scheduler.launch(launch);
  std::string marker = folder.path() + "/data/sandboxes/" + launch.task + "/ready";
  ASSERT_TRUE(run_until(loop, [&] { return std::filesystem::exists(marker); }));
  scheduler.kill(launch.task, 0.2);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 137 (SIGKILL)");
}

TEST_F(AgentWithProcesses, ARepeatedLaunchChangesNothing) {
  start_and_connect();
  auto launch = process_task("echo once >>count; sleep 100");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  std::size_t before = scheduler.statuses.size();
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.statuses.size() > before; }));  // told again, not run again
  EXPECT_EQ(scheduler.last(launch.task)->state, TaskState::running);
  std::ifstream count(folder.path() + "/data/sandboxes/" + launch.task + "/count");
  std::string text((std::istreambuf_iterator<char>(count)), {});
  EXPECT_EQ(text, "once\n");
}

TEST_F(AgentWithProcesses, AKillOfAnUnknownTaskIsAnsweredWithLost) {
  start_and_connect();
  scheduler.kill("shop_api.instance-0._app.1");
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has("shop_api.instance-0._app.1", TaskState::lost); }));
}

TEST_F(AgentWithProcesses, AKillOfAnEndedTaskSaysHowItEnded) {
  start_and_connect();
  auto launch = process_task("exit 4");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  std::size_t before = scheduler.statuses.size();
  scheduler.kill(launch.task);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.statuses.size() > before; }));
  EXPECT_EQ(scheduler.last(launch.task)->state, TaskState::failed);
}

TEST_F(AgentWithProcesses, RefusesAnImage) {
  start_and_connect();
  auto launch = container_task("redis", {"serve"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("plain processes only"), std::string::npos);
}

TEST_F(AgentWithProcesses, RefusesAnHttpsCheckWithASentence) {
  start_and_connect();
  auto launch = process_task("sleep 100", {31999});
  launch.app.health_checks.emplace_back();
  launch.app.health_checks[0].protocol = model::HealthProtocol::https;
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("HTTPS"), std::string::npos);
}

TEST_F(AgentWithProcesses, RefusesATaskIdThatIsNoFileName) {
  start_and_connect();
  auto launch = process_task("sleep 100");
  launch.task = "../../etc/passwd";
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
}

TEST_F(AgentWithProcesses, ACommandOfALowerTermIsRefused) {
  scheduler.term = 7;
  start_and_connect();
  model::AgentCommand command;
  command.term = 6;
  command.cluster = scheduler.cluster;
  command.launch = process_task("sleep 100");
  scheduler.send(command);
  auto current = process_task("exit 0");
  scheduler.launch(current);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(current.task, TaskState::finished); }));
  EXPECT_EQ(scheduler.last(command.launch->task), nullptr);
  EXPECT_NE(get("/metrics").body.find("lotse_agent_commands_refused_total 1\n"), std::string::npos);
}

TEST_F(AgentWithProcesses, ASchedulerOfALowerTermIsRefused) {
  scheduler.term = 7;
  start_and_connect();
  scheduler.term = 6;
  ASSERT_TRUE(run_until(loop, [&] { return refusals.size() == 1; }));
  EXPECT_NE(refusals[0].text().find("term 6"), std::string::npos);
  scheduler.term = 8;
  std::size_t before = scheduler.streams.size();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.streams.size() > before; }));  // obeys the new one
}

TEST_F(AgentWithProcesses, ASchedulerOfAnotherClusterIsRefused) {
  start_and_connect();
  scheduler.cluster = "another";
  ASSERT_TRUE(run_until(loop, [&] { return refusals.size() == 1; }));
  EXPECT_NE(refusals[0].text().find("belongs to the cluster test-cluster"), std::string::npos);
}

TEST_F(AgentWithProcesses, A409IsToldOnceAndTriedAgain) {
  scheduler.registration_status = 409;
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.size() >= 3; }));
  EXPECT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].text(), "another data directory holds this id");
  scheduler.registration_status = 200;
  EXPECT_TRUE(run_until(loop, [&] { return scheduler.is_connected(); }));
}

TEST_F(AgentWithProcesses, StatusesWaitForASchedulerThatFails) {
  start_and_connect();
  scheduler.status_status = 503;
  auto launch = process_task("exit 5");
  scheduler.launch(launch);
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task + "/logs"));
  restart();  // they are on the disk, not in memory
  scheduler.status_status = 200;
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  for (std::size_t i = 0; i < scheduler.statuses.size(); ++i) EXPECT_EQ(scheduler.statuses[i].number, i + 1);
}

TEST_F(AgentWithProcesses, ARestartedAgentFindsItsProcesses) {
  start_and_connect();
  auto launch = process_task("while :; do sleep 0.05; done");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  std::size_t before = scheduler.registrations.size();
  restart();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.size() > before && scheduler.is_connected(); }));
  const model::AgentRegistration& again = scheduler.registrations.back();
  EXPECT_EQ(again.incarnation, 2u);
  ASSERT_EQ(again.tasks.size(), 1u);
  EXPECT_EQ(again.tasks[0].task, launch.task);
  EXPECT_EQ(again.tasks[0].state, TaskState::running);
  scheduler.kill(launch.task);
  EXPECT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

TEST_F(AgentWithProcesses, AnEndWhileTheAgentWasAwayIsTold) {
  start_and_connect();
  auto launch = process_task("while [ ! -e go ]; do sleep 0.02; done; exit 6");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  agent.reset();
  std::ofstream(folder.path() + "/data/sandboxes/" + launch.task + "/go") << "go";
  std::string exit_file = folder.path() + "/data/processes/" + launch.task + "/exit";
  ASSERT_TRUE(run_until(loop, [&] { return std::filesystem::exists(exit_file); }));
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 6");
}

TEST_F(AgentWithProcesses, AnEndOfAnAdoptedProcessIsSeen) {
  start_and_connect();
  auto launch = process_task("while [ ! -e go ]; do sleep 0.02; done; exit 7");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  restart();
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task));
  std::ofstream(folder.path() + "/data/sandboxes/" + launch.task + "/go") << "go";
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "exit code 7");
}

TEST_F(AgentWithProcesses, AKillInFlightSurvivesARestart) {
  start_and_connect();
  auto launch = process_task("trap '' TERM; echo ready >ready; while :; do sleep 0.05; done");
  scheduler.launch(launch);
  std::string marker = folder.path() + "/data/sandboxes/" + launch.task + "/ready";
  ASSERT_TRUE(run_until(loop, [&] { return std::filesystem::exists(marker); }));
  scheduler.kill(launch.task, 0.5);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killing); }));
  restart();
  EXPECT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

TEST_F(AgentWithProcesses, ASecondAgentOnTheSameDataIsRefused) {
  start();
  Agent second(loop, options);
  auto started = second.start();
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().text().find("another agent runs with this data directory"), std::string::npos);
}

TEST_F(AgentWithProcesses, StopLeavesTasksAloneUnlessAsked) {
  start_and_connect();
  auto launch = process_task("sleep 100");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  bool stopped = false;
  agent->stop({}, [&] { stopped = true; });
  ASSERT_TRUE(run_until(loop, [&] { return stopped; }));
  agent.reset();
  options.kill_tasks_on_stop = true;
  start_and_connect();
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task));
  stopped = false;
  std::vector<std::string> progress;
  agent->stop([&](const std::string& line) { progress.push_back(line); }, [&] { stopped = true; });
  ASSERT_TRUE(run_until(loop, [&] { return stopped; }));
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.front(), "stopping 1 task");
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/data/processes/" + launch.task));
}

TEST_F(AgentWithProcesses, CommandChecksDecideHealth) {
  start_and_connect();
  auto launch = process_task("sleep 100");
  model::HealthCheck check;
  check.protocol = model::HealthProtocol::command;
  check.command = "test ! -e bad";
  check.interval = model::Seconds(0.05);
  check.grace_period = model::Seconds(0);
  check.max_consecutive_failures = 2;
  launch.app.health_checks.push_back(check);
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));
  EXPECT_TRUE(scheduler.health_of(launch.task)->is_ready);
  std::ofstream(folder.path() + "/data/sandboxes/" + launch.task + "/bad") << "bad";
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.health_of(launch.task)->wants_kill; }));
  EXPECT_EQ(is_alive(launch.task), false);
  EXPECT_EQ(scheduler.health_of(launch.task)->results[0].last_failure_cause, "command: exit code 1");
  EXPECT_TRUE(scheduler.has(launch.task, TaskState::running));  // the scheduler decides
}

TEST_F(AgentWithProcesses, HealthSurvivesARestartOfTheAgent) {
  start_and_connect();
  auto launch = process_task("sleep 100");
  model::HealthCheck check;
  check.protocol = model::HealthProtocol::command;
  check.command = "true";
  check.interval = model::Seconds(3600);
  launch.app.health_checks.push_back(check);
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));
  scheduler.health.clear();
  restart();  // the next probe is an hour away, yet the task is healthy
  ASSERT_TRUE(run_until(loop, [&] { return is_alive(launch.task) == true; }));
  EXPECT_TRUE(scheduler.health_of(launch.task)->is_ready);
}

TEST_F(AgentWithProcesses, IsReadyAtOnceWithoutPorts) {
  start_and_connect();
  auto launch = process_task("sleep 100");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_ready(launch.task); }));
}

TEST_F(AgentWithProcesses, IsReadyWhenItsPortAccepts) {
  start_and_connect();
  auto listening = net::make_listening_socket(net::Address::parse("127.0.0.1:0").value());
  ASSERT_TRUE(listening.has_value());
  auto launch = process_task("sleep 100", {net::local_address(listening->get()).port()});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return is_ready(launch.task); }));
  net::UniqueFd probe(::accept(listening->get(), nullptr, nullptr));
  EXPECT_TRUE(static_cast<bool>(probe));
}

TEST_F(AgentWithProcesses, FollowsALog) {
  start_and_connect();
  auto launch = process_task("echo first; while [ ! -e go ]; do sleep 0.02; done; echo second");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  LogReader reader(*this, "/v1/tasks/" + launch.task + "/logs?follow=true");
  ASSERT_TRUE(run_until(loop, [&] { return reader.text == "first\n"; }));
  std::ofstream(folder.path() + "/data/sandboxes/" + launch.task + "/go") << "go";
  ASSERT_TRUE(run_until(loop, [&] { return reader.text == "first\nsecond\n" && reader.is_over; }));
}

TEST_F(AgentWithProcesses, FindsItsTasksAfterKillMinusNine) {
  // The first agent lives in a child process that is killed without a word right after the task runs.
  auto launch = process_task("while :; do sleep 0.05; done");
  pid_t child = ::fork();
  if (child == 0) {
    // A new loop, since the parent's belongs to the parent; the scheduler of this life, too.
    net::Loop child_loop;
    FakeScheduler child_scheduler(child_loop);
    AgentOptions child_options = options;
    child_options.scheduler = child_scheduler.url();
    Agent first(child_loop, child_options);
    if (!first.start()) ::_exit(1);
    if (!run_until(child_loop, [&] { return child_scheduler.is_connected(); })) ::_exit(2);
    child_scheduler.launch(launch);
    if (!run_until(child_loop, [&] { return child_scheduler.has(launch.task, TaskState::running); })) ::_exit(3);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  start_and_connect();
  EXPECT_EQ(scheduler.registrations.back().incarnation, 2u);
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task));
  scheduler.kill(launch.task);
  EXPECT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

}  // namespace
}  // namespace lotse::agent

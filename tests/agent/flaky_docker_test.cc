// The agent and a Docker that does not answer, or goes away: nothing is done twice, nothing is lost.
#include "tests/agent/flaky_docker.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/agent/docker_fixture.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

class AgentWithFlakyDocker : public DockerFixture {
 protected:
  AgentWithFlakyDocker() { options.docker_socket = flaky_path; }
  ~AgentWithFlakyDocker() override { agent.reset(); }

  // At its end the agent has to clean up, so Docker has to be there.
  void TearDown() override {
    flaky.go_down();
    flaky.come_up();
    DockerFixture::TearDown();
  }
  int containers_of_the_test() {
    nlohmann::json filters{{"label", nlohmann::json::array({"lotse.cluster=" + scheduler.cluster})}};
    return static_cast<int>(
        docker("GET", "/containers/json?all=1&filters=" + http::percent_encode(filters.dump())).size());
  }

  std::string flaky_path = folder.path() + "/flaky.sock";
  FlakyDocker flaky{loop, flaky_path, socket};
};

TEST_F(AgentWithFlakyDocker, ACreateWithoutAnAnswerIsLookedUpNotRepeated) {
  start_and_connect();
  flaky.drop_answers_to("POST /containers/create", 1);
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  EXPECT_EQ(flaky.dropped(), 1);
  EXPECT_EQ(flaky.seen("POST /containers/create"), 1);
  EXPECT_EQ(containers_of_the_test(), 1);
}

TEST_F(AgentWithFlakyDocker, AStartWithoutAnAnswerIsLookedUpNotRepeated) {
  start_and_connect();
  auto launch = task({"sleep"});
  flaky.drop_answers_to("POST /containers/lotse-" + launch.task + "/start", 1);
  launch_and_wait(launch);
  EXPECT_EQ(flaky.dropped(), 1);
  EXPECT_EQ(flaky.seen("POST /containers/lotse-" + launch.task + "/start"), 1);
}

TEST_F(AgentWithFlakyDocker, AStopWithoutAnAnswerStillEndsTheTask) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  flaky.drop_answers_to("POST /containers/lotse-" + launch.task + "/stop", 1);
  scheduler.kill(launch.task, 5);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
  EXPECT_TRUE(vanishes(launch.task));
}

TEST_F(AgentWithFlakyDocker, ADeathWhileDockerWasAwayIsTold) {
  start_and_connect();
  auto dies = task({"sleep"}), lives = task({"sleep"});
  launch_and_wait(dies);
  launch_and_wait(lives);
  flaky.go_down();
  ASSERT_TRUE(run_until(loop, [&] { return !scheduler.registrations.back().runtime_problem.empty(); }));
  EXPECT_EQ(scheduler.registrations.back().tasks.size(), 2u);  // nobody is dead because Docker does not answer
  docker("POST", "/containers/lotse-" + dies.task + "/kill");
  flaky.come_up();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(dies.task, TaskState::failed); }));
  EXPECT_TRUE(scheduler.has(lives.task, TaskState::running));
  EXPECT_TRUE(scheduler.registrations.back().runtime_problem.empty());
}

TEST_F(AgentWithFlakyDocker, AKillWhileDockerIsAwayHappensWhenItIsBack) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  flaky.go_down();
  scheduler.kill(launch.task, 5);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killing); }));
  flaky.come_up();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

TEST_F(AgentWithFlakyDocker, AnAgentThatDiedDuringACreateGoesOnWithIt) {
  start_and_connect();
  flaky.drop_answers_to("POST /containers/create", 1);
  auto launch = task({"sleep"});
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return flaky.seen("POST /containers/create") == 1; }));
  restart();  // before or after Docker has created it: looking tells
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::running); }));
  EXPECT_EQ(containers_of_the_test(), 1);
}

TEST_F(AgentWithFlakyDocker, AnAgentStartedWithoutDockerSaysItsListIsNotComplete) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  agent.reset();
  flaky.go_down();
  std::size_t before = scheduler.registrations.size();
  start();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.size() >= before + 3; }));
  for (std::size_t i = before; i < scheduler.registrations.size(); ++i) {
    if (scheduler.registrations[i].incarnation == 2) {
      EXPECT_FALSE(scheduler.registrations[i].has_tasks);
    }
  }
  EXPECT_EQ(get("/v1/tasks/" + launch.task).status, 503);  // nobody has looked: not confirmed
  flaky.come_up();
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.registrations.back().has_tasks; }));
  EXPECT_TRUE(answers("/v1/tasks/" + launch.task));
}

TEST_F(AgentWithFlakyDocker, ContainersStayInGoodHandsWhenTheRuntimeBecomesProcess) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch_and_wait(launch);
  options.runtime = RuntimeChoice::process;
  restart();
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task));
  EXPECT_EQ(scheduler.registrations.back().runtime, "process");
  scheduler.kill(launch.task, 5);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
}

}  // namespace
}  // namespace lotse::agent

// Real Docker for tests: an image of our own, built FROM scratch without pulling, and a way to talk to the engine
// behind the agent's back. Fails, not skips, without Docker. Every container of the test is removed at its end, by
// label.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "http/url.h"
#include "tests/agent/agent_fixture.h"

namespace lotse::agent {

class DockerFixture : public AgentFixture {
 protected:
  DockerFixture();
  void SetUp() override;
  void TearDown() override;

  nlohmann::json docker(const std::string& method, const std::string& target, std::string body = {},
                        std::string content_type = "application/json");
  nlohmann::json inspect(const model::TaskId& task) { return docker("GET", "/containers/lotse-" + task + "/json"); }
  bool vanishes(const model::TaskId& task) {  // its container is removed, sooner or later
    Instant deadline = loop.clock().now() + std::chrono::seconds(30);
    while (loop.clock().now() < deadline) {
      if (inspect(task); last_status == 404) return true;
    }
    return false;
  }
  model::LaunchTask task(std::vector<std::string> words, std::vector<std::pair<int, int>> ports = {}) {
    return container_task(image, std::move(words), std::move(ports));
  }
  void launch_and_wait(const model::LaunchTask& launch) {
    scheduler.launch(launch);
    ASSERT_TRUE(run_until(loop, [&] {
      return scheduler.has(launch.task, model::TaskState::running) ||
             scheduler.has(launch.task, model::TaskState::failed);
    }));
    ASSERT_TRUE(scheduler.has(launch.task, model::TaskState::running)) << scheduler.last(launch.task)->message;
  }
  void remove_containers_with(const std::string& label);

  int last_status = 0;
  std::string socket = "/var/run/docker.sock";
  std::string image;  // of this test process
};

std::string test_image_archive();  // for POST /images/create?fromSrc=-
int free_port();                   // free a moment ago; containers cannot bind port 0 and tell us

}  // namespace lotse::agent

// `fetch` and the sandbox, with the whole agent: over HTTP for processes, and as a container sees it.
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "http/server.h"
#include "tests/agent/docker_fixture.h"
#include "tests/agent/test_archive.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;
using model::TaskState;

template <typename Fixture>
class WithFiles : public Fixture {
 protected:
  WithFiles() {
    router.add("GET", "/files/{name}", [this](http::ServerRequest& request, http::Responder responder) {
      ++requests;
      const std::string& name = request.captures[0];
      if (name == "never") return waiting.push_back(std::move(responder));
      if (name == "moved") {
        return responder.respond({.status = 302, .fields = {{"Location", "/files/hello.txt"}}, .body = {}});
      }
      auto file = files.find(name);
      if (file == files.end()) return responder.respond({.status = 404, .fields = {}, .body = "no"});
      responder.respond({.status = 200, .fields = {}, .body = file->second, .content_type = "text/plain"});
    });
    server = std::make_unique<http::Server>(this->loop, router, http::Server::Options{});
    address = server->listen(net::Address::parse("127.0.0.1:0").value())->to_string();
    files["hello.txt"] = "hello";
  }
  ~WithFiles() override { waiting.clear(); }
  model::Fetch from_server(const std::string& name) const {
    model::Fetch fetch;
    fetch.uri = "http://" + address + "/files/" + name;
    return fetch;
  }
  std::string sandbox(const model::LaunchTask& launch) const {
    return this->folder.path() + "/data/sandboxes/" + launch.task;
  }
  void add_archive(const std::string& name, const std::vector<TestEntry>& entries) {
    std::string path = this->folder.path() + "/" + name;
    write_archive(path, entries);
    std::ifstream file(path, std::ios::binary);
    files[name] = std::string((std::istreambuf_iterator<char>(file)), {});
  }

  http::Router router;
  std::unique_ptr<http::Server> server;
  std::string address;
  std::map<std::string, std::string> files;
  std::vector<http::Responder> waiting;
  int requests = 0;
};

class FetchingAgent : public WithFiles<AgentFixture> {
 protected:
  FetchingAgent() { options.runtime = RuntimeChoice::process; }
};

TEST_F(FetchingAgent, HasEverythingInItsSandboxBeforeTheCommandRuns) {
  start_and_connect();
  add_archive("app.tgz",
              {{.name = "bin/run", .content = "#!/bin/sh\necho it runs; cat hello.txt conf/it\n", .mode = 0755}});
  files["tool"] = "#!/bin/sh\necho tool\n";
  auto launch = process_task("bin/run; ./tool; pwd; echo $MESOS_SANDBOX");
  launch.app.fetch = {from_server("app.tgz"), from_server("hello.txt"), from_server("moved"), from_server("tool")};
  launch.app.fetch[2].dest_path = "conf/it";
  launch.app.fetch[3].executable = true;
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  std::string place = sandbox(launch) + "\n";
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "it runs\nhellohellotool\n" + place + place);
}

TEST_F(FetchingAgent, TellsWhatCouldNotBeFetched) {
  start_and_connect();
  auto launch = process_task("true");
  launch.app.fetch = {from_server("hello.txt"), from_server("absent?token=secret")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "cannot fetch http://" + address + "/files/absent: answers 404");
  EXPECT_FALSE(std::filesystem::exists(sandbox(launch)));
}

TEST_F(FetchingAgent, TellsThatNobodyAnswers) {
  start_and_connect();
  auto launch = process_task("true");
  launch.app.fetch = {from_server("hello.txt")};
  server.reset();
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("Failed to connect"), std::string::npos)
      << scheduler.last(launch.task)->message;
}

TEST_F(FetchingAgent, AKillEndsAFetchUnderWay) {
  start_and_connect();
  auto launch = process_task("true");
  launch.app.fetch = {from_server("never")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return !waiting.empty(); }));
  scheduler.kill(launch.task);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::killed); }));
  EXPECT_EQ(scheduler.last(launch.task)->message, "ended before it ran");
  EXPECT_TRUE(run_until(loop, [&] { return std::filesystem::is_empty(folder.path() + "/data/sandboxes"); }));
}

TEST_F(FetchingAgent, GivesUpWhatTakesTooLong) {
  options.fetch.time_max = 1500ms;
  start_and_connect();
  auto launch = process_task("true");
  launch.app.fetch = {from_server("never")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("takes longer than the 1 s"), std::string::npos)
      << scheduler.last(launch.task)->message;
  EXPECT_NE(get("/metrics").body.find("lotse_agent_fetch_failures_total 1\n"), std::string::npos);
}

TEST_F(FetchingAgent, AnAgentThatGoesAwayInAFetchStartsItAgain) {
  start_and_connect();
  auto launch = process_task("cat hello.txt");
  launch.app.fetch = {from_server("hello.txt"), from_server("never")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return !waiting.empty(); }));
  waiting.clear();
  restart();
  ASSERT_TRUE(run_until(loop, [&] { return !waiting.empty(); }));
  waiting.front().respond({.status = 200, .fields = {}, .body = "x"});
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "hello");
}

TEST_F(FetchingAgent, FetchesOnceWhatIsToBeCached) {
  start_and_connect();
  for (int i = 0; i < 3; ++i) {
    auto launch = process_task("cat hello.txt");
    launch.app.fetch = {from_server("hello.txt")};
    launch.app.fetch[0].cache = true;
    scheduler.launch(launch);
    ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  }
  EXPECT_EQ(requests, 1);
}

TEST_F(FetchingAgent, KeepsASandboxForAWhileAfterItsTaskEnded) {
  start_and_connect();
  auto launch = process_task("echo work >result");
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  ASSERT_TRUE(answers("/v1/tasks/" + launch.task + "/logs"));
  EXPECT_TRUE(std::filesystem::exists(sandbox(launch) + "/result"));
  std::filesystem::create_directories(folder.path() + "/data/sandboxes/of-nobody");
  restart();
  EXPECT_TRUE(std::filesystem::exists(sandbox(launch) + "/result"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/data/sandboxes/of-nobody"));
}

TEST_F(FetchingAgent, GivesTheSandboxToTheTasksUser) {
  if (::getuid() != 0) GTEST_SKIP() << "only root can give files away";
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  start_and_connect();
  add_archive("app.tar", {{.name = "data/x", .content = "x"}});
  auto launch = process_task("echo mine >>data/x && stat -c %U data/x data");
  launch.app.user = "nobody";
  launch.app.fetch = {from_server("app.tar")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(
      loop, [&] { return scheduler.last(launch.task) && model::is_terminal(scheduler.last(launch.task)->state); }));
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "nobody\nnobody\n");
}

using FetchingAgentWithDocker = WithFiles<DockerFixture>;

TEST_F(FetchingAgentWithDocker, AContainerFindsItsFilesInMesosSandbox) {
  start_and_connect();
  add_archive("app.tgz", {{.name = "conf/a", .content = "unpacked\n"}});
  auto launch = task({"cat", "/mnt/mesos/sandbox/conf/a", "/mnt/mesos/sandbox/hello.txt"});
  launch.app.fetch = {from_server("app.tgz"), from_server("hello.txt")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::finished); }));
  ASSERT_TRUE(vanishes(launch.task));
  EXPECT_EQ(get("/v1/tasks/" + launch.task + "/logs").body, "unpacked\nhello");
}

TEST_F(FetchingAgentWithDocker, WhatCannotBeFetchedLeavesNoContainer) {
  start_and_connect();
  auto launch = task({"sleep"});
  launch.app.fetch = {from_server("absent")};
  scheduler.launch(launch);
  ASSERT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
  EXPECT_NE(scheduler.last(launch.task)->message.find("/files/absent: answers 404"), std::string::npos);
  inspect(launch.task);
  EXPECT_EQ(last_status, 404);
}

}  // namespace
}  // namespace lotse::agent

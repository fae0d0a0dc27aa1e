// Images from a real registry (Debian's docker-registry) on loopback, with and without passwords: push, remove, pull by
// launching a task.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/durable_file.h"
#include "agent/registry_credentials.h"
#include "net/process.h"
#include "tests/agent/docker_fixture.h"
#include "tests/agent/test_archive.h"

namespace lotse::agent {
namespace {

using model::TaskState;

constexpr const char* kPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

class AgentWithRegistry : public DockerFixture {
 protected:
  AgentWithRegistry() { options.docker_config = folder.path() + "/docker/config.json"; }

  // `passwords`: only alice may enter, with "s3cret".
  void serve(bool passwords) {
    std::string home = folder.path() + "/registry";
    make_folders(home).value();
    make_folders(folder.path() + "/docker").value();
    std::string auth;
    if (passwords) {
      ASSERT_EQ(run({"htpasswd", "-Bbc", home + "/htpasswd", "alice", "s3cret"}), 0);
      auth = fmt::format("auth:\n  htpasswd:\n    realm: test\n    path: {}/htpasswd\n", home);
    }
    std::ofstream(home + "/config.yml") << fmt::format(
        "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: {}/data\nhttp:\n  addr: "
        "127.0.0.1:0\n{}",
        home, auth);
    int log = ::open((home + "/log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    net::ProcessOptions how{.file = "/usr/bin/docker-registry",
                            .arguments = {"serve", home + "/config.yml"},
                            .environment = {kPath},
                            .directory = "/",
                            .stdout_fd = log,
                            .stderr_fd = log,
                            .new_session = true};
    auto spawned = net::Process::spawn(loop, how, [](int, int) {});
    ::close(log);
    ASSERT_TRUE(spawned.has_value()) << "these tests need Debian's docker-registry and apache2-utils";
    process = std::move(*spawned);
    ASSERT_TRUE(run_until(loop, [&] { return !(host = address_in(home + "/log")).empty(); }));
  }
  static std::string address_in(const std::string& log) {
    auto text = read_whole(log);
    std::size_t at = text ? text->content.find("listening on 127.0.0.1:") : std::string::npos;
    if (at == std::string::npos) return {};
    at += std::string("listening on ").size();
    return text->content.substr(at, text->content.find_first_not_of("0123456789.:", at) - at);
  }
  void TearDown() override {
    DockerFixture::TearDown();
    docker("DELETE", "/images/" + name() + "?force=1");
    if (process) process->kill(SIGKILL, true);
  }

  int run(std::vector<std::string> words) {
    net::ProcessOptions how{
        .file = words[0], .arguments = {words.begin() + 1, words.end()}, .environment = {kPath}, .directory = "/"};
    std::optional<int> code;
    auto running = net::Process::spawn(loop, how, [&](int exit_code, int) { code = exit_code; });
    if (!running) return -1;
    EXPECT_TRUE(run_until(loop, [&] { return code.has_value(); }));
    return code.value_or(-1);
  }

  std::string name() const { return host + "/team/app:1"; }
  void tag(const std::string& source) {
    docker("POST", "/images/" + source + "/tag?repo=" + http::percent_encode(host + "/team/app") + "&tag=1");
    ASSERT_EQ(last_status, 201);
  }
  void remove_here() { docker("DELETE", "/images/" + name() + "?force=1"); }
  void push() {
    http::ClientRequest request;
    request.method = "POST";
    request.endpoint.unix_path = socket;
    request.target = "/images/" + host + "/team/app/push?tag=1";
    RegistryCredentials alice{.username = "alice", .password = "s3cret", .identity_token = {}};
    request.fields.emplace_back("X-Registry-Auth", registry_auth_field(alice, host));
    std::optional<Result<http::ClientResponse>> answer;
    auto call =
        client.send(std::move(request), [&](Result<http::ClientResponse> got) { answer.emplace(std::move(got)); });
    ASSERT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
    ASSERT_TRUE(answer->has_value() && (*answer)->body.find("digest: sha256:") != std::string::npos)
        << (answer->has_value() ? (*answer)->body : "");
  }
  void push_and_remove() {
    tag(image);
    push();
    remove_here();
  }
  void write_config(const nlohmann::json& config) { std::ofstream(options.docker_config) << config.dump(); }
  void write_login(const std::string& user_and_password_base64) {
    write_config({{"auths", {{host, {{"auth", user_and_password_base64}}}}}});
  }
  // How the task ended: its message.
  std::string run_task(bool force_pull = false, std::vector<std::string> words = {"exit", "7"}) {
    auto launch = container_task(name(), std::move(words));
    launch.app.container->force_pull_image = force_pull;
    return run_task(launch);
  }
  std::string run_task(const model::LaunchTask& launch) {
    scheduler.launch(launch);
    EXPECT_TRUE(run_until(loop, [&] { return scheduler.has(launch.task, TaskState::failed); }));
    return scheduler.last(launch.task) ? scheduler.last(launch.task)->message : "";
  }

  std::unique_ptr<net::Process> process;
  std::string host;
};

constexpr const char* kAlice = "YWxpY2U6czNjcmV0";         // alice:s3cret
constexpr const char* kAliceGuesses = "YWxpY2U6Z3Vlc3M=";  // alice:guess

TEST_F(AgentWithRegistry, PullsFromAnOpenRegistry) {
  serve(false);
  push_and_remove();
  start_and_connect();
  EXPECT_EQ(run_task(), "exit code 7");
}

TEST_F(AgentWithRegistry, PullsAgainOnlyWhenForcedTo) {
  serve(false);
  // What the registry has as :1 exits with 3; what this node has under that name exits with 7.
  docker("POST",
         "/images/create?fromSrc=-&repo=lotse-test-newer&tag=" + std::to_string(::getpid()) +
             "&changes=" + http::percent_encode("ENTRYPOINT [\"/task\",\"exit\",\"3\"]"),
         test_image_archive(), "application/x-tar");
  ASSERT_EQ(last_status, 200);
  std::string newer = "lotse-test-newer:" + std::to_string(::getpid());
  tag(newer);
  push();
  docker("DELETE", "/images/" + newer + "?force=1");
  tag(image);
  start_and_connect();
  EXPECT_EQ(run_task(false), "exit code 7");
  EXPECT_EQ(run_task(true), "exit code 3");
}

TEST_F(AgentWithRegistry, PullsFromAPrivateRegistryByTheNodesDockerConfig) {
  serve(true);
  push_and_remove();
  write_login(kAlice);
  start_and_connect();
  EXPECT_EQ(run_task(), "exit code 7");
}

TEST_F(AgentWithRegistry, AWrongPasswordIsToldAndARightOneCountsAtOnce) {
  serve(true);
  push_and_remove();
  write_login(kAliceGuesses);
  start_and_connect();
  std::string message = run_task();
  EXPECT_NE(message.find("authentication required"), std::string::npos) << message;
  EXPECT_TRUE(message.starts_with("cannot pull " + name() + ": ")) << message;
  EXPECT_TRUE(message.ends_with(" (asked as \"alice\", by " + options.docker_config + ")")) << message;
  write_login(kAlice);
  EXPECT_EQ(run_task(), "exit code 7");
}

TEST_F(AgentWithRegistry, WithoutCredentialsTheMessageSaysWhereTheyWouldBe) {
  serve(true);
  push_and_remove();
  start_and_connect();
  std::string message = run_task();
  EXPECT_NE(message.find("`docker login " + host + "` on this node would write them to " + options.docker_config),
            std::string::npos)
      << message;
  std::ofstream(options.docker_config) << "{ not json";
  message = run_task();
  EXPECT_NE(message.find("cannot be used: is not a JSON object"), std::string::npos) << message;
}

TEST_F(AgentWithRegistry, AnUnknownTagIsToldWithoutAWordAboutCredentials) {
  serve(false);
  start_and_connect();
  std::string message = run_task();
  EXPECT_NE(message.find("manifest"), std::string::npos) << message;
  EXPECT_EQ(message.find("credentials"), std::string::npos) << message;
}

// As Marathon's documentation told people to do it: a docker.tar.gz among the URIs.
TEST_F(AgentWithRegistry, TheTasksOwnDockerConfigComesFirst) {
  serve(true);
  push_and_remove();
  write_login(kAliceGuesses);
  nlohmann::json config{{"auths", {{host, {{"auth", kAlice}}}}}};
  write_archive(folder.path() + "/docker.tar.gz", {{.name = ".docker/config.json", .content = config.dump()}});
  start_and_connect();
  auto launch = container_task(name(), {"exit", "7"});
  launch.app.fetch.emplace_back().uri = "file://" + folder.path() + "/docker.tar.gz";
  EXPECT_EQ(run_task(launch), "exit code 7");
}

TEST_F(AgentWithRegistry, AsksTheHelperThatTheConfigNames) {
  serve(true);
  push_and_remove();
  std::string helper = folder.path() + "/docker-credential-test";
  std::ofstream(helper) << "#!/bin/sh\nread -r server\n[ \"$1 $server\" = \"get " + host +
                               "\" ] && echo '{\"Username\":\"alice\",\"Secret\":\"s3cret\"}'\n";
  ASSERT_EQ(::chmod(helper.c_str(), 0755), 0);
  std::string path = std::getenv("PATH");
  ::setenv("PATH", (folder.path() + ":" + path).c_str(), 1);
  write_config({{"credHelpers", {{host, "test"}}}});
  start_and_connect();
  EXPECT_EQ(run_task(), "exit code 7");
  remove_here();
  std::ofstream(helper) << "#!/bin/sh\nexit 1\n";
  std::string message = run_task();
  EXPECT_NE(message.find("docker-credential-test, which " + options.docker_config + " names, gave none"),
            std::string::npos)
      << message;
  ::setenv("PATH", path.c_str(), 1);
}

}  // namespace
}  // namespace lotse::agent

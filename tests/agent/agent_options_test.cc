#include <gtest/gtest.h>

#include "agent/agent.h"
#include "net/listen.h"
#include "tests/agent/test_loop.h"
#include "tests/temporary_folder.h"

namespace lotse::agent {
namespace {

std::string problem_of(const std::function<void(AgentOptions&)>& change) {
  TemporaryFolder folder;
  net::Loop loop;
  AgentOptions options;
  options.listen = "127.0.0.1:0";
  options.data = folder.path() + "/data";
  options.runtime = RuntimeChoice::process;
  change(options);
  Agent agent(loop, options);
  auto started = agent.start();
  return started ? "" : started.error().text();
}

TEST(AgentOptions, AreRefusedWithTheNameOfTheOption) {
  EXPECT_EQ(problem_of([](AgentOptions&) {}), "");
  EXPECT_NE(problem_of([](AgentOptions& o) { o.scheduler = "ftp://x"; }).find("--scheduler"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.scheduler = "unix:/x"; }).find("--scheduler"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.listen = "nowhere"; }).find("--listen"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.ports = {5, 4}; }).find("--ports"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.ports = {0, 70000}; }).find("--ports"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.data = ""; }).find("--data"), std::string::npos);
  EXPECT_NE(problem_of([](AgentOptions& o) { o.data = "/proc/nothing/here"; }).find("/proc"), std::string::npos);
}

TEST(AgentOptions, AListeningAddressInUseIsNamed) {
  auto taken = net::make_listening_socket(net::Address::parse("127.0.0.1:0").value());
  std::string address = net::local_address(taken->get()).to_string();
  EXPECT_NE(problem_of([&](AgentOptions& o) { o.listen = address; }).find(address), std::string::npos);
}

TEST(RuntimeChoice, IsReadFromItsName) {
  EXPECT_EQ(parse_runtime_choice("auto").value(), RuntimeChoice::automatic);
  EXPECT_EQ(parse_runtime_choice("docker").value(), RuntimeChoice::docker);
  EXPECT_EQ(parse_runtime_choice("process").value(), RuntimeChoice::process);
  EXPECT_FALSE(parse_runtime_choice("podman").has_value());
}

}  // namespace
}  // namespace lotse::agent

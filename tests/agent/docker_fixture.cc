#include "tests/agent/docker_fixture.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "http/url.h"

namespace lotse::agent {
namespace {

// One entry of a ustar archive.
void append_file(std::string& archive, const std::string& name, const std::string& content) {
  std::array<char, 512> head{};
  auto put = [&](std::size_t at, const std::string& text) { std::memcpy(head.data() + at, text.data(), text.size()); };
  put(0, name);
  put(100, "0000755");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (char c : head) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  head[154] = '\0';
  archive.append(head.data(), head.size());
  archive += content;
  archive.resize((archive.size() + 511) / 512 * 512, '\0');
}

}  // namespace

std::string test_image_archive() {
  std::ifstream file(LOTSE_TEST_TASK, std::ios::binary);
  std::string program((std::istreambuf_iterator<char>(file)), {});
  EXPECT_FALSE(program.empty());
  std::string archive;
  append_file(archive, "task", program);
  append_file(archive, "bin/sh", program);
  archive.append(1024, '\0');
  return archive;
}

int free_port() {
  auto listening = net::make_listening_socket(net::Address::parse("0.0.0.0:0").value());
  return net::local_address(listening->get()).port();
}

DockerFixture::DockerFixture() {
  image = fmt::format("lotse-test-agent:{}", ::getpid());
  scheduler.cluster = "test-" + unique_task_id("cluster");
  options.runtime = RuntimeChoice::docker;
}

nlohmann::json DockerFixture::docker(const std::string& method, const std::string& target, std::string body,
                                     std::string content_type) {
  http::ClientRequest request;
  request.method = method;
  request.endpoint.unix_path = socket;
  request.target = target;
  if (!body.empty()) request.fields.emplace_back("Content-Type", content_type);
  request.body = std::move(body);
  std::optional<Result<http::ClientResponse>> answer;
  auto call =
      client.send(std::move(request), [&](Result<http::ClientResponse> got) { answer.emplace(std::move(got)); });
  EXPECT_TRUE(run_until(
      loop, [&] { return answer.has_value(); }, std::chrono::seconds(60)));
  last_status = answer && *answer ? (*answer)->status : 0;
  if (last_status == 0) return {};
  return nlohmann::json::parse((*answer)->body, nullptr, false);
}

void DockerFixture::SetUp() {
  docker("GET", "/_ping");
  ASSERT_EQ(last_status, 200) << "these tests need a Docker Engine at " << socket;
  docker("POST",
         "/images/create?fromSrc=-&repo=lotse-test-agent&tag=" + std::to_string(::getpid()) +
             "&changes=" + http::percent_encode("ENTRYPOINT [\"/task\"]"),
         test_image_archive(), "application/x-tar");
  ASSERT_EQ(last_status, 200);
}

void DockerFixture::TearDown() {
  AgentFixture::TearDown();
  remove_containers_with("lotse.cluster=" + scheduler.cluster);
  docker("DELETE", "/images/" + image + "?force=1");
}

void DockerFixture::remove_containers_with(const std::string& label) {
  nlohmann::json filters{{"label", nlohmann::json::array({label})}};
  for (const auto& container :
       docker("GET", "/containers/json?all=1&filters=" + http::percent_encode(filters.dump()))) {
    docker("DELETE", "/containers/" + container["Id"].get<std::string>() + "?force=1&v=1");
  }
}

}  // namespace lotse::agent

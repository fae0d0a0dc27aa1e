// One request and its response through the real Proxy, two workers, raw sockets on both sides.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class ExchangeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
  }
  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(ExchangeTest, AnswersAGetFromTheEndpointAndKeepsTheConnection) {
  auto client = harness.connect();
  for (int i = 0; i < 5; ++i) {
    std::string answer = harness.ask(*client, "GET /app/x?y=1 HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_TRUE(answer.ends_with("\r\n\r\na")) << answer;
  }
  EXPECT_EQ(backend->requests, 5U);
  EXPECT_EQ(backend->accepted, 1U);
  EXPECT_TRUE(backend->last_request.starts_with("GET /x?y=1 HTTP/1.1\r\nHost: shop.test\r\n")) << backend->last_request;
}

}  // namespace
}  // namespace lotse::proxy::test

// Checks by gRPC (apps.*.health with `by: grpc`), against the answers that servers give.
#include "tests/proxy/h2_backend.h"

namespace lotse::proxy::test {
namespace {

class GrpcHealthTest : public ::testing::Test {
 protected:
  void start(const std::string& service = "") {
    HealthCheck check{.by = HealthCheck::By::grpc, .service = service, .unhealthy_after = 1};
    check.interval = 20ms;
    harness.config.apps["/app"] = {.protocol = AppProtocol::h2, .health = check};
    harness.start();
    harness.apply({Harness::endpoint("/app", backend.backend)});
  }
  void answer(const std::string& message, const std::string& status) {
    backend.on_request = [this, message, status](H2Backend::Stream& one) {
      if (message.empty())
        return backend.respond_head(one, "200", {{"content-type", "application/grpc"}, {"grpc-status", status}});
      backend.respond(one, "200", {{"content-type", "application/grpc"}}, message, {{"grpc-status", status}});
    };
  }
  std::uint64_t checks(const std::string& result) {
    return harness.metric("lotse_health_checks_total{result=\"" + result + "\"}");
  }
  bool is_failing_with(const std::string& why) {
    return harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 1; }) &&
           harness.run_until([&] { return harness.proxy->routes_json().find(why) != std::string::npos; });
  }
  static std::string serving(char status) { return std::string("\0\0\0\0\2\x08", 6) + status; }

  Harness harness;
  H2Backend backend{harness.loop, "a"};
};

TEST_F(GrpcHealthTest, ServingPassesAndNothingElse) {
  answer(serving(1), "0");
  start("pkg.Service");
  ASSERT_TRUE(harness.run_until([&] { return checks("passed") >= 2; }));
  EXPECT_EQ(checks("failed"), 0U);
  EXPECT_EQ(backend.last().field(":path"), "/grpc.health.v1.Health/Check");
  EXPECT_EQ(backend.last().field("te"), "trailers");
  EXPECT_EQ(backend.last().body, std::string("\0\0\0\0\x0d\x0a\x0b", 7) + "pkg.Service");

  answer(serving(2), "0");
  EXPECT_TRUE(is_failing_with("is not SERVING"));
  answer(serving(1), "0");
  EXPECT_TRUE(harness.run_until([&] { return harness.metric("lotse_endpoints_unhealthy") == 0; }));
  answer("", "12");
  EXPECT_TRUE(is_failing_with("grpc-status 12 (unimplemented)"));
}

TEST_F(GrpcHealthTest, AnEmptyAnswerFails) {
  answer(std::string(5, '\0'), "0");
  start();
  EXPECT_TRUE(is_failing_with("is not SERVING"));
  EXPECT_EQ(backend.last().body, std::string(5, '\0'));
}

TEST_F(GrpcHealthTest, AResetFails) {
  backend.on_request = [this](H2Backend::Stream& one) { backend.reset(one, NGHTTP2_INTERNAL_ERROR); };
  start();
  EXPECT_TRUE(is_failing_with("reset the stream (INTERNAL_ERROR)"));
}

TEST_F(GrpcHealthTest, AServerThatDoesNotSpeakHttp2Fails) {
  backend.backend.script = [](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"); };
  start();
  EXPECT_TRUE(is_failing_with("broke the rules of HTTP/2"));
}

TEST_F(GrpcHealthTest, AnEndpointThatRefusesFails) {
  backend.backend.die();
  start();
  EXPECT_TRUE(is_failing_with("refused"));
}

}  // namespace
}  // namespace lotse::proxy::test

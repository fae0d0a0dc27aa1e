// gRPC: which requests are calls, and what a client of one gets when the proxy answers, or tries again.
#include "proxy/grpc.h"

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

http::RequestHead head_with(const std::vector<http::Field>& fields) {
  http::RequestHead head;
  head.method = http::Method::post;
  head.fields = fields;
  return head;
}

TEST(Grpc, ACallIsAPostWithItsContentType) {
  for (const char* type : {"application/grpc", "application/grpc+proto", "Application/GRPC;x=y"}) {
    std::vector<http::Field> fields{{"content-type", type}};
    EXPECT_TRUE(is_grpc_call(head_with(fields))) << type;
  }
  for (const char* type : {"application/grpc-web", "application/grpcx", "application/json", ""}) {
    std::vector<http::Field> fields{{"content-type", type}};
    EXPECT_FALSE(is_grpc_call(head_with(fields))) << type;
  }
  std::vector<http::Field> fields{{"content-type", "application/grpc"}};
  http::RequestHead get = head_with(fields);
  get.method = http::Method::get;
  EXPECT_FALSE(is_grpc_call(get));
}

TEST(Grpc, ATimeoutIsUpToEightDigitsAndAUnit) {
  const std::pair<const char*, std::optional<Duration>> kCases[] = {
      {"250m", 250ms},       {"1S", 1s},
      {"2M", 2min},          {"3H", 3h},
      {"7u", 7us},           {"99999999n", 99999999ns},
      {"0m", 0ms},           {"", std::nullopt},
      {"m", std::nullopt},   {"5", std::nullopt},
      {"-1m", std::nullopt}, {"1 m", std::nullopt},
      {"1x", std::nullopt},  {"123456789m", std::nullopt},
  };
  for (const auto& [text, expected] : kCases) {
    std::vector<http::Field> fields{{"grpc-timeout", text}};
    EXPECT_EQ(grpc_timeout(head_with(fields)), expected) << text;
  }
  std::vector<http::Field> fields{{"grpc-timeout", "99999999H"}};
  EXPECT_GE(grpc_timeout(head_with(fields)).value(), 24h * 365);
}

TEST(Grpc, WhatIsNoStatusIsUnknown) {
  const std::pair<const char*, int> kCases[] = {{"0", 0}, {"16", 16}, {"17", 2}, {"-1", 2}, {"", 2}, {"x", 2}};
  for (const auto& [text, expected] : kCases) {
    std::vector<http::Field> fields{{"Grpc-Status", text}};
    EXPECT_EQ(grpc_status_of(fields), expected) << text;
  }
  EXPECT_EQ(grpc_status_of({}), std::nullopt);
}

TEST(Grpc, AMessageIsEncoded) {
  std::string text;
  append_grpc_message("100 % \xc3\xa4\n~", text);
  EXPECT_EQ(text, "100 %25 %C3%A4%0A~");
}

const std::string kCall =
    "POST /app/pkg.Service/Method HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nTE: trailers\r\n"
    "Connection: TE\r\nContent-Length: 5\r\n";
const std::string kBody = std::string(5, '\0');

class GrpcCallTest : public ::testing::Test {
 protected:
  void start() {
    harness.config.apps["/app"].balance = Balance::round_robin;
    RouteConfig route;
    route.match.path = "/retried";
    route.to.push_back({{"/app", ""}, 1});
    route.retry = RetryPolicy{.attempts = 3, .when_grpc = {kGrpcUnavailable}};
    harness.config.routes.push_back(route);
    harness.start();
    harness.apply({Harness::endpoint("/app", backend), Harness::endpoint("/app", other)});
  }
  std::uint64_t calls(int status) {
    return harness.metric("lotse_app_grpc_calls_total{app=\"/app\",status=\"" + std::to_string(status) + "\"}");
  }
  static std::string trailers_only(int status) {
    return "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: " + std::to_string(status) +
           "\r\nContent-Length: 0\r\n\r\n";
  }
  Harness harness;
  Backend backend{harness.loop, "a"}, other{harness.loop, "b"};
};

TEST_F(GrpcCallTest, AnAnswerOfOursIsAStatusThatACallUnderstands) {
  start();
  auto client = harness.connect();
  std::string call = kCall;
  call.replace(call.find("/app"), 4, "/nobody");
  std::string answer = harness.ask(*client, call + "\r\n" + kBody);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("content-type: application/grpc\r\n"), std::string::npos);
  EXPECT_NE(answer.find("grpc-status: 12\r\n"), std::string::npos) << answer;  // 404: UNIMPLEMENTED

  harness.apply({}, {Harness::endpoint("/app", backend), Harness::endpoint("/app", other)});
  answer = harness.ask(*client, kCall + "\r\n" + kBody);
  EXPECT_NE(answer.find("grpc-status: 14\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("grpc-message: app /app has no endpoints\r\n"), std::string::npos) << answer;
  EXPECT_EQ(calls(kGrpcUnavailable), 1U);
}

TEST_F(GrpcCallTest, TheClientsTimeIsOursWhenItIsShorter) {
  start();
  backend.script = other.script = [](Peer&) {};
  auto client = harness.connect();
  std::string answer = harness.ask(*client, kCall + "grpc-timeout: 50m\r\n\r\n" + kBody);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_NE(answer.find("grpc-status: 4\r\n"), std::string::npos) << answer;
  EXPECT_EQ(harness.metric("lotse_grpc_deadlines_total"), 1U);
  EXPECT_EQ(calls(kGrpcDeadlineExceeded), 1U);
}

TEST_F(GrpcCallTest, TimeThatEndsInTheMiddleOfAnAnswerEndsItWithAStatus) {
  start();
  backend.script = other.script = [](Peer& peer) {
    if (peer.received.find("\r\n\r\n") == std::string::npos) return;
    peer.received.clear();
    peer.send("HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  };
  auto client = harness.connect();
  client->send(kCall + "grpc-timeout: 100m\r\n\r\n" + kBody);
  ASSERT_TRUE(harness.run_until([&] { return client->received.find("0\r\ngrpc-status: 4\r\n") != std::string::npos; }))
      << client->received;
  EXPECT_EQ(calls(kGrpcDeadlineExceeded), 1U);
}

TEST_F(GrpcCallTest, CallsAreCountedByWhatTheirClientsGot) {
  start();
  auto client = harness.connect();
  backend.script = other.script = [&](Peer& peer) { backend.answer_all(peer, trailers_only(5)); };
  harness.ask(*client, kCall + "\r\n" + kBody);
  EXPECT_EQ(calls(5), 1U);
  backend.script = other.script = [&](Peer& peer) {
    backend.answer_all(peer,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "1\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n");
  };
  client->received.clear();
  client->send(kCall + "\r\n" + kBody);
  ASSERT_TRUE(harness.run_until([&] { return client->received.find("grpc-status: 0\r\n") != std::string::npos; }));
  EXPECT_TRUE(harness.run_until([&] { return calls(0) == 1; }));
}

TEST_F(GrpcCallTest, ACallThatTheRouteWantsTriedAgainGoesToAnotherEndpointThoughItIsAPost) {
  start();
  backend.script = [&](Peer& peer) { backend.answer_all(peer, trailers_only(kGrpcUnavailable)); };
  other.script = [&](Peer& peer) { other.answer_all(peer, trailers_only(0)); };
  std::string call = kCall;
  call.replace(call.find("/app"), 4, "/retried");
  for (int i = 0; i < 4; ++i) {
    auto client = harness.connect();
    EXPECT_NE(harness.ask(*client, call + "\r\n" + kBody).find("grpc-status: 0\r\n"), std::string::npos);
  }
  EXPECT_GE(backend.requests, 1U);
  EXPECT_TRUE(other.last_request.ends_with(kBody));
  EXPECT_EQ(harness.metric("lotse_retries_total"), backend.requests);

  std::size_t before = backend.requests + other.requests;
  auto client = harness.connect();
  harness.ask(*client, kCall + "\r\n" + kBody);
  harness.ask(*client, kCall + "\r\n" + kBody);
  EXPECT_EQ(backend.requests + other.requests, before + 2) << "nobody asked for that";
}

TEST_F(GrpcCallTest, AnEndpointThatIsUnavailableToCallsIsEjected) {
  harness.config.apps["/app"].outlier_detection.consecutive_gateway_failures = 2;
  start();
  backend.script = [&](Peer& peer) { backend.answer_all(peer, trailers_only(kGrpcUnavailable)); };
  other.script = [&](Peer& peer) { other.answer_all(peer, trailers_only(0)); };
  for (int i = 0; i < 8; ++i) {
    auto client = harness.connect();
    harness.ask(*client, kCall + "\r\n" + kBody);
  }
  EXPECT_TRUE(
      harness.run_until([&] { return harness.metric("lotse_ejections_total{app=\"/app\",why=\"gateway\"}") == 1; }));
}

}  // namespace
}  // namespace lotse::proxy::test

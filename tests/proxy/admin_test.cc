#include "proxy/admin.h"

#include <gtest/gtest.h>

#include <optional>

#include "http/client.h"
#include "net/timers.h"

namespace lotse::proxy {
namespace {

class AdminTest : public testing::Test {
 protected:
  AdminTest() : admin_(loop_, callbacks()), client_(loop_) { serve("127.0.0.1:0"); }

  AdminServer::Callbacks callbacks() {
    return {.write_metrics = [](std::string& out) { out += "lotse_up 1\n"; },
            .routes_json = [] { return std::string("{\"routes\":[]}"); },
            .explain = [](std::string_view url) { return "{\"url\":\"" + std::string(url) + "\"}"; },
            .config_json = [] { return std::string("{\"version\":1}"); },
            .not_ready_reason = [this] { return not_ready_; },
            .unhealthy_reason = [this] { return unhealthy_; },
            .stats_json = [] { return std::string("{\"apps\":{}}"); },
            .drain = [this] { ++drains_; },
            .accept = [] { return std::size_t{7}; }};
  }

  void serve(const std::string& address) {
    auto prepared = admin_.prepare(address);
    ASSERT_TRUE(prepared) << prepared.error().text();
    admin_.commit();
  }

  http::ClientResponse call(const std::string& method, const std::string& target) {
    http::ClientRequest request;
    request.method = method;
    request.endpoint = http::Endpoint{admin_.address().ip(), admin_.address().port(), ""};
    request.target = target;
    std::optional<Result<http::ClientResponse>> answer;
    auto pending = client_.send(std::move(request), [&](Result<http::ClientResponse> got) {
      answer.emplace(std::move(got));
      loop_.stop();
    });
    while (!answer) loop_.run();
    EXPECT_TRUE(*answer) << describe(answer->error());
    return *answer ? **answer : http::ClientResponse{};
  }

  net::Loop loop_;
  std::string not_ready_, unhealthy_;
  int drains_ = 0;
  AdminServer admin_;
  http::Client client_;
};

TEST_F(AdminTest, ServesItsPages) {
  http::ClientResponse metrics = call("GET", "/metrics");
  EXPECT_EQ(metrics.body, "lotse_up 1\n");
  EXPECT_EQ(*http::find_field(metrics.fields, "Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(call("GET", "/v1/routes").body, "{\"routes\":[]}");
  EXPECT_EQ(call("GET", "/v1/config").body, "{\"version\":1}");
  EXPECT_EQ(call("GET", "/v1/stats").body, "{\"apps\":{}}");
  EXPECT_EQ(call("GET", "/v1/explain?url=http%3A%2F%2Fa%2Fb").body, "{\"url\":\"http://a/b\"}");
  EXPECT_EQ(call("GET", "/v1/explain").status, 400);
  EXPECT_EQ(call("GET", "/healthz").status, 200);
  EXPECT_EQ(call("GET", "/nothing").status, 404);
}

TEST_F(AdminTest, IsReadyOnceNothingIsMissing) {
  not_ready_ = "no table yet";
  http::ClientResponse answer = call("GET", "/readyz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "no table yet\n");
  not_ready_.clear();
  EXPECT_EQ(call("GET", "/readyz").status, 200);
}

TEST_F(AdminTest, IsHealthyUntilItSaysWhyNot) {
  unhealthy_ = "worker 1 is stalled";
  http::ClientResponse answer = call("GET", "/healthz");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, "worker 1 is stalled\n");
  unhealthy_.clear();
  EXPECT_EQ(call("GET", "/healthz").body, "ok\n");
}

TEST_F(AdminTest, DrainsAndAcceptsOnlyByPost) {
  EXPECT_EQ(call("GET", "/v1/drain").status, 405);
  EXPECT_EQ(drains_, 0);
  EXPECT_EQ(call("POST", "/v1/drain").status, 202);
  EXPECT_EQ(drains_, 1);
  EXPECT_EQ(call("POST", "/v1/accept").body, "{\"accepted\":7}\n");
}

TEST_F(AdminTest, MovesToAnotherAddress) {
  net::Address before = admin_.address();
  serve("127.0.0.1:0");  // the same words: nothing moves
  EXPECT_EQ(admin_.address(), before);
  serve("[::1]:0");
  EXPECT_FALSE(admin_.address() == before);
  EXPECT_EQ(call("GET", "/healthz").status, 200);
}

TEST_F(AdminTest, AnAddressThatCannotBeBoundChangesNothing) {
  net::Address before = admin_.address();
  auto prepared = admin_.prepare(before.to_string());  // taken: by ourselves
  EXPECT_FALSE(prepared);
  admin_.abandon();
  EXPECT_EQ(admin_.address(), before);
  EXPECT_EQ(call("GET", "/healthz").status, 200);
}

}  // namespace
}  // namespace lotse::proxy

// Trailers of an answer reach a client that asked for them with TE, and nobody else.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class TrailersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
    backend->script = [this](Peer& peer) {
      backend->answer_all(peer,
                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"
                          "X-Sum: 7\r\nContent-Length: 9\r\nSet-Cookie: a=b\r\n\r\n");
    };
  }
  std::string answer_to(const std::string& fields) {
    auto client = harness.connect();
    client->send("GET /app HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n");
    EXPECT_TRUE(harness.run_until(
        [&] { return client->received.ends_with("\r\n\r\n") && client->received.find("abc") != std::string::npos; }));
    return client->received;
  }

  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(TrailersTest, AClientThatAsksGetsThemWithoutWhatFramesOrStores) {
  EXPECT_TRUE(answer_to("TE: trailers\r\nConnection: TE\r\n").ends_with("3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"));
  EXPECT_NE(backend->last_request.find("\r\nConnection: TE\r\nTE: trailers\r\n"), std::string::npos);
}

TEST_F(TrailersTest, AClientThatDoesNotAskGetsNone) {
  EXPECT_TRUE(answer_to("").ends_with("3\r\nabc\r\n0\r\n\r\n"));
  EXPECT_EQ(backend->last_request.find("TE:"), std::string::npos);
}

}  // namespace
}  // namespace lotse::proxy::test

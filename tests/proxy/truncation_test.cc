// A body that the endpoint did not finish must not look finished to anybody: every framing, every way to stop, every
// kind of client. And the same for the body of a request.
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

enum class Stop { fin, reset };
struct Case {
  const char* name;
  const char* head;  // of the endpoint's answer
  const char* body;  // as far as it came
  bool is_whole_by_fin = false;
};
constexpr Case kCases[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "half"},
    {"nothing of a length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", ""},
    {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nhalf\r\n"},
    {"middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "9\r\nhalf"},
    {"last chunk without its end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nhalf\r\n0\r\n"},
    {"middle of a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nhalf\r\n0\r\nX: 1\r\n"},
    {"until the end", "HTTP/1.1 200 OK\r\n\r\n", "half", true},
    {"until the end by HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n", "half", true},
    {"length by HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n", "half"},
};

class TruncationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.workers = 1;
    harness.start();
    backend = std::make_unique<Backend>(harness.loop, "a");
    harness.apply({Harness::endpoint("/app", *backend)});
  }
  // How a client would see it: did the answer come to an end that its framing allows?
  static bool is_finished(const std::string& text, bool ended_by_fin) {
    const std::size_t head = text.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const std::string body = text.substr(head + 4);
    if (std::size_t at = text.find("Content-Length: "); at < head)
      return body.size() >= std::stoul(text.substr(at + 16));
    if (text.find("chunked") < head) return body.ends_with("0\r\n\r\n");
    return ended_by_fin;
  }
  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(TruncationTest, AnAnswerLooksFinishedOnlyWhenItIs) {
  for (const Case& one : kCases) {
    for (Stop stop : {Stop::fin, Stop::reset}) {
      for (const char* version : {"1.1", "1.0", "1.0\r\nConnection: keep-alive"}) {
        SCOPED_TRACE(std::string(one.name) + (stop == Stop::fin ? ", FIN" : ", RST") + ", client " + version);
        backend->script = [&](Peer& peer) {
          if (!backend->take_request(peer)) return;
          peer.send(std::string(one.head) + one.body);
        };
        auto client = harness.connect();
        client->send("GET /app HTTP/" + std::string(version) + "\r\nHost: x\r\n\r\n");
        const std::string seen = *one.body == '\0' ? "\r\n\r\n" : "half";
        ASSERT_TRUE(harness.run_until([&] { return client->received.find(seen) != std::string::npos; }));
        Peer& upstream = *backend->peers.back();
        stop == Stop::fin ? upstream.half_close() : upstream.reset();
        const bool is_whole = one.is_whole_by_fin && stop == Stop::fin;
        ASSERT_TRUE(
            harness.run_until([&] { return client->is_over() || (is_whole && is_finished(client->received, false)); }));
        EXPECT_EQ(is_finished(client->received, client->has_ended), is_whole) << client->received;
        EXPECT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("a") == 0; }));
      }
    }
  }
}

TEST_F(TruncationTest, ARequestLooksFinishedOnlyWhenItIs) {
  for (const char* request :
       {"Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n"}) {
    for (Stop stop : {Stop::fin, Stop::reset}) {
      SCOPED_TRACE(std::string(request) + (stop == Stop::fin ? ", FIN" : ", RST"));
      backend->script = [](Peer&) {};
      const std::size_t before = backend->peers.size();
      auto client = harness.connect();
      client->send("PUT /app HTTP/1.1\r\nHost: x\r\n" + std::string(request));
      ASSERT_TRUE(harness.run_until([&] {
        return backend->peers.size() > before && backend->peers.back()->received.find("half") != std::string::npos;
      }));
      stop == Stop::fin ? client->half_close() : client->reset();
      Peer& upstream = *backend->peers.back();
      ASSERT_TRUE(harness.run_until([&] { return upstream.is_over(); }));
      EXPECT_FALSE(upstream.received.ends_with("0\r\n\r\n")) << upstream.received;
      EXPECT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("a") == 0; }));
    }
  }
}

// Of HTTP/1.0 endpoints ----------------------------------------------------------------------------------------------

TEST_F(TruncationTest, AnHttp10EndpointIsReusedOnlyWhenItSaysKeepAlive) {
  auto client = harness.connect();
  for (auto [answer, accepted] :
       {std::pair{"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", 2U},
        std::pair{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", 1U}}) {
    backend->script = [&](Peer& peer) { backend->answer_all(peer, answer); };
    backend->accepted = 0;
    for (int i = 0; i < 2; ++i) {
      std::string got = harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_EQ(got, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    }
    EXPECT_EQ(backend->accepted, accepted) << answer;
  }
}

}  // namespace
}  // namespace lotse::proxy::test

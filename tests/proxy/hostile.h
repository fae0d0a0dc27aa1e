// A real Proxy between raw bytes on both sides, for the suites that attack it: what a client sends as it stands, every
// byte the endpoint was sent, and what the client got. One worker, one app ("/app", also as app.test), one endpoint.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/h1_parser.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {

// An endpoint that writes everything down and answers each whole request it understands with 200 and the request's
// number, or with what the test says.
class RecordingBackend {
 public:
  explicit RecordingBackend(net::Loop& loop) : backend_(loop, "a") {
    backend_.script = [this](Peer& peer) { take(peer); };
  }

  std::string bytes;                      // of all connections since clear()
  std::size_t requests = 0;               // whole ones, since clear()
  std::string answer;                     // not empty: instead of the 200
  bool closes = false;                    // after the answer
  std::function<void(Peer&)> on_request;  // set: instead of all the above

  void clear() {
    bytes.clear();
    requests = 0;
  }
  Backend& server() { return backend_; }
  std::size_t accepted() const { return backend_.accepted; }
  bool is_any_open() const {
    for (const auto& peer : backend_.peers) {
      if (!peer->is_over()) return true;
    }
    return false;
  }
  void close_all() {
    for (auto& peer : backend_.peers) peer->close();
    backend_.peers.clear();
    readers_.clear();
  }

 private:
  struct Reader final : http::RequestListener {
    void on_request_head(const http::RequestHead&) override {}
    void on_request_body(std::span<const char>) override {}
    void on_request_trailers(std::span<const http::Field>) override {}
    void on_request_complete() override {}
    http::Limits limits{.head_bytes_max = 1 << 20, .fields_max = 1000, .request_line_bytes_max = 1 << 20};
    http::RequestParser parser{*this, limits};
    Peer* peer = nullptr;
  };

  http::RequestParser& parser_of(Peer& peer) {
    for (auto& reader : readers_) {
      if (reader->peer == &peer) return reader->parser;
    }
    readers_.push_back(std::make_unique<Reader>());
    readers_.back()->peer = &peer;
    return readers_.back()->parser;
  }

  void take(Peer& peer) {
    bytes += peer.received;
    std::string_view rest = peer.received;
    http::RequestParser& parser = parser_of(peer);
    std::size_t whole = 0;
    while (!rest.empty()) {
      const http::FeedResult fed = parser.feed(rest);
      EXPECT_FALSE(fed.error) << fed.error.reason << " in what was forwarded:\n" << bytes;
      if (fed.error) break;
      if (fed.message_complete) ++whole;
      rest.remove_prefix(fed.consumed);
    }
    peer.received.clear();
    for (; whole > 0; --whole) {
      ++requests;
      if (on_request) {
        on_request(peer);
        continue;
      }
      peer.send(answer.empty() ? Backend::ok("#" + std::to_string(requests)) : answer);
      if (closes) peer.half_close();
    }
  }

  Backend backend_;
  std::vector<std::unique_ptr<Reader>> readers_;
};

class HostileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.workers = 1;
    configure(harness.config);
    harness.start();
    harness.apply({Harness::endpoint("/app", backend.server())});
  }
  virtual void configure(Config&) {}

  // What a client sees that sends `raw` and then nothing more. With `half_closes` it says so, which ends a connection
  // that would have been kept; without, only the proxy can end it.
  std::unique_ptr<Peer> send(std::string_view raw, bool half_closes) {
    backend.clear();
    auto client = harness.connect();
    client->send(raw);
    EXPECT_TRUE(harness.run_until([&] { return client->is_connected; }));
    if (half_closes) client->half_close();
    // What was taken by mistake keeps its connection: no need to wait for that.
    const auto is_taken = [&] { return !half_closes && client->received.starts_with("HTTP/1.1 2"); };
    EXPECT_TRUE(harness.run_until([&] { return client->is_over() || is_taken(); })) << raw << "\n" << client->received;
    return client;
  }

  // What the endpoint was sent, without the fields the proxy adds of its own.
  std::string forwarded() const { return without_own_fields(backend.bytes); }
  static std::string without_own_fields(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      const std::size_t end = text.find("\r\n");
      const std::string_view line = text.substr(0, end == std::string_view::npos ? text.size() : end + 2);
      text.remove_prefix(line.size());
      if (!line.starts_with("X-Forwarded-") && !line.starts_with("Forwarded: ")) out += line;
    }
    return out;
  }

  // Refused before a byte of it reached an endpoint, with the reason, and the connection is over: what follows is not
  // read as another request.
  void expect_refused(std::string_view raw, int status = 400) {
    SCOPED_TRACE(raw);
    const std::string smuggled = std::string(raw) + "GET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    auto client = send(smuggled, false);
    const std::string& answer = client->received;
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos) << answer;
    EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << "a second answer: " << answer;
    EXPECT_TRUE(client->has_ended) << "reset";
    EXPECT_EQ(backend.bytes, "");
  }
  template <typename Cases>
  void expect_all_refused(const Cases& cases, int status = 400) {
    for (const auto& one : cases) expect_refused(one, status);
  }

  // Its head was forwarded before the rest showed what it is: the endpoint sees a request that never ends.
  void expect_broken_off(std::string_view raw, int status = 400) {
    SCOPED_TRACE(raw);
    const std::string smuggled = std::string(raw) + "GET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    auto client = send(smuggled, false);
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 " + std::to_string(status) + " ")) << client->received;
    EXPECT_NE(client->received.find("\r\nConnection: close\r\n"), std::string::npos) << client->received;
    EXPECT_EQ(client->received.find("HTTP/1.1 ", 1), std::string::npos) << client->received;
    EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); })) << "the endpoint still waits";
    EXPECT_EQ(backend.requests, 0U) << backend.bytes;
    EXPECT_EQ(backend.bytes.find("smuggled"), std::string::npos) << backend.bytes;
    backend.close_all();
  }

  // Taken as one request and sent on as exactly this.
  void expect_forwarded(std::string_view raw, std::string_view as) {
    SCOPED_TRACE(raw);
    auto client = send(raw, true);
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
    EXPECT_EQ(backend.requests, 1U);
    EXPECT_EQ(forwarded(), as);
  }

  Harness harness;
  RecordingBackend backend{harness.loop};
};

}  // namespace lotse::proxy::test

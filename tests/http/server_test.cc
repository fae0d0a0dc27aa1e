#include "http/server.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/http/peers.h"

namespace lotse::http {
namespace {

using std::chrono::milliseconds;

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    router_.add("GET", "/hello", [](ServerRequest&, Responder responder) {
      responder.respond({.body = "hi", .content_type = "text/plain"});
    });
    router_.add("POST", "/echo", [](ServerRequest& request, Responder responder) {
      responder.respond({.body = request.body, .content_type = "text/plain"});
    });
    router_.add("GET", "/later/{id}", [this](ServerRequest& request, Responder responder) {
      later_.emplace_back(request.captures[0], std::move(responder));
    });
    router_.add("GET", "/stream", [this](ServerRequest&, Responder responder) {
      stream_ = responder.stream({.queue_bytes_max = 200 * 1024});
    });
  }

  void open(Server::Options options = {}) {
    server_ = std::make_unique<Server>(loop_, router_, std::move(options));
    auto address = server_->listen(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(address);
    address_ = *address;
  }

  // Says everything, hears until the server closes.
  std::string talk(std::string_view bytes) {
    RawPeer peer(loop_, address_);
    peer.say(bytes);
    peer.finish();
    peer.wait_for_end();
    return peer.heard;
  }
  // The status lines and bodies only.
  static std::string essence(std::string_view heard) {
    std::string out;
    while (!heard.empty()) {
      const std::size_t head_end = heard.find("\r\n\r\n");
      if (head_end == std::string_view::npos) return out + "?" + std::string(heard);
      const std::string_view head = heard.substr(0, head_end);
      heard.remove_prefix(head_end + 4);
      out += head.substr(9, 3);
      const std::size_t length_at = head.find("Content-Length: ");
      const std::size_t length =
          length_at == std::string_view::npos ? 0 : std::stoul(std::string(head.substr(length_at + 16, 8)));
      out += fmt_body(heard.substr(0, length));
      heard.remove_prefix(std::min(length, heard.size()));
    }
    return out;
  }
  static std::string fmt_body(std::string_view body) { return body.empty() ? ";" : " " + std::string(body) + ";"; }

  void wait(const std::function<bool()>& is_done) { run_until(loop_, is_done); }

  net::Loop loop_;
  Router router_;
  std::vector<std::pair<std::string, Responder>> later_;
  std::unique_ptr<ServerStream> stream_;
  std::unique_ptr<Server> server_;
  net::Address address_;
};

TEST_F(ServerTest, AnswersARequest) {
  open({.common_fields = {{"X-Common", "1"}}});
  const std::string heard = talk("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK\r\nDate: ")) << heard;
  EXPECT_NE(heard.find(" GMT\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nX-Common: 1\r\n"), std::string::npos)
      << heard;
  EXPECT_TRUE(heard.ends_with("\r\n\r\nhi")) << heard;
}

TEST_F(ServerTest, AnswersHeadWithoutABody) {
  open();
  const std::string heard = talk("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(heard.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(heard.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, LeavesLengthAndBodyOutOf204) {
  router_.add("GET", "/none",
              [](ServerRequest&, Responder responder) { responder.respond({.status = 204, .body = "stray"}); });
  open();
  const std::string heard = talk("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(heard.find("Content-"), std::string::npos) << heard;
  EXPECT_TRUE(heard.ends_with("\r\n\r\n"));
}

TEST_F(ServerTest, ReadsBodiesByLengthAndByChunks) {
  open();
  EXPECT_EQ(
      essence(talk("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST /echo HTTP/1.1\r\nHost: a\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\nT: x\r\n\r\n")),
      "200 abc;200 def;");
}

TEST_F(ServerTest, TakesARequestInAnyPieces) {
  open();
  const std::string_view bytes =
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    RawPeer peer(loop_, address_);
    peer.say(bytes.substr(0, cut));
    loop_.run_once_ready();
    peer.say(bytes.substr(cut));
    peer.wait_for("\r\n\r\nhi");
    EXPECT_EQ(essence(peer.heard), "200 abc;200 hi;") << cut;
  }
}

TEST_F(ServerTest, AnswersPipelinedRequestsInOrder) {
  open();
  RawPeer peer(loop_, address_);
  peer.say(
      "GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /later/2 HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  wait([&] { return later_.size() == 1; });
  EXPECT_EQ(peer.heard, "");
  later_[0].second.respond({.body = "one"});
  wait([&] { return later_.size() == 2; });
  later_[1].second.respond({.body = "two"});
  peer.wait_for("two");
  EXPECT_EQ(essence(peer.heard), "200 one;200 hi;200 two;");
}

TEST_F(ServerTest, AnswersAPeerThatHasFinishedSending) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.finish();
  wait([&] { return later_.size() == 1; });
  for (int i = 0; i < 20; ++i) loop_.run_once_ready();  // the FIN is heard
  later_[0].second.respond({.body = "one"});
  peer.wait_for_end();
  EXPECT_EQ(essence(peer.heard), "200 one;200 hi;");
}

TEST_F(ServerTest, HoldsPipelinedBytesWithinABound) {
  open();
  RawPeer peer(loop_, address_);
  std::string bytes = "GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n";
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) bytes += "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
  peer.say(bytes);
  wait([&] { return later_.size() == 1; });
  for (int i = 0; i < 200; ++i) loop_.run_once_ready();
  later_[0].second.respond({.body = "one"});
  const auto answers = [&] {
    std::size_t count = 0;
    for (std::size_t at = peer.heard.find("\r\n\r\nhi"); at != std::string::npos;
         at = peer.heard.find("\r\n\r\nhi", at + 1))
      ++count;
    return count;
  };
  peer.finish();
  peer.wait_for_end();
  EXPECT_EQ(answers(), static_cast<std::size_t>(kCount));
}

TEST_F(ServerTest, AnswersLaterAndTo500WhenNobodyDid) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return later_.size() == 1; });
  EXPECT_FALSE(later_[0].second.is_gone());
  later_.clear();
  peer.wait_for("no answer");
  EXPECT_TRUE(peer.heard.starts_with("HTTP/1.1 500 "));
}

TEST_F(ServerTest, TellsAResponderThatThePeerHasGone) {
  open();
  auto peer = std::make_unique<RawPeer>(loop_, address_);
  peer->say("GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return later_.size() == 1; });
  peer->reset();
  wait([&] { return later_[0].second.is_gone(); });
  later_[0].second.respond({.body = "to nobody"});
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(ServerTest, KeepsToHttp10) {
  open();
  const std::string once = talk("GET /hello HTTP/1.0\r\n\r\nGET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(essence(once), "200 hi;");
  EXPECT_NE(once.find("Connection: close\r\n"), std::string::npos);
  RawPeer peer(loop_, address_);
  peer.say("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  peer.wait_for("Connection: keep-alive\r\n\r\nhi");
  peer.say("GET /hello HTTP/1.0\r\n\r\n");
  peer.wait_for_end();
  EXPECT_EQ(essence(peer.heard), "200 hi;200 hi;");
}

TEST_F(ServerTest, ClosesWhenAsked) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  peer.wait_for_end();
  EXPECT_FALSE(peer.failed);
  EXPECT_EQ(essence(peer.heard), "200 hi;");
}

TEST_F(ServerTest, SaysContinueToWhoeverWaitsForIt) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  peer.wait_for("HTTP/1.1 100 Continue\r\n\r\n");
  peer.say("abc");
  peer.wait_for("\r\n\r\nabc");
}

TEST_F(ServerTest, RefusesLargeBodies) {
  open({.body_bytes_max = 10});
  const std::string post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
  EXPECT_EQ(essence(talk(post + "Content-Length: 10\r\n\r\n0123456789")), "200 0123456789;");
  RawPeer by_length(loop_, address_);
  by_length.say(post + "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  by_length.wait_for_end();
  EXPECT_TRUE(by_length.heard.starts_with("HTTP/1.1 413 ")) << by_length.heard;
  RawPeer by_chunks(loop_, address_);
  by_chunks.say(post + "Transfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n890\r\n" + std::string(100000, 'x'));
  by_chunks.wait_for_end();
  EXPECT_TRUE(by_chunks.heard.starts_with("HTTP/1.1 413 ")) << by_chunks.heard;
  EXPECT_FALSE(by_chunks.failed);  // the answer arrives although bytes were left unread
}

TEST_F(ServerTest, RefusesHostileRequestsAndCloses) {
  open();
  EXPECT_EQ(talk("GET / HTTP/1.1\n\n").substr(0, 12), "HTTP/1.1 400");
  EXPECT_EQ(talk("GET / HTTP/2.0\r\n\r\n").substr(0, 12), "HTTP/1.1 505");
  EXPECT_EQ(talk("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n").substr(0, 12), "HTTP/1.1 405");
  EXPECT_EQ(talk("FOO / HTTP/1.1\r\nHost: a\r\n\r\n").substr(0, 12), "HTTP/1.1 501");
  EXPECT_EQ(talk("GET /" + std::string(9000, 'x')).substr(0, 12), "HTTP/1.1 414");
  EXPECT_EQ(talk("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(40000, 'x')).substr(0, 12), "HTTP/1.1 431");
  const std::string smuggled =
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello "
      "HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string heard = talk(smuggled);
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 400")) << heard;
  EXPECT_EQ(heard.find("hi"), std::string::npos);
}

TEST_F(ServerTest, EndsSlowHeadsBodiesAndIdleConnections) {
  open({.header_timeout = milliseconds(30), .idle_timeout = milliseconds(60), .body_timeout = milliseconds(30)});
  RawPeer head(loop_, address_), body(loop_, address_), idle(loop_, address_);
  head.say("GET / HTTP/1.1\r\n");
  body.say("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab");
  head.wait_for_end();
  body.wait_for_end();
  idle.wait_for_end();
  EXPECT_TRUE(head.heard.starts_with("HTTP/1.1 408 ")) << head.heard;
  EXPECT_TRUE(body.heard.starts_with("HTTP/1.1 408 ")) << body.heard;
  EXPECT_EQ(idle.heard, "");
}

TEST_F(ServerTest, ADrippingHeadGainsNoTime) {
  open({.header_timeout = milliseconds(50)});
  RawPeer peer(loop_, address_);
  peer.say("GET / HTTP/1.1\r\n");
  net::Timer drip(loop_.timers(), [&] {
    if (!peer.ended) peer.say("A: b\r\n");
    drip.start(milliseconds(10));
  });
  drip.start(milliseconds(10));
  peer.wait_for("HTTP/1.1 408 ");
}

TEST_F(ServerTest, StreamsInChunksAndEndsCleanly) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return stream_ != nullptr; });
  EXPECT_TRUE(stream_->write("data: x\n\n"));
  peer.wait_for("\r\n\r\n9\r\ndata: x\n\n\r\n");
  EXPECT_NE(peer.heard.find("Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"), std::string::npos);
  stream_ = nullptr;
  peer.wait_for("0\r\n\r\n");
  peer.say("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.wait_for("\r\n\r\nhi");
}

TEST_F(ServerTest, StreamsUntilTheEndToHttp10AndNothingToHead) {
  open();
  RawPeer old(loop_, address_);
  old.say("GET /stream HTTP/1.0\r\n\r\n");
  wait([&] { return stream_ != nullptr; });
  EXPECT_TRUE(stream_->write("data"));
  stream_ = nullptr;
  old.wait_for_end();
  EXPECT_TRUE(old.heard.ends_with("\r\n\r\ndata")) << old.heard;
  EXPECT_EQ(old.heard.find("chunked"), std::string::npos);
  RawPeer head(loop_, address_);
  head.say("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  head.wait_for("\r\n\r\n");
  EXPECT_FALSE(stream_->is_open());
}

TEST_F(ServerTest, CutsOffASubscriberThatLags) {
  open();
  RawPeer peer(loop_, address_);
  peer.say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return stream_ != nullptr; });
  peer.stream().stop_reading();
  bool told = false;
  stream_->set_callbacks({}, [&] { told = true; });
  const std::string event(64 * 1024, 'x');
  int written = 0;
  while (stream_->write(event)) {
    ASSERT_LT(++written, 10000);
    loop_.run_once_ready();
  }
  EXPECT_FALSE(stream_->is_open());
  EXPECT_FALSE(stream_->write("more"));
  EXPECT_FALSE(told);  // not from inside write()
  wait([&] { return told; });
  EXPECT_EQ(server_->connections(), 0u);
  peer.stream().start_reading();
  peer.wait_for_end();
  EXPECT_FALSE(peer.heard.ends_with("0\r\n\r\n"));  // it sees that it was cut off
}

TEST_F(ServerTest, TellsAStreamWhenItsQueueIsEmptyAndWhenThePeerHasGone) {
  open();
  auto peer = std::make_unique<RawPeer>(loop_, address_);
  peer->say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return stream_ != nullptr; });
  peer->stream().stop_reading();
  int drained = 0, closed = 0;
  stream_->set_callbacks([&] { ++drained; }, [&] { ++closed; });
  const std::string piece(32 * 1024, 'x');
  while (stream_->queued_bytes() == 0) {
    ASSERT_TRUE(stream_->write(piece));
    loop_.run_once_ready();
  }
  peer->stream().start_reading();
  wait([&] { return drained == 1; });
  EXPECT_EQ(stream_->queued_bytes(), 0u);
  peer->close();
  wait([&] { return closed == 1; });
  EXPECT_FALSE(stream_->is_open());
}

TEST_F(ServerTest, AStreamMayBeDestroyedInItsOwnCallbacks) {
  open();
  auto peer = std::make_unique<RawPeer>(loop_, address_);
  peer->say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return stream_ != nullptr; });
  stream_->set_callbacks({}, [&] { stream_ = nullptr; });
  peer->close();
  wait([&] { return stream_ == nullptr; });
}

TEST_F(ServerTest, OutlivesItsHandlersAndTheirAnswersOutliveIt) {
  open();
  RawPeer one(loop_, address_), two(loop_, address_);
  one.say("GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n");
  two.say("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return later_.size() == 1 && stream_; });
  server_ = nullptr;
  EXPECT_TRUE(later_[0].second.is_gone());
  later_[0].second.respond({});
  EXPECT_FALSE(stream_->write("x"));
  one.wait_for_end();
  two.wait_for_end();
}

TEST_F(ServerTest, AHandlerMayDestroyTheServer) {
  router_.add("POST", "/stop", [this](ServerRequest&, Responder responder) {
    server_ = nullptr;
    responder.respond({});
  });
  open();
  RawPeer peer(loop_, address_);
  peer.say("POST /stop HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  peer.wait_for_end();
  EXPECT_EQ(peer.heard, "");
}

TEST_F(ServerTest, FinishesWhatItHasBegunWhenItStopsAccepting) {
  open();
  RawPeer busy(loop_, address_), idle(loop_, address_);
  idle.say("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  idle.wait_for("hi");
  busy.say("GET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n");
  wait([&] { return later_.size() == 1; });
  RawPeer queued(loop_, address_);
  queued.say("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  server_->stop_accepting();
  idle.wait_for_end();
  later_[0].second.respond({.body = "late"});
  busy.wait_for_end();
  EXPECT_NE(busy.heard.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(busy.heard.ends_with("late"));
  queued.wait_for_end();
  EXPECT_TRUE(queued.heard.ends_with("hi"));
  for (RawPeer* peer : {&busy, &idle, &queued}) peer->close();
  wait([&] { return server_->connections() == 0; });
}

TEST_F(ServerTest, AcceptsNoMoreThanItsBound) {
  open({.connections_max = 1});
  auto first = std::make_unique<RawPeer>(loop_, address_);
  first->say("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  first->wait_for("hi");
  RawPeer second(loop_, address_);
  second.say("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 100; ++i) loop_.run_once_ready();
  EXPECT_EQ(second.heard, "");
  first->close();
  second.wait_for("hi");
}

TEST_F(ServerTest, WritesNoFieldThatWouldBreakTheHead) {
  router_.add("GET", "/bad", [](ServerRequest&, Responder responder) {
    responder.respond({.fields = {{"X-A", "1\r\nX-Evil: 1"}, {"X B", "2"}, {"X-C", "3"}}});
  });
  open();
  const std::string heard = talk("GET /bad HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(heard.find("Evil"), std::string::npos);
  EXPECT_EQ(heard.find("X B"), std::string::npos);
  EXPECT_NE(heard.find("X-C: 3\r\n"), std::string::npos);
}

TEST_F(ServerTest, GivesHandlersQueryFieldsAndPeer) {
  std::string seen;
  router_.add("GET", "/q", [&](ServerRequest& request, Responder responder) {
    seen = request.query + "|" + *request.field("x-y") + "|" + request.peer.ip() + "|" +
           std::string(request.parameter("a").value_or("-")) + "|" + (request.flag("force", false) ? "f" : "-") +
           (request.flag("off", true) ? "o" : "-") + (request.flag("absent", true) ? "a" : "-");
    responder.respond({});
  });
  open();
  (void)talk("GET /q?a=1%202&force&off=false HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n");
  EXPECT_EQ(seen, "a=1%202&force&off=false|z|127.0.0.1|1 2|f-a");
}

// Routing ---------------------------------------------------------------------------------------------------------

class RouterTest : public ServerTest {
 protected:
  std::string route(std::string_view method, std::string_view target) {
    captured_.clear();
    return talk(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  }
  Handler capture(std::string name) {
    return [this, name](ServerRequest& request, Responder responder) {
      captured_ = name;
      for (const std::string& text : request.captures) captured_ += "|" + text;
      responder.respond({});
    };
  }
  std::string captured(std::string_view target) {
    (void)route("GET", target);
    return captured_;
  }
  std::string captured_;
};

TEST_F(RouterTest, CapturesSegmentsAndTheRest) {
  router_.add("GET", "/v2/apps/{id}/tasks/{task}", capture("task"));
  router_.add("GET", "/v2/apps/{id...}", capture("app"));
  router_.add("GET", "/v2/apps", capture("apps"));
  router_.add("GET", "/", capture("root"));
  open();
  EXPECT_EQ(captured("/v2/apps"), "apps");
  EXPECT_EQ(captured("//v2/apps//"), "apps");
  EXPECT_EQ(captured("/v2/apps//web"), "app|web");
  EXPECT_EQ(captured("/v2/apps/%2Fgroup%2Fweb"), "app|/group/web");
  EXPECT_EQ(captured("/v2/apps/group//sub/web/"), "app|group/sub/web");
  EXPECT_EQ(captured("/v2/apps/a%2Fb/tasks/t%20x"), "task|a/b|t x");
  EXPECT_EQ(captured("/"), "root");
  EXPECT_EQ(route("GET", "/v2/apps/%zz").substr(9, 3), "400");
}

TEST_F(RouterTest, Answers404And405) {
  router_.add("GET", "/x", capture("get"));
  router_.add("PUT", "/x", capture("put"));
  open();
  EXPECT_TRUE(route("GET", "/y").ends_with(R"({"message":"Not Found"})"));
  const std::string refused = route("DELETE", "/x");
  EXPECT_EQ(refused.substr(9, 3), "405");
  EXPECT_NE(refused.find("Allow: GET, HEAD, PUT\r\n"), std::string::npos) << refused;
}

TEST_F(RouterTest, HasAFallback) {
  router_.set_fallback(capture("fallback"));
  open();
  EXPECT_EQ(captured("/nowhere"), "fallback");
}

}  // namespace
}  // namespace lotse::http

#include <gtest/gtest.h>

#include "http/server.h"
#include "http/sse.h"
#include "tests/http/peers.h"

namespace lotse::http {
namespace {

using std::chrono::milliseconds;

constexpr const char* kHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

class SseSourceTest : public testing::Test, public SseListener {
 protected:
  SseSourceTest() {
    raw_.on_heard = [this](RawPeer& peer) {
      if (!peer.heard.ends_with("\r\n\r\n")) return;
      requests_.push_back(std::exchange(peer.heard, ""));
      if (requests_.size() <= answers_.size()) peer.say(answers_[requests_.size() - 1]);
    };
  }
  void begin(SseSource::Options options = {}) {
    ClientRequest request{.endpoint = {.host = "127.0.0.1", .port = raw_.address().port()}, .target = "/events"};
    source_ = std::make_unique<SseSource>(client_, std::move(request), *this, options);
    source_->start();
  }
  void on_open() override { ++opened_; }
  void on_event(const SseEvent& event) override {
    events_.push_back(event);
    if (act_) act_();
  }
  void on_lost(const Problem& why) override {
    lost_.push_back(why);
    if (act_on_lost_) act_on_lost_();
  }
  void wait(const std::function<bool()>& is_done) { run_until(loop_, is_done); }
  void turn() {
    for (int i = 0; i < 50; ++i) loop_.run_once_ready();
  }

  net::Loop loop_;
  RawServer raw_{loop_};
  Client client_{loop_};
  std::vector<std::string> answers_, requests_;
  std::vector<SseEvent> events_;
  std::vector<Problem> lost_;
  int opened_ = 0;
  std::function<void()> act_, act_on_lost_;
  std::unique_ptr<SseSource> source_;
};

TEST_F(SseSourceTest, DeliversEvents) {
  answers_ = {std::string(kHead) + "event: a\ndata: 1\n\n"};
  begin();
  wait([&] { return events_.size() == 1; });
  EXPECT_EQ(opened_, 1);
  EXPECT_NE(requests_[0].find("GET /events HTTP/1.1\r\n"), std::string::npos);
  EXPECT_NE(requests_[0].find("Accept: text/event-stream\r\n"), std::string::npos);
  EXPECT_EQ(requests_[0].find("Last-Event-ID"), std::string::npos);
  raw_.peers[0]->say("data: 2\n\n");
  wait([&] { return events_.size() == 2; });
}

TEST_F(SseSourceTest, ComesBackWithTheLastIdWhenTheStreamEnds) {
  answers_ = {std::string(kHead) + "id: 7\ndata: 1\n\nid: 8\ndata: cut", std::string(kHead) + "data: 2\n\n"};
  begin();
  wait([&] { return events_.size() == 1; });
  raw_.peers[0]->finish();
  wait([&] { return events_.size() == 2; });
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(lost_[0].what, "the stream ended");
  EXPECT_EQ(lost_[0].where, "http://127.0.0.1:" + std::to_string(raw_.address().port()) + "/events");
  EXPECT_NE(requests_[1].find("Last-Event-ID: 7\r\n"), std::string::npos) << requests_[1];
  EXPECT_EQ(events_[1].data, "2");
}

TEST_F(SseSourceTest, GivesUpASilentStreamButTakesCommentsForLife) {
  answers_ = {kHead, std::string(kHead) + "data: 2\n\n"};
  begin({.silence_max = milliseconds(500)});
  wait([&] { return opened_ == 1; });
  int beats = 0;
  net::Timer heart(loop_.timers(), [&] {
    if (++beats > 8) return;
    raw_.peers[0]->say(":\n");
    heart.start(milliseconds(80));
  });
  heart.start(milliseconds(80));
  wait([&] { return beats == 8; });  // 640 ms
  EXPECT_TRUE(lost_.empty());
  wait([&] { return lost_.size() == 1; });
  EXPECT_EQ(lost_[0].what, "silent for 500ms");
  wait([&] { return events_.size() == 1; });
}

TEST_F(SseSourceTest, SaysWhatARefusalSaid) {
  answers_ = {"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy",
              "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'),
              "HTTP/1.1 204 No Content\r\n\r\n", std::string(kHead) + "data: 1\n\n"};
  begin({.retry_max = milliseconds(10)});
  wait([&] { return events_.size() == 1; });
  ASSERT_EQ(lost_.size(), 3u);
  EXPECT_EQ(lost_[0].what, "answered 503: busy");
  EXPECT_EQ(lost_[1].what, "answered 200 but no event stream: " + std::string(200, 'x'));
  EXPECT_EQ(lost_[2].what, "answered 204");
  EXPECT_EQ(opened_, 1);
}

TEST_F(SseSourceTest, KeepsTryingWhenNobodyListens) {
  raw_.stop_listening();
  begin({.retry_max = milliseconds(5)});
  wait([&] { return lost_.size() == 4; });
  EXPECT_NE(lost_[0].what.find("refused"), std::string::npos) << lost_[0].what;
}

TEST_F(SseSourceTest, ReconnectsFromInsideAnEventAndDropsTheRest) {
  answers_ = {std::string(kHead) + "id: 1\ndata: a\n\nid: 2\ndata: b\n\n", std::string(kHead) + "data: c\n\n"};
  act_ = [&] {
    if (events_.size() == 1) source_->reconnect();
  };
  begin();
  wait([&] { return events_.size() == 2; });
  EXPECT_EQ(events_[1].data, "c");
  EXPECT_TRUE(lost_.empty());
  EXPECT_NE(requests_[1].find("Last-Event-ID: 1\r\n"), std::string::npos);
}

TEST_F(SseSourceTest, ForgetsTheLastIdAndTakesAnotherRequest) {
  answers_ = {std::string(kHead) + "id: 1\ndata: a\n\n", std::string(kHead) + "data: c\n\n"};
  act_ = [&] {
    if (events_.size() != 1) return;
    source_->forget_last_id();
    source_->set_request({.endpoint = {.host = "127.0.0.1", .port = raw_.address().port()}, .target = "/other"});
    source_->reconnect();
  };
  begin();
  wait([&] { return events_.size() == 2; });
  EXPECT_EQ(requests_[1].find("Last-Event-ID"), std::string::npos);
  EXPECT_TRUE(requests_[1].starts_with("GET /other "));
}

TEST_F(SseSourceTest, DropsAStreamWhoseEventIsTooLarge) {
  answers_ = {std::string(kHead) + "data: " + std::string(200, 'x'), std::string(kHead) + "data: 1\n\n"};
  begin({.retry_max = milliseconds(10), .event_bytes_max = 100});
  wait([&] { return events_.size() == 1; });
  EXPECT_EQ(lost_[0].what, "an event larger than 100 bytes");
}

TEST_F(SseSourceTest, MayBeDestroyedInItsOwnCallbacks) {
  answers_ = {std::string(kHead) + "data: a\n\ndata: b\n\n"};
  act_ = [&] { source_ = nullptr; };
  begin();
  wait([&] { return source_ == nullptr; });
  EXPECT_EQ(events_.size(), 1u);
  raw_.peers[0]->wait_for_end();

  act_ = nullptr;
  act_on_lost_ = [&] { source_ = nullptr; };
  raw_.stop_listening();
  begin();
  wait([&] { return source_ == nullptr; });
}

TEST_F(SseSourceTest, HearsOurOwnServer) {
  Router router;
  std::unique_ptr<ServerStream> stream;
  router.add("GET", "/events", [&](ServerRequest&, Responder responder) { stream = responder.stream({}); });
  Server server(loop_, router, {});
  const auto address = server.listen(*net::Address::parse("127.0.0.1:0"));
  ASSERT_TRUE(address);
  SseSource source(client_, {.endpoint = {.host = "127.0.0.1", .port = address->port()}, .target = "/events"}, *this,
                   {});
  source.start();
  wait([&] { return stream != nullptr; });
  std::string text;
  append_sse_event(text, "update", "two\nlines", "e-1");
  EXPECT_TRUE(stream->write(text));
  wait([&] { return events_.size() == 1; });
  EXPECT_EQ(events_[0].type, "update");
  EXPECT_EQ(events_[0].data, "two\nlines");
  EXPECT_EQ(events_[0].id, "e-1");
  stream = nullptr;
  wait([&] { return lost_.size() == 1; });
}

}  // namespace
}  // namespace lotse::http

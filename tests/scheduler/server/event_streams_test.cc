#include "scheduler/server/event_streams.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/scheduler/server/http_peer.h"

namespace lotse::scheduler {
namespace {

class EventStreamsTest : public testing::Test {
 protected:
  void serve(EventStreams::Options options = {}) {
    streams_ = std::make_unique<EventStreams>(loop_, options);
    router_.add("GET", "/events", [this](http::ServerRequest& request, http::Responder responder) {
      std::set<std::string> types;
      for (const auto& [name, value] : request.parameters) types.insert(value);
      streams_->follow(std::move(responder), types, "127.0.0.1");
    });
    server_ = std::make_unique<http::Server>(loop_, router_, http::Server::Options{});
    auto address = server_->listen(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(address);
    peer_ = std::make_unique<HttpPeer>(loop_, *address);
  }
  void TearDown() override {
    peer_.reset();
    streams_->close_all();
    server_.reset();
    streams_.reset();
  }

  net::Loop loop_;
  http::Router router_;
  std::unique_ptr<EventStreams> streams_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<HttpPeer> peer_;
};

TEST_F(EventStreamsTest, TellsEveryoneOfAnAttachedFollowerAndOfEachEvent) {
  serve();
  auto first = peer_->follow("/events");
  ASSERT_TRUE(run_until(loop_, [&] { return first->count("event_stream_attached") == 1; }));
  auto second = peer_->follow("/events");
  ASSERT_TRUE(run_until(loop_, [&] { return second->count("event_stream_attached") == 1; }));
  streams_->send("app_terminated_event", {{"eventType", "app_terminated_event"}, {"appId", "/x"}});
  ASSERT_TRUE(run_until(loop_, [&] { return first->count("app_terminated_event") == 1; }));
  ASSERT_TRUE(run_until(loop_, [&] { return second->count("app_terminated_event") == 1; }));
  EXPECT_EQ(first->count("event_stream_attached"), 2u);
  EXPECT_EQ(nlohmann::json::parse(second->events().back().data)["appId"], "/x");
  second->disconnect();
  EXPECT_TRUE(run_until(loop_, [&] { return first->count("event_stream_detached") == 1; }));
}

TEST_F(EventStreamsTest, SendsOnlyTheTypesAskedFor) {
  serve();
  auto picky = peer_->follow("/events?event_type=b&event_type=c");
  ASSERT_TRUE(run_until(loop_, [&] { return picky->status() == 200; }));
  for (const char* type : {"a", "b", "a", "c"}) streams_->send(type, nlohmann::json::object());
  ASSERT_TRUE(run_until(loop_, [&] { return picky->events().size() == 2; }));
  EXPECT_EQ(picky->events()[0].type, "b");
  EXPECT_EQ(picky->events()[1].type, "c");
}

TEST_F(EventStreamsTest, BeatsWithABareEmptyLine) {
  EventStreams::Options options;
  options.heartbeat = std::chrono::milliseconds(5);
  serve(options);
  auto follower = peer_->follow("/events?event_type=none");
  ASSERT_TRUE(run_until(loop_, [&] { return follower->raw().size() >= 3; }));
  EXPECT_EQ(follower->raw().find_first_not_of('\n'), std::string::npos) << follower->raw();
}

TEST_F(EventStreamsTest, DisconnectsAFollowerThatDoesNotReadAndKeepsTheOthers) {
  serve();
  auto slow = peer_->follow("/events", "", true);
  auto fast = peer_->follow("/events");
  ASSERT_TRUE(run_until(loop_, [&] { return fast->status() == 200 && slow->status() == 200; }));
  // The kernel takes some megabytes before anything queues behind the socket, so the events are large.
  nlohmann::json event = {{"text", std::string(20'000, 'x')}};
  std::size_t sent = 0;
  while (streams_->subscribers() == 2 && sent < 5000) {
    streams_->send("big", event);
    ++sent;
    ASSERT_TRUE(run_until(loop_, [&] { return fast->count("big") == sent; }));
  }
  EXPECT_LT(sent, 5000u);
  EXPECT_EQ(streams_->dropped_subscribers(), 1u);
  EXPECT_FALSE(fast->is_over());
}

TEST_F(EventStreamsTest, DisconnectsAFollowerWithTooManyEventsOutstanding) {
  EventStreams::Options options;
  options.queue_bytes_max = 64 * 1024 * 1024;
  options.events_max = 10;
  serve(options);
  auto slow = peer_->follow("/events", "", true);
  ASSERT_TRUE(run_until(loop_, [&] { return slow->status() == 200; }));
  nlohmann::json event = {{"text", std::string(1'000'000, 'x')}};
  for (int i = 0; i < 60; ++i) streams_->send("big", event);
  EXPECT_TRUE(run_until(loop_, [&] { return streams_->subscribers() == 0; }));
  EXPECT_EQ(streams_->dropped_subscribers(), 1u);
}

}  // namespace
}  // namespace lotse::scheduler

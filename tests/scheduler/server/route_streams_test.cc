#include "scheduler/server/route_streams.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/scheduler/server/http_peer.h"

namespace lotse::scheduler {
namespace {

model::Endpoint endpoint(int number, std::size_t label_bytes = 0) {
  model::Endpoint made;
  made.app = "/app" + std::to_string(number % 100);
  made.task = "app.instance-" + std::to_string(100000 + number) + "._app.1";
  made.version = "2026-01-01T00:00:00.000Z";
  made.host = "10.0.0.1";
  made.host_port = static_cast<std::uint16_t>(31000 + number % 1000);
  if (label_bytes > 0) made.labels["lotse.note"] = std::string(label_bytes, 'x');
  return made;
}

std::vector<model::Endpoint> endpoints(int count, std::size_t label_bytes = 0) {
  std::vector<model::Endpoint> made;
  for (int i = 0; i < count; ++i) made.push_back(endpoint(i, label_bytes));
  return made;
}

// What a proxy makes of the stream.
struct Table {
  std::map<model::TaskId, model::Endpoint> endpoints;
  std::uint64_t revision = 0;
  std::size_t applied = 0;  // events
  std::uint32_t next_chunk = 0;
  bool is_complete = false;

  void apply(Follower& follower) {
    for (; applied < follower.events().size(); ++applied) {
      const http::SseEvent& event = follower.events()[applied];
      if (event.type == "snapshot") {
        auto chunk = model::parse_snapshot_chunk(event.data);
        ASSERT_TRUE(chunk);
        ASSERT_LE(event.data.size(), model::kSnapshotChunkBytesMax);
        ASSERT_EQ(chunk->index, next_chunk++);
        for (const auto& each : chunk->set) endpoints[each.task] = each;
        revision = chunk->revision;
        is_complete = chunk->last;
      } else {
        ASSERT_TRUE(is_complete);
        auto update = model::parse_route_update(event.data);
        ASSERT_TRUE(update);
        ASSERT_EQ(update->from, revision);
        for (const auto& gone : update->gone) endpoints.erase(gone.task);
        for (const auto& each : update->set) endpoints[each.task] = each;
        revision = update->to;
        ASSERT_EQ(event.id, "7-" + std::to_string(revision));
      }
    }
  }
};

class RouteStreamsTest : public testing::Test {
 protected:
  void serve(RouteStreams::Options options = {}) {
    streams_ = std::make_unique<RouteStreams>(loop_, options);
    streams_->reset({7, 1}, {});
    router_.add("GET", "/routes", [this](http::ServerRequest& request, http::Responder responder) {
      std::optional<model::Revision> last;
      if (const std::string* id = request.field("last-event-id")) last = model::parse_revision(*id);
      streams_->follow(std::move(responder), last);
    });
    router_.add("GET", "/json", [this](http::ServerRequest&, http::Responder responder) {
      streams_->answer_json(std::move(responder));
    });
    server_ = std::make_unique<http::Server>(loop_, router_, http::Server::Options{});
    auto address = server_->listen(*net::Address::parse("127.0.0.1:0"));
    ASSERT_TRUE(address);
    peer_ = std::make_unique<HttpPeer>(loop_, *address);
  }
  void publish(std::vector<model::Endpoint> set, std::vector<model::TaskId> gone = {}) {
    model::RouteUpdate update;
    update.term = 7;
    update.from = streams_->revision().number;
    update.to = update.from + 1;
    update.set = std::move(set);
    for (auto& task : gone) update.gone.push_back({task, model::GoneWhy::asked});
    streams_->publish(update);
  }
  ::testing::AssertionResult reaches(Table& table, Follower& follower, std::uint64_t revision) {
    bool done = run_until(loop_, [&] {
      table.apply(follower);
      return table.is_complete && table.revision == revision;
    });
    return done ? ::testing::AssertionSuccess()
                : ::testing::AssertionFailure() << "at revision " << table.revision << " of " << revision;
  }
  void TearDown() override {
    peer_.reset();
    if (streams_ != nullptr) streams_->close_all();
    server_.reset();
    streams_.reset();
  }

  net::Loop loop_;
  http::Router router_;
  std::unique_ptr<RouteStreams> streams_;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<HttpPeer> peer_;
};

TEST_F(RouteStreamsTest, GivesASnapshotAndThenEveryUpdate) {
  serve();
  streams_->reset({7, 5}, endpoints(10));
  auto follower = peer_->follow("/routes");
  Table table;
  ASSERT_TRUE(reaches(table, *follower, 5));
  EXPECT_EQ(table.endpoints.size(), 10u);
  EXPECT_EQ(follower->events().back().id, "7-5");
  publish({endpoint(10)});
  publish({}, {endpoint(0).task});
  ASSERT_TRUE(reaches(table, *follower, 7));
  EXPECT_EQ(table.endpoints.size(), 10u);
  EXPECT_FALSE(table.endpoints.contains(endpoint(0).task));
}

TEST_F(RouteStreamsTest, AnEmptyTableIsASnapshotToo) {
  serve();
  auto follower = peer_->follow("/routes");
  Table table;
  ASSERT_TRUE(reaches(table, *follower, 1));
  EXPECT_TRUE(table.endpoints.empty());
}

TEST_F(RouteStreamsTest, OnlyTheLastChunkCarriesAnIdSoThatHalfASnapshotIsNeverResumed) {
  serve();
  streams_->reset({7, 5}, endpoints(3000, 300));
  auto follower = peer_->follow("/routes");
  Table table;
  ASSERT_TRUE(reaches(table, *follower, 5));
  ASSERT_GT(follower->events().size(), 2u);
  for (std::size_t i = 0; i + 1 < follower->events().size(); ++i) EXPECT_EQ(follower->events()[i].id, "");
}

TEST_F(RouteStreamsTest, ResumesAfterTheLastEventIdWithoutASnapshot) {
  serve();
  publish({endpoint(1)});
  publish({endpoint(2)});
  publish({endpoint(3)});
  auto follower = peer_->follow("/routes", "7-3");
  ASSERT_TRUE(run_until(loop_, [&] { return follower->events().size() == 1; }));
  EXPECT_EQ(follower->events()[0].type, "update");
  EXPECT_EQ(follower->events()[0].id, "7-4");
}

TEST_F(RouteStreamsTest, GivesASnapshotToAnIdOfAnotherEpochOfTheFutureOrFromBeforeAReset) {
  serve();
  publish({endpoint(1)});
  publish({endpoint(2)});
  for (const char* id : {"6-2", "7-99", "7-0", "7-1", "rubbish"}) {
    auto follower = peer_->follow("/routes", id);
    ASSERT_TRUE(run_until(loop_, [&] { return follower->events().size() == 1; })) << id;
    EXPECT_EQ(follower->events()[0].type, "snapshot") << id;
  }
}

TEST_F(RouteStreamsTest, DisconnectsItsFollowersWhenTheHistoryBreaksOff) {
  serve();
  publish({endpoint(1)});
  auto follower = peer_->follow("/routes");
  Table table;
  ASSERT_TRUE(reaches(table, *follower, 2));
  streams_->reset({7, 2}, endpoints(5));
  ASSERT_TRUE(run_until(loop_, [&] { return follower->is_over(); }));
  auto again = peer_->follow("/routes", "7-2");
  Table fresh;
  ASSERT_TRUE(reaches(fresh, *again, 2));
  EXPECT_EQ(fresh.endpoints.size(), 5u);
}

TEST_F(RouteStreamsTest, ASlowReaderOfALargeSnapshotNeverHasItQueuedWhole) {
  serve();
  streams_->reset({7, 5}, endpoints(20'000, 700));  // some 17 MB: beyond what the kernel buffers
  auto slow = peer_->follow("/routes", "", true);
  auto fast = peer_->follow("/routes");
  Table table;
  ASSERT_TRUE(reaches(table, *fast, 5));
  publish({endpoint(20'000)});  // happens while the slow one is in the middle of its snapshot
  publish({}, {endpoint(3).task});
  ASSERT_TRUE(reaches(table, *fast, 7));
  EXPECT_EQ(streams_->subscribers(), 2u);
  slow->resume();
  Table late;
  ASSERT_TRUE(reaches(late, *slow, 7));
  EXPECT_EQ(late.endpoints.size(), 20'000u);
  EXPECT_TRUE(late.endpoints == table.endpoints);
  EXPECT_LE(streams_->queued_bytes_peak(), 2 * model::kSnapshotChunkBytesMax + 4096);
}

TEST_F(RouteStreamsTest, DisconnectsAReaderThatFellOutOfTheRing) {
  RouteStreams::Options options;
  options.deltas_max = 3;
  serve(options);
  streams_->reset({7, 5}, endpoints(20'000, 700));
  auto slow = peer_->follow("/routes", "", true);
  ASSERT_TRUE(run_until(loop_, [&] { return slow->status() == 200; }));
  for (int i = 0; i < 5; ++i) publish({endpoint(30'000 + i)});
  slow->resume();
  ASSERT_TRUE(run_until(loop_, [&] { return slow->is_over(); }));
  EXPECT_TRUE(run_until(loop_, [&] { return streams_->subscribers() == 0; }));
}

TEST_F(RouteStreamsTest, BeatsWhileNothingHappens) {
  RouteStreams::Options options;
  options.heartbeat = std::chrono::milliseconds(5);
  serve(options);
  auto follower = peer_->follow("/routes");
  auto beats = [&] {
    std::size_t found = 0;
    for (auto at = follower->raw().find(": heartbeat\n\n"); at != std::string::npos;
         at = follower->raw().find(": heartbeat\n\n", at + 1)) {
      ++found;
    }
    return found;
  };
  ASSERT_TRUE(run_until(loop_, [&] { return beats() >= 3; }));
}

TEST_F(RouteStreamsTest, ForgetsAFollowerThatLeft) {
  serve();
  auto follower = peer_->follow("/routes");
  ASSERT_TRUE(run_until(loop_, [&] { return streams_->subscribers() == 1 && follower->status() == 200; }));
  follower->disconnect();
  EXPECT_TRUE(run_until(loop_, [&] { return streams_->subscribers() == 0; }));
}

TEST_F(RouteStreamsTest, RefusesMoreFollowersThanItsBound) {
  RouteStreams::Options options;
  options.subscribers_max = 1;
  serve(options);
  auto first = peer_->follow("/routes");
  ASSERT_TRUE(run_until(loop_, [&] { return first->status() == 200; }));
  EXPECT_EQ(peer_->fetch("GET", "/routes").status, 503);
}

TEST_F(RouteStreamsTest, AnswersTheWholeTableAsOneJsonObject) {
  serve();
  streams_->reset({7, 5}, endpoints(5000, 200));
  auto table = peer_->get("/json");
  EXPECT_EQ(table["term"], 7);
  EXPECT_EQ(table["revision"], 5);
  EXPECT_EQ(table["endpoints"].size(), 5000u);
  streams_->reset({7, 6}, {});
  EXPECT_EQ(peer_->get("/json")["endpoints"].size(), 0u);
  EXPECT_TRUE(run_until(loop_, [&] { return streams_->subscribers() == 0; }));
}

}  // namespace
}  // namespace lotse::scheduler

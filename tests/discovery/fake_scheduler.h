// The scheduler's half of the route stream and of the lease, as a real HTTP server that says what the test tells it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/server.h"
#include "http/sse.h"
#include "model/routes.h"
#include "net/loop.h"

namespace lotse::discovery {

// Turns the loop until `is_done`; a test that waits for what never comes fails instead of hanging.
inline void run_until(net::Loop& loop, const std::function<bool()>& is_done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_done()) {
    loop.run_once_ready();
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain";
  }
}

class FakeScheduler {
 public:
  struct Join {
    std::string query, last_event_id;
    std::unique_ptr<http::ServerStream> stream;
  };

  explicit FakeScheduler(net::Loop& loop) : loop_(loop) {
    router_.add("GET", "/v1/routes", [this](http::ServerRequest& request, http::Responder responder) {
      if (refuses_streams) return responder.respond({.status = 503});
      const std::string* last = request.field("Last-Event-ID");
      joins.push_back({request.query, last != nullptr ? *last : "", responder.stream({})});
    });
    router_.add("PUT", "/v1/proxies/{id}", [this](http::ServerRequest& request, http::Responder responder) {
      auto report = model::parse_proxy_report(request.body);
      ASSERT_TRUE(report) << report.error().text();
      reporters.push_back(request.captures.at(0));
      reports.push_back(*report);
      if (holds_answers) return held.push_back(std::move(responder));
      responder.respond(answer());
    });
    open("127.0.0.1:0");
  }

  void open(const std::string& address) {
    server_ = std::make_unique<http::Server>(loop_, router_, http::Server::Options{});
    auto bound = server_->listen(*net::Address::parse(address));
    ASSERT_TRUE(bound);
    address_ = *bound;
  }
  void die() {
    for (Join& join : joins) join.stream.reset();
    held.clear();
    server_.reset();
  }
  void rise() { open(address_.to_string()); }

  http::Endpoint endpoint() const { return {address_.ip(), address_.port(), ""}; }
  std::string url() const { return "http://" + address_.to_string(); }

  http::ServerResponse answer() const {
    http::ServerResponse response;
    response.status = lease_status;
    response.body = model::serialize(model::ProxyReportAnswer{lease_term, "cluster", lease_seconds});
    return response;
  }

  http::ServerStream& stream() { return *joins.back().stream; }
  void say(std::string_view type, const std::string& data, model::Revision revision) {
    if (!is_lease_term_fixed) lease_term = std::max(lease_term, revision.epoch);
    std::string text;
    http::append_sse_event(text, type, data, to_string(revision));
    stream().write(text);
  }
  void say_chunk(model::SnapshotChunk chunk) { say("snapshot", model::serialize(chunk), {chunk.term, chunk.revision}); }
  void say_snapshot(std::uint64_t term, std::uint64_t revision, std::vector<model::Endpoint> set) {
    say_chunk({term, revision, 0, true, std::move(set)});
  }
  void say_update(std::uint64_t term, std::uint64_t from, std::uint64_t to, std::vector<model::Endpoint> set,
                  std::vector<model::GoneTask> gone = {}) {
    say("update", model::serialize(model::RouteUpdate{term, from, to, std::move(set), std::move(gone)}), {term, to});
  }

  std::vector<Join> joins;
  std::vector<std::string> reporters;
  std::vector<model::ProxyReport> reports;
  bool refuses_streams = false, holds_answers = false;
  std::vector<http::Responder> held;
  int lease_status = 200;
  std::uint64_t lease_term = 0;  // follows what the stream says, unless fixed
  bool is_lease_term_fixed = false;
  double lease_seconds = 10;

 private:
  net::Loop& loop_;
  http::Router router_;
  std::unique_ptr<http::Server> server_;
  net::Address address_;
};

}  // namespace lotse::discovery

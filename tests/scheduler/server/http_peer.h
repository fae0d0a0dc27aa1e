// The other end of the scheduler's API in tests: plain requests that are waited for, and followers of streams.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/sse.h"
#include "net/loop.h"
#include "tests/scheduler/server/loop_runner.h"

namespace lotse::scheduler {

class Follower final : public http::ClientListener {
 public:
  void on_head(int status, const http::Fields& fields) override {
    status_ = status;
    head_ = fields;
    if (pauses_at_head_ && call_ != nullptr) call_->pause();
  }
  void on_body(std::string_view bytes) override {
    body_bytes_ += bytes.size();
    raw_ += bytes;
    EXPECT_TRUE(parser_.feed(bytes, [this](const http::SseEvent& event) { events_.push_back(event); }));
  }
  void on_complete() override { is_over_ = true; }
  void on_failed(Error) override { is_over_ = true; }

  void start(http::Client& client, http::ClientRequest request) { call_ = client.stream(std::move(request), *this); }
  void pause_at_head() { pauses_at_head_ = true; }
  void resume() { call_->resume(); }
  void disconnect() { call_.reset(); }

  int status() const { return status_; }
  bool is_over() const { return is_over_; }
  const http::Fields& head() const { return head_; }
  const std::string& raw() const { return raw_; }
  std::size_t body_bytes() const { return body_bytes_; }
  std::vector<http::SseEvent>& events() { return events_; }
  std::size_t count(std::string_view type) const {
    std::size_t found = 0;
    for (const http::SseEvent& event : events_) found += event.type == type;
    return found;
  }

 private:
  std::unique_ptr<http::Call> call_;
  http::SseParser parser_{16 * 1024 * 1024};
  std::vector<http::SseEvent> events_;
  http::Fields head_;
  std::string raw_;
  std::size_t body_bytes_ = 0;
  int status_ = 0;
  bool is_over_ = false, pauses_at_head_ = false;
};

class HttpPeer {
 public:
  HttpPeer(net::Loop& loop, const net::Address& server) : loop_(loop), client_(loop) {
    endpoint_.host = server.ip();
    endpoint_.port = server.port();
  }

  http::ClientRequest request(std::string method, std::string target, std::string body = {}) const {
    http::ClientRequest request;
    request.method = std::move(method);
    request.endpoint = endpoint_;
    request.target = std::move(target);
    request.body = std::move(body);
    if (!request.body.empty()) request.fields.emplace_back("Content-Type", "application/json");
    return request;
  }
  http::ClientResponse fetch(http::ClientRequest request) {
    std::optional<Result<http::ClientResponse>> answer;
    auto call =
        client_.send(std::move(request), [&](Result<http::ClientResponse> result) { answer = std::move(result); });
    EXPECT_TRUE(run_until(loop_, [&] { return answer.has_value(); }));
    if (!answer || !*answer) {
      ADD_FAILURE() << "no answer" << (answer ? ": " + describe(answer->error()) : "");
      return {};
    }
    return std::move(**answer);
  }
  http::ClientResponse fetch(std::string method, std::string target, std::string body = {}) {
    return fetch(request(std::move(method), std::move(target), std::move(body)));
  }
  nlohmann::json get(std::string target, int status = 200) {
    http::ClientResponse answer = fetch("GET", target);
    EXPECT_EQ(answer.status, status) << target << ": " << answer.body;
    nlohmann::json value = nlohmann::json::parse(answer.body, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << answer.body;
    return value;
  }
  std::unique_ptr<Follower> follow(std::string target, std::string last_id = {}, bool is_slow = false) {
    auto follower = std::make_unique<Follower>();
    http::ClientRequest asked = request("GET", std::move(target));
    asked.fields.emplace_back("Accept", "text/event-stream");
    if (!last_id.empty()) asked.fields.emplace_back("Last-Event-ID", last_id);
    if (is_slow) follower->pause_at_head();
    follower->start(client_, std::move(asked));
    return follower;
  }
  net::Loop& loop() { return loop_; }
  http::Client& client() { return client_; }

 private:
  net::Loop& loop_;
  http::Client client_;
  http::Endpoint endpoint_;
};

}  // namespace lotse::scheduler

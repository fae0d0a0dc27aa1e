// Events by HTTP POST, the way of Marathon before 1.5 that Jenkins-style pipelines and Bamboo use:
// /v2/eventSubscriptions, and the calls. The set of URLs is State's and durable; what is on its way is not. Each URL
// gets its events in order, one request at a time. Bounded: beyond 1024 waiting events the oldest are dropped, and a
// URL that fails is left alone for a while, twice as long each time. Owned by the API; loop thread.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "http/client.h"
#include "http/server.h"
#include "net/timers.h"
#include "scheduler/server/engine.h"
#include "scheduler/server/event_streams.h"

namespace lotse::scheduler {

class EventCallbacks final : public EventStreams::Also {
 public:
  struct Options {
    std::size_t events_max = 1024;  // waiting for one URL; beyond, the oldest goes
    Duration timeout = std::chrono::seconds(10);
    Duration pause_first = std::chrono::seconds(1), pause_max = std::chrono::seconds(60);  // after failures
  };
  EventCallbacks(net::Loop& loop, Engine& engine, EventStreams& events)
      : EventCallbacks(loop, engine, events, Options{}) {}
  EventCallbacks(net::Loop& loop, Engine& engine, EventStreams& events, Options options);
  ~EventCallbacks();
  void add_to(http::Router& router);

  bool wants_events() const override { return !engine_.state().callbacks.empty(); }
  void on_event(const std::string& text) override;
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t failures() const { return failures_; }
  void close_all() { targets_.clear(); }

 private:
  struct Target {
    explicit Target(net::Timers& timers, std::function<void()> on_pause_over)
        : pause(timers, std::move(on_pause_over)) {}
    http::Url url;
    std::deque<std::string> waiting;
    std::unique_ptr<http::Call> call;
    int failures_in_a_row = 0;
    net::Timer pause;
  };
  void list(http::Responder responder);
  void change(const http::ServerRequest& request, bool is_wanted, http::Responder responder);
  Target* target_of(const std::string& url);
  void send_next(const std::string& url);
  void on_answer(const std::string& url, const Result<http::ClientResponse>& answer);

  net::Loop& loop_;
  Engine& engine_;
  EventStreams& events_;
  Options options_;
  http::Client client_;
  std::map<std::string, std::unique_ptr<Target>> targets_;
  std::uint64_t dropped_ = 0, failures_ = 0;
};

}  // namespace lotse::scheduler

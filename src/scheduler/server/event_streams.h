// GET /v2/events: everybody who follows Marathon's event stream. Knows no event's meaning (event_json.h renders them).
// Bounded: who has more than 1024 events or 1 MiB outstanding is disconnected, as in Marathon. Owned by the API; loop
// thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>

#include "http/server.h"
#include "net/loop.h"
#include "net/timers.h"

namespace lotse::scheduler {

class EventStreams {
 public:
  struct Options {
    std::size_t events_max = 1024;              // outstanding behind one socket
    std::size_t queue_bytes_max = 1024 * 1024;  // the same, in bytes
    std::size_t subscribers_max = 1024;         // beyond: 503
    Duration heartbeat = std::chrono::seconds(10);
  };
  explicit EventStreams(net::Loop& loop) : EventStreams(loop, Options{}) {}
  EventStreams(net::Loop& loop, Options options);
  ~EventStreams();

  // `types`: only these; empty: all.
  // `is_light`: plans without `original` and `target`.
  void follow(http::Responder responder, std::set<std::string> types, const std::string& remote, bool is_light = false);
  void send(std::string_view type, const nlohmann::json& event);
  bool has_subscribers() const {
    return !subscribers_.empty() || (also_ != nullptr && also_->wants_events());
  }  // else nobody need render an event
  std::size_t subscribers() const { return subscribers_.size(); }
  std::uint64_t dropped_subscribers() const { return dropped_; }
  void close_all() { subscribers_.clear(); }

  class Also {  // whoever wants the events by another way than a stream
   public:
    virtual bool wants_events() const = 0;
    virtual void on_event(const std::string& text) = 0;  // one event as JSON

   protected:
    ~Also() = default;
  };
  void set_also(Also* also) { also_ = also; }  // null: nobody; outlives us or is taken away before

 private:
  struct Subscriber {
    std::unique_ptr<http::ServerStream> stream;
    std::set<std::string> types;
    std::string remote;
    bool is_light = false;
    std::size_t outstanding = 0;  // events since the queue was last empty
    bool is_leaving = false;      // nothing more is written; gone after the current callbacks
  };
  void write(std::uint64_t id, Subscriber& subscriber, std::string_view frame);
  void remove_later(std::uint64_t id, Subscriber& subscriber);
  void beat();
  void announce(std::string_view type, const std::string& remote);

  net::Loop& loop_;
  Options options_;
  std::map<std::uint64_t, std::unique_ptr<Subscriber>> subscribers_;
  Also* also_ = nullptr;
  std::uint64_t next_id_ = 1, dropped_ = 0;
  net::Timer heartbeat_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lotse::scheduler

// Server-sent events (WHATWG HTML, section 9.2): parser, writer, and a source that reconnects by itself.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"

namespace lotse::http {

struct SseEvent {
  std::string type;  // "message" when the stream names none
  std::string data;
  std::string id;    // the last id seen, also from earlier events
};

class SseParser {  // bytes in, events out; CR, LF and CRLF; split anywhere
 public:
  explicit SseParser(std::size_t event_bytes_max = 4 * 1024 * 1024) : event_bytes_max_(event_bytes_max) {}
  // Returns false when an event is larger than the bound: the stream is to be dropped.
  bool feed(std::string_view bytes, const std::function<void(const SseEvent&)>& on_event);
  void reset();  // a new connection: forgets the unfinished event, keeps the last id
  const std::string& last_id() const { return last_id_; }
  void set_last_id(std::string id) { last_id_ = std::move(id); }

 private:
  void take_line(std::string_view line, const std::function<void(const SseEvent&)>& on_event);
  std::size_t event_bytes_max_;
  std::string line_, data_, type_, last_id_;
  bool has_data_ = false, skip_lf_ = false;
};

void append_sse_event(std::string& out, std::string_view type, std::string_view data, std::string_view id = {});

class SseListener {
 public:
  virtual void on_open() {}                            // 200 text/event-stream; any byte counts as a sign of life
  virtual void on_event(const SseEvent& event) = 0;
  virtual void on_lost(const Problem& why) = 0;         // will reconnect by itself after a delay

 protected:
  ~SseListener() = default;
};

// A GET that is opened again for ever: 100 ms after the first loss, then with back-off and jitter up to `retry_max`.
// Sends Last-Event-ID unless forget_last_id() was called. A stream silent for `silence_max` is dead.
class SseSource {
 public:
  struct Options {
    Duration silence_max = std::chrono::seconds(15);
    Duration retry_max = std::chrono::seconds(3);
    std::size_t event_bytes_max = 4 * 1024 * 1024;
  };
  SseSource(Client& client, ClientRequest request, SseListener& listener, Options options);
  ~SseSource();
  void start();
  void reconnect();                        // now, e.g. when a revision does not follow
  void forget_last_id();
  void set_request(ClientRequest request);  // from the next connection on

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::http

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
  std::string id;  // the last id seen, also from earlier events
};

class SseParser {  // bytes in, events out; CR, LF and CRLF; split anywhere
 public:
  explicit SseParser(std::size_t event_bytes_max = 4 * 1024 * 1024) : event_bytes_max_(event_bytes_max) {}
  using OnEvent = std::function<void(const SseEvent&)>;
  // Returns false when an event is larger than the bound: the stream is to be dropped.
  bool feed(std::string_view bytes, const OnEvent& on_event);
  void stop() { is_stopped_ = true; }  // from on_event: feed() returns at once and drops the rest of its bytes
  void reset();                        // a new connection: forgets the unfinished event and its id, keeps the last id
  const std::string& last_id() const { return last_id_; }  // of a whole event: one cut off does not count as seen
  void set_last_id(std::string id) { last_id_ = id_ = std::move(id); }

 private:
  bool take_line(std::string_view line, const OnEvent& on_event);
  void dispatch(const OnEvent& on_event);
  std::size_t event_bytes_max_;
  std::string line_, data_, type_;
  std::string id_, last_id_;  // id_: of the event under way
  bool has_data_ = false, skip_lf_ = false, is_stopped_ = false;
};

// Data of several lines goes out as several data fields. An empty type is "message"; type and id hold no line ends.
void append_sse_event(std::string& out, std::string_view type, std::string_view data, std::string_view id = {});

class SseListener {
 public:
  virtual void on_open() {}  // 200 text/event-stream; any byte counts as a sign of life
  virtual void on_event(const SseEvent& event) = 0;
  virtual void on_lost(const Problem& why) = 0;  // will reconnect by itself after a delay

 protected:
  ~SseListener() = default;
};

// A GET that is opened again for ever: 100 ms after the first loss, then with back-off and jitter up to `retry_max`.
// Sends Last-Event-ID unless forget_last_id() was called. A stream silent for `silence_max` is dead. Any callback may
// call any method here, and may destroy the source.
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
  void reconnect();  // now, e.g. when a revision does not follow; what was read with it is dropped
  void forget_last_id();
  void set_request(ClientRequest request);  // from the next connection on

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace lotse::http

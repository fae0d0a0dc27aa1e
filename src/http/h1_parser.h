// HTTP/1.x bytes in, events out; synchronous, no loop, fuzzable. llhttp (strict mode) with our own checks on top: the
// rules are PROXY.md "Posture" 1 to 9 and docs/http-strictness.md. Used by the proxy (both sides), client and server.
//
// One object parses one direction of one connection, message after message. feed() stops after each complete message,
// so pipelined bytes stay with the caller. Heads are copied once, into the parser's head buffer (kept between messages,
// at most Limits::head_bytes_max); the views in a head stay valid until the next message begins. Bodies are views of
// what was fed. The same bytes split anywhere give the same events (body pieces may be cut differently).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "http/message.h"

namespace lotse::http {

struct Limits {
  std::size_t head_bytes_max = 32 * 1024;         // request: 431; response: 502
  std::size_t fields_max = 100;                   // 431
  std::size_t request_line_bytes_max = 8 * 1024;  // 414
  std::size_t chunk_extension_line_bytes_max = 4 * 1024;
  std::size_t chunk_extensions_bytes_max = 16 * 1024;  // of one body
  std::size_t trailer_bytes_max = 8 * 1024;
};

struct ParseError {
  int status = 0;           // what a server answers: 400, 405, 414, 417, 431, 501, 505; of a response 502. 0: none
  const char* reason = "";  // static text for the log: "bare LF in header"
  explicit operator bool() const { return status != 0; }
};

class RequestListener {
 public:
  virtual void on_request_head(const RequestHead& head) = 0;
  virtual void on_request_body(std::span<const char> bytes) = 0;          // payload only, chunk framing removed
  virtual void on_request_trailers(std::span<const Field> trailers) = 0;  // only when there are some, before complete
  virtual void on_request_complete() = 0;

 protected:
  ~RequestListener() = default;
};

class ResponseListener {
 public:
  // 1xx come here too and the final one follows, without a complete between them; after 101 comes complete.
  virtual void on_response_head(const ResponseHead& head) = 0;
  virtual void on_response_body(std::span<const char> bytes) = 0;
  virtual void on_response_trailers(std::span<const Field> trailers) = 0;
  virtual void on_response_complete() = 0;

 protected:
  ~ResponseListener() = default;
};

struct FeedResult {
  std::size_t consumed = 0;  // < bytes.size() when a message completed, an upgrade began, or on error
  bool message_complete = false;
  // With message_complete. A response: it was 101, the rest is not HTTP/1. A request: it asked for an upgrade; feed on
  // only when the answer is another one.
  bool upgraded = false;
  ParseError error;  // for good: feed() goes on answering it
};

class RequestParser {
 public:
  RequestParser(RequestListener& listener, const Limits& limits);  // limits outlive the parser
  ~RequestParser();
  // The listener may not feed() or destroy the parser from a callback; pause() makes feed() return after it.
  FeedResult feed(std::span<const char> bytes);
  // From a callback: feed() returns having consumed what it had reported. A message that needs no further bytes is
  // completed all the same, so that nobody has to feed nothing.
  void pause();
  // Of a body whose length the head gave: what is still to come; else 0. So many bytes at most may go another way than
  // through feed() and be told to skip_body() instead, which ends the message when they were the last ones.
  std::uint64_t fixed_body_left() const;
  FeedResult skip_body(std::uint64_t bytes);
  bool is_between_messages() const;  // nothing of the next message has come: an idle connection
  bool has_partial_head() const;
  void release();  // between messages: lend the head buffer to the thread's other parsers (idle connections own none)
  void discard();  // nothing more will be fed, whatever the state: gives everything back
  std::size_t buffered_bytes() const;  // what it holds now, for bounds on memory

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class ResponseParser {
 public:
  ResponseParser(ResponseListener& listener, const Limits& limits);
  ~ResponseParser();
  // Before each response: what was asked. HEAD has no body; 101 may choose from `upgrade_offered`, which stays valid
  // until the response is complete (another 101 is an error, and so are bytes when nothing is expected).
  void expect(Method method, std::string_view upgrade_offered = {});
  FeedResult feed(std::span<const char> bytes);
  void pause();
  std::uint64_t fixed_body_left() const;  // as above
  FeedResult skip_body(std::uint64_t bytes);
  // The connection ended. True: that completed a close-delimited body (on_response_complete was called). False: the
  // message is truncated, or nothing was under way.
  bool finish();
  bool is_between_messages() const;
  void release();
  std::size_t buffered_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lotse::http

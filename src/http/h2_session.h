// One side of an HTTP/2 connection, client's or server's: bytes in, events out; heads, bodies and resets in, frames
// out. nghttp2 does framing, HPACK, stream states and flow control; here are the bounds, the accounting and the bodies.
// Knows no socket, no loop and nothing of what fields mean (h2_fields.h). Owned by its connection; one loop thread.
//
// Nothing is sent by itself: what there is to send goes out in flush(), into the H2Output. Callbacks come out of
// feed(), flush() and end(); they may call anything here but feed() and flush(), and may not destroy the session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/h2_block.h"
#include "http/h2_error.h"
#include "http/h2_flood.h"
#include "http/h2_memory.h"
#include "http/message.h"

struct nghttp2_session;

namespace lotse::http {

inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct H2Options {
  bool is_client = false;
  std::uint32_t streams_max = 100;  // that the peer may have open (a client's peer may open none)
  std::uint32_t stream_window_bytes = 64 * 1024;
  std::uint32_t connection_window_bytes = 1024 * 1024;
  std::uint32_t header_table_bytes = 4096;  // HPACK, either direction
  std::size_t head_bytes_max = 32 * 1024;  // decoded, as RFC 9113 section 6.5.2 counts; twice that: the connection ends
  std::size_t fields_max = 100;
  std::size_t continuations_max = 8;
  std::size_t body_low_bytes = 32 * 1024;  // H2StreamListener::on_h2_drained()
  bool takes_extended_connect = false;     // RFC 8441; server
  H2FloodLimits floods;
};

class H2Session;

class H2StreamListener {
 public:
  // A client's: heads of answers, 1xx as well, then trailers. A server's: trailers. `ends`: on_h2_end() follows.
  virtual void on_h2_block(std::span<const Field> fields, bool ends) = 0;
  // DATA; what was used goes into H2Session::consume(), now or later, or the peer has to stop.
  virtual void on_h2_body(std::string_view bytes) = 0;
  virtual void on_h2_end() = 0;      // END_STREAM, and the body was as long as expect_body() said
  virtual void on_h2_drained() = 0;  // the body that waits has sunk to H2Options::body_low_bytes
  // Reset, by either side, or gone with its connection; or at its end in order (no_error). The last callback; the
  // stream is gone when it returns. `is_unprocessed`: the peer says that it has not looked at the request.
  virtual void on_h2_closed(H2Error error, bool is_unprocessed) = 0;

 protected:
  ~H2StreamListener() = default;
};

// One stream. Lent by its session until on_h2_closed(), or until H2Session::reset().
class H2Stream {
 public:
  std::int32_t id() const { return id_; }
  // Of the body, not in frames yet.
  std::size_t queued_bytes() const { return body_.size() - body_offset_ + view_.size(); }
  // A request of which more was sent than we keep: to be answered 431. Its fields are not all there.
  bool is_too_large() const { return block_.is_too_large(); }
  bool peer_has_ended() const { return peer_has_ended_; }
  void set_listener(H2StreamListener* listener) { listener_ = listener; }
  void keep_half_open() { stays_half_open_ = true; }  // a tunnel: a server's end is not the client's
  // What a content-length said: more, or an end before, is malformed (RFC 9113 section 8.1.1).
  void expect_body(std::optional<std::uint64_t> bytes) { expected_bytes_ = bytes; }

 private:
  friend class H2Session;
  friend struct H2Callbacks;

  std::int32_t id_ = 0;
  H2StreamListener* listener_ = nullptr;
  H2Block block_;               // of the head
  H2Block trailers_;            // that came
  H2Block sent_trailers_;       // to go behind the body
  std::size_t index_ = 0;       // in the session's list
  std::size_t block_held_ = 0;  // as the session counts it
  std::string body_;            // from body_offset_ on: waits for window and room
  std::size_t body_offset_ = 0;
  std::string_view view_;  // behind it, during H2Session::send_body()
  std::uint64_t body_bytes_ = 0;
  std::optional<std::uint64_t> expected_bytes_;
  std::size_t unconsumed_bytes_ = 0;
  bool has_head_ = false;       // the peer's (final) one has come: another block is trailers
  bool head_was_sent_ = false;  // ours
  bool peer_has_ended_ = false;
  bool ends_ = false;  // nothing comes behind the body that waits
  bool stays_half_open_ = false;
  bool is_answered_ = false;  // the whole answer has gone, the request has not ended
  bool is_reset_ = false;     // a RST_STREAM of ours is on its way: nothing more is told
  bool was_above_ = false;    // more than body_low_bytes waited since on_h2_drained()
};

class H2SessionListener {
 public:
  // Server: a request's head is whole; give the stream its listener, answer or reset it. The views stay while the
  // stream does.
  virtual void on_h2_request(H2Stream& stream, std::span<const Field> fields, bool ends) = 0;
  virtual void on_h2_goaway(H2Error) {}        // the peer takes (client) or opens (server) no further streams
  virtual void on_h2_settings() {}             // of the peer; they may have changed
  virtual void on_h2_answered_early() {}       // reset_answered() is wanted in a moment
  virtual void on_h2_stream_error(H2Error) {}  // a stream was reset for what the peer did

 protected:
  ~H2SessionListener() = default;
};

class H2Output {
 public:
  virtual std::size_t room() = 0;  // bytes that may be added now; a frame that has begun is always taken
  virtual void add_text(std::string_view bytes) = 0;   // copied
  virtual void add_bytes(std::string_view bytes) = 0;  // may be referred to until release_views()
  virtual void release_views() = 0;
  virtual void on_h2_unsent() = 0;  // there is something to flush() that was not there before

 protected:
  ~H2Output() = default;
};

class H2Session {
 public:
  H2Session(H2SessionListener& listener, H2Output& output, const H2Options& options);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  void feed(std::string_view bytes, Instant now);
  void flush();
  bool is_over() const;  // nothing more is read, and what there was to say is with the output: close
  bool is_busy() const { return is_busy_; }  // inside feed() or flush()

  // A server's answer, or 1xx; `:status` first. `ends`: no body.
  void send_head(H2Stream& stream, std::span<const Field> fields, bool ends);
  // A client's request, pseudo-fields first. nullptr: no stream may be opened (any more).
  H2Stream* open(std::span<const Field> fields, bool ends, H2StreamListener& listener);
  bool can_open() const;  // within the peer's bound, and no GOAWAY has come
  std::uint32_t peer_streams_max() const;
  bool peer_takes_extended_connect() const;
  void send_body(H2Stream& stream, std::string_view bytes);  // larger ones go out at once, without a copy, if they may
  void send_end(H2Stream& stream, std::span<const Field> trailers);
  // The peer made a mistake: counts as a reset of its own; its listener hears on_h2_closed().
  void reject(H2Stream& stream, H2Error error);
  void reset(H2Stream& stream, H2Error error);                        // no callback comes any more; the stream is gone
  void consume(H2Stream& stream, std::size_t bytes);                  // both windows open again
  void consume_connection_only(H2Stream& stream, std::size_t bytes);  // this stream waits, the others do not
  void consume_stream_only(H2Stream& stream, std::size_t bytes);      // what was consumed for the connection before

  void ping();  // the answer is no event: any byte of the peer's says that it lives
  // Streams whose answer was whole before their request are reset (NO_ERROR); until then what comes for them is thrown
  // away, within their window.
  void reset_answered();
  void announce_end();      // GOAWAY with the highest id: what is on its way is still taken
  void finish();            // GOAWAY with the last one that we took; is_over() when all have ended
  void end(H2Error error);  // GOAWAY, and nothing else
  // The connection is lost: every stream hears of it now, and nothing is told any more. Also from within a callback.
  void close_streams(H2Error error);

  std::size_t streams() const { return streams_.size(); }
  bool has_partial_block() const { return has_partial_block_; }  // a head has begun to come
  std::uint64_t data_frames_sent() const { return data_frames_sent_; }
  std::optional<H2Flood> flood() const { return flood_; }  // what ended it
  H2Error error() const { return error_; }                 // that we told the peer about its connection
  std::size_t held_bytes() const { return memory_.held_bytes + queued_bytes_ + block_bytes_; }

 private:
  friend struct H2Callbacks;

  void announce(const H2Options& options);
  H2Stream& new_stream(std::int32_t id);
  H2Block& block_of(H2Stream& stream) { return stream.has_head_ && !is_client_ ? stream.trailers_ : stream.block_; }
  void drop(H2Stream& stream);
  H2Stream* stream_of(std::int32_t id) const;
  void on_block(H2Stream& stream, bool ends);
  void on_data(H2Stream& stream, std::string_view bytes);
  void on_peer_end(H2Stream& stream);
  void on_stream_closed(H2Stream& stream, H2Error error);
  bool is_flood(H2Flood kind);
  void break_off(H2Error error);
  void write_body(H2Stream& stream, std::size_t bytes);
  void keep(H2Stream& stream, std::string_view bytes);
  void tell_unsent();
  void tell_drained();
  void wake(H2Stream& stream);

  H2SessionListener& listener_;
  H2Output& output_;
  const std::size_t head_bytes_max_, fields_max_, body_low_bytes_;
  const bool is_client_;
  H2FloodMeter floods_;
  H2Memory memory_;
  nghttp2_session* session_ = nullptr;
  Instant now_{};
  H2Stream* current_ = nullptr;     // whose block is being decoded
  H2Stream* sending_ = nullptr;     // whose view_ is set
  std::vector<H2Stream*> streams_;  // in no order
  std::vector<H2Stream*> drained_;
  std::size_t queued_bytes_ = 0, block_bytes_ = 0;
  std::uint64_t data_frames_sent_ = 0;
  std::int32_t goaway_last_id_ = -1;  // that the peer said; -1: it has not
  std::optional<H2Flood> flood_;
  H2Error error_ = H2Error::no_error;
  bool is_feeding_ = false, is_busy_ = false, is_unsent_ = false;
  bool has_partial_block_ = false;
  bool is_broken_ = false;  // nghttp2 may not be asked any more
};

}  // namespace lotse::http

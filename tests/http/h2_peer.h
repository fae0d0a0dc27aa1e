// A session with a recorder behind it, for tests: what it hears becomes text, what it writes waits in `out`.
#pragma once

#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>

#include "http/h2_fields.h"
#include "http/h2_session.h"

namespace lotse::http {

class H2Peer final : public H2SessionListener, public H2Output {
 public:
  explicit H2Peer(const H2Options& options = {}) : session(*this, *this, options) {}
  ~H2Peer() { session.close_streams(H2Error::cancel); }

  struct Stream final : H2StreamListener {
    Stream(H2Peer& owner, H2Stream* of) : peer(owner), stream(of) {}
    void on_h2_block(std::span<const Field> fields, bool ends) override {
      peer.note("block {}{}", stream->id(), ends ? " ends" : "");
      for (const Field& field : fields) peer.text += fmt::format("  {}: {}\n", field.name, field.value);
    }
    void on_h2_body(std::string_view bytes) override {
      body.append(bytes);
      unconsumed += bytes.size();
      if (peer.consumes) consume();
    }
    void on_h2_end() override { peer.note("end {}", stream->id()); }
    void on_h2_drained() override { peer.note("drained {}", stream->id()); }
    void on_h2_closed(H2Error error, bool is_unprocessed) override {
      peer.note("closed {} {}{}", stream->id(), to_string(error), is_unprocessed ? " unprocessed" : "");
      stream = nullptr;
    }
    void consume() { peer.session.consume(*stream, std::exchange(unconsumed, 0)); }

    H2Peer& peer;
    H2Stream* stream;
    std::string body;
    std::size_t unconsumed = 0;
  };

  Stream& open(std::span<const Field> fields, bool ends) {
    auto stream = std::make_unique<Stream>(*this, nullptr);
    stream->stream = session.open(fields, ends, *stream);
    Stream& opened = *stream;
    if (stream->stream != nullptr)
      streams[stream->stream->id()] = std::move(stream);
    else
      refused = std::move(stream);
    return opened;
  }

  // H2SessionListener
  void on_h2_request(H2Stream& stream, std::span<const Field> fields, bool ends) override {
    auto& mine = streams[stream.id()];
    mine = std::make_unique<Stream>(*this, &stream);
    stream.set_listener(mine.get());
    note("request {}{}{}", stream.id(), ends ? " ends" : "", stream.is_too_large() ? " too large" : "");
    for (const Field& field : fields) text += fmt::format("  {}: {}\n", field.name, field.value);
    H2HeadReader reader;
    RequestHead head;
    if (ParseError error = reader.read_request(fields, ends, Limits{}, head); error.status == kH2Malformed) {
      note("malformed {}", error.reason);
      return session.reject(stream, H2Error::protocol_error);
    }
    stream.expect_body(head.content_length);
  }
  void on_h2_goaway(H2Error error) override { note("goaway {}", to_string(error)); }
  void on_h2_stream_error(H2Error error) override { note("stream error {}", to_string(error)); }
  // H2Output
  std::size_t room() override { return out.size() < room_max ? room_max - out.size() : 0; }
  void add_text(std::string_view bytes) override { out.append(bytes); }
  void add_bytes(std::string_view bytes) override { out.append(bytes); }
  void release_views() override {}
  void on_h2_unsent() override {}

  void feed(std::string_view bytes) { session.feed(bytes, now); }
  std::string take() {
    session.flush();
    return std::exchange(out, {});
  }

  template <typename... Args>
  void note(fmt::format_string<Args...> format, Args&&... args) {
    text += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  std::string text, out;
  bool consumes = true;
  std::size_t room_max = std::size_t{1} << 30;
  Instant now{};
  std::map<std::int32_t, std::unique_ptr<Stream>> streams;
  std::unique_ptr<Stream> refused;
  H2Session session;
};

// Bytes go to and fro until both are quiet.
inline void exchange_bytes(H2Peer& a, H2Peer& b) {
  for (bool is_moving = true; is_moving;) {
    const std::string from_a = a.take();
    b.feed(from_a);
    const std::string from_b = b.take();
    a.feed(from_b);
    is_moving = !from_a.empty() || !from_b.empty();
  }
}

}  // namespace lotse::http

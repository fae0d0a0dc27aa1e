// What a server has to answer to frames that are wrong, or right and unusual: the cases of h2spec said again, over real
// sockets. A connection error may stand where RFC 9113 asks for a stream error (section 5.4), never the other way
// round.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/proxy/h2_client.h"

namespace lotse::proxy::test {
namespace {

using h2::data;
using h2::end_headers;
using h2::end_stream;
using h2::Fields;
using h2::frame;
using h2::get;
using h2::headers_frame;
using h2::number;

constexpr std::uint32_t kProtocol = 1, kFlow = 3, kClosed = 5, kSize = 6, kRefused = 7, kCompression = 9;

enum class Expect : std::uint8_t { served, connection_error, stream_error };

struct Case {
  const char* section;  // of RFC 9113, or of another one
  const char* what;
  std::string bytes;  // behind the preface and SETTINGS
  Expect expect = Expect::served;
  std::vector<std::uint32_t> codes;
};

constexpr int kWhole = end_headers | end_stream;
const Fields kPost = get("/app", "POST");
std::string open_stream(std::uint32_t id) { return headers_frame(id, kPost, end_headers); }
std::string whole(std::uint32_t id) { return headers_frame(id, get("/app")); }
std::string word(std::uint32_t value) { return number(value, 4); }
std::string padded(std::uint8_t bytes, const std::string& rest) {
  return std::string(1, static_cast<char>(bytes)) + rest;
}
std::string with_priority(std::uint32_t on, const std::string& rest) { return word(on) + "\x10" + rest; }

std::vector<Case> connection_cases() {
  using enum Expect;
  return {
      {"3.4", "a request at once", whole(1)},
      {"4.1", "an unknown frame type", frame(0x16, 0, 0, "????????") + whole(1)},
      {"4.1", "an unknown flag", frame(h2::ping, 0x16, 0, "12345678") + whole(1)},
      {"4.1", "the reserved bit of a stream id", frame(h2::ping, 0, 0x80000000, "12345678") + whole(1)},
      {"4.2", "DATA of 16,384 bytes", open_stream(1) + frame(data, end_stream, 1, std::string(16384, 'x'))},
      {"4.2",
       "DATA beyond the frame size",
       open_stream(1) + frame(data, end_stream, 1, std::string(16385, 'x')),
       stream_error,
       {kSize}},
      {"4.2",
       "HEADERS beyond the frame size",
       frame(h2::headers, kWhole, 1, std::string(16385, 'x')),
       connection_error,
       {kSize}},
      {"4.3",
       "a block that cannot be decoded",
       frame(h2::headers, kWhole, 1, "\xff\xff\xff\xff\xff\xff"),
       connection_error,
       {kCompression}},
      {"4.3", "an index that is not there", frame(h2::headers, kWhole, 1, "\xc8"), connection_error, {kCompression}},
      {"7541-6.3",
       "a table larger than allowed",
       frame(h2::headers, kWhole, 1, "\x3f\xff\xff\x03"),
       connection_error,
       {kCompression}},
      {"7541-5.2",
       "Huffman padding of more than seven bits",
       frame(h2::headers, kWhole, 1, std::string("\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff", 12)),
       connection_error,
       {kCompression}},
      {"7541-6.1", "index zero", frame(h2::headers, kWhole, 1, "\x80"), connection_error, {kCompression}},
      {"4.3",
       "PRIORITY inside a block",
       headers_frame(1, get("/app"), end_stream) + frame(h2::priority, 0, 1, with_priority(0, "")),
       connection_error,
       {kProtocol}},
      {"4.3",
       "HEADERS of another stream inside a block",
       headers_frame(1, get("/app"), end_stream) + whole(3),
       connection_error,
       {kProtocol}},
      {"6.5", "SETTINGS on a stream", frame(h2::settings, 0, 1), connection_error, {kProtocol}},
      {"6.5",
       "SETTINGS ACK with a payload",
       frame(h2::settings, h2::ack, 0, h2::setting(1, 1)),
       connection_error,
       {kSize}},
      {"6.5", "SETTINGS of seven bytes", frame(h2::settings, 0, 0, "1234567"), connection_error, {kSize}},
      {"6.5.2",
       "ENABLE_PUSH that is no boolean",
       frame(h2::settings, 0, 0, h2::setting(2, 2)),
       connection_error,
       {kProtocol}},
      {"6.5.2",
       "INITIAL_WINDOW_SIZE above the maximum",
       frame(h2::settings, 0, 0, h2::setting(4, 0x80000000)),
       connection_error,
       {kFlow}},
      {"6.5.2",
       "MAX_FRAME_SIZE below the minimum",
       frame(h2::settings, 0, 0, h2::setting(5, 16383)),
       connection_error,
       {kProtocol}},
      {"6.5.2",
       "MAX_FRAME_SIZE above the maximum",
       frame(h2::settings, 0, 0, h2::setting(5, 1 << 24)),
       connection_error,
       {kProtocol}},
      {"6.5.2", "an unknown setting", frame(h2::settings, 0, 0, h2::setting(0xfe, 1)) + whole(1)},
      {"6.5.3", "a setting twice", frame(h2::settings, 0, 0, h2::setting(4, 1) + h2::setting(4, 100)) + whole(1)},
      {"6.7", "PING", frame(h2::ping, 0, 0, "12345678") + whole(1)},
      {"6.7", "PING ACK that nobody asked for", frame(h2::ping, h2::ack, 0, "12345678") + whole(1)},
      {"6.7", "PING on a stream", frame(h2::ping, 0, 1, "12345678"), connection_error, {kProtocol}},
      {"6.7", "PING of six bytes", frame(h2::ping, 0, 0, "123456"), connection_error, {kSize}},
      {"6.8", "GOAWAY on a stream", frame(h2::goaway, 0, 1, std::string(8, '\0')), connection_error, {kProtocol}},
      {"6.9", "WINDOW_UPDATE of zero", frame(h2::window_update, 0, 0, word(0)), connection_error, {kProtocol}},
      {"6.9", "WINDOW_UPDATE of three bytes", frame(h2::window_update, 0, 0, "123"), connection_error, {kSize}},
      {"6.9.1",
       "a window above the maximum",
       frame(h2::window_update, 0, 0, word(0x7fffffff)) + frame(h2::window_update, 0, 0, word(0x7fffffff)),
       connection_error,
       {kFlow}},
      {"6.10",
       "CONTINUATION without HEADERS",
       frame(h2::continuation, end_headers, 1, h2::block(get("/app"))),
       connection_error,
       {kProtocol}},
      {"6.10",
       "CONTINUATION on stream zero",
       headers_frame(1, get("/app"), end_stream) + frame(h2::continuation, end_headers, 0, ""),
       connection_error,
       {kProtocol}},
      {"6.10",
       "CONTINUATION of another stream",
       headers_frame(1, get("/app"), end_stream) + frame(h2::continuation, end_headers, 3, ""),
       connection_error,
       {kProtocol}},
      {"6.10",
       "CONTINUATION behind a whole block",
       open_stream(1) + frame(h2::continuation, end_headers, 1, ""),
       connection_error,
       {kProtocol}},
      {"6.10",
       "CONTINUATION behind DATA",
       open_stream(1) + h2::data_frame(1, "x") + frame(h2::continuation, end_headers, 1, ""),
       connection_error,
       {kProtocol}},
      {"6.10", "a block in pieces",
       headers_frame(1, {get("/app")[0], get("/app")[1]}, end_stream) +
           frame(h2::continuation, 0, 1, h2::block({get("/app")[2]})) +
           frame(h2::continuation, end_headers, 1, h2::block({get("/app")[3]}))},
      {"6.6",
       "PUSH_PROMISE from a client",
       open_stream(1) + frame(h2::push_promise, end_headers, 1, word(2)),
       connection_error,
       {kProtocol}},
  };
}

std::vector<Case> stream_cases() {
  using enum Expect;
  const std::string reset = frame(h2::rst_stream, 0, 1, word(8));
  return {
      {"5.1", "DATA on an idle stream", h2::data_frame(1, "x", end_stream), connection_error, {kProtocol}},
      {"5.1", "RST_STREAM on an idle stream", reset, connection_error, {kProtocol}},
      {"5.1",
       "WINDOW_UPDATE on an idle stream",
       frame(h2::window_update, 0, 1, word(100)),
       connection_error,
       {kProtocol}},
      {"5.1",
       "CONTINUATION on an idle stream",
       frame(h2::continuation, end_headers, 1, ""),
       connection_error,
       {kProtocol}},
      {"5.1", "PRIORITY on an idle stream", frame(h2::priority, 0, 1, with_priority(0, "")) + whole(1)},
      {"5.1",
       "DATA behind the end",
       open_stream(1) + h2::data_frame(1, "x", end_stream) + h2::data_frame(1, "y", end_stream),
       stream_error,
       {kClosed}},
      {"5.1",
       "HEADERS behind the end",
       headers_frame(1, kPost, kWhole) + headers_frame(1, {{"a", "b"}}),
       stream_error,
       {kClosed, kProtocol}},
      {"5.1.1", "an even stream", whole(2), connection_error, {kProtocol}},
      // It may have been one that we have reset, so it is read for HPACK's sake and dropped (section 5.1, "closed").
      {"5.1.1", "a stream below an older one", whole(3) + whole(1)},
      {"6.1", "DATA on stream zero", h2::data_frame(0, "x"), connection_error, {kProtocol}},
      {"6.1", "DATA with padding", open_stream(1) + frame(data, end_stream | h2::padded, 1, padded(2, "xx") + "\0\0")},
      {"6.1",
       "DATA with more padding than payload",
       open_stream(1) + frame(data, end_stream | h2::padded, 1, padded(9, "x")),
       connection_error,
       {kProtocol}},
      {"6.2", "HEADERS on stream zero", headers_frame(0, get("/app")), connection_error, {kProtocol}},
      {"6.2", "HEADERS with padding",
       frame(h2::headers, kWhole | h2::padded, 1, padded(3, h2::block(get("/app"))) + std::string(3, '\0'))},
      {"6.2",
       "HEADERS with more padding than payload",
       frame(h2::headers, kWhole | h2::padded, 1, padded(9, "x")),
       connection_error,
       {kProtocol}},
      {"6.2", "HEADERS with a priority",
       frame(h2::headers, kWhole | h2::has_priority, 1, with_priority(0, h2::block(get("/app"))))},
      {"6.3", "PRIORITY", whole(1) + frame(h2::priority, 0, 3, with_priority(1, "")) + whole(3)},
      {"6.3",
       "PRIORITY on stream zero",
       frame(h2::priority, 0, 0, with_priority(1, "")),
       connection_error,
       {kProtocol}},
      {"6.3", "PRIORITY of four bytes", open_stream(1) + frame(h2::priority, 0, 1, "1234"), stream_error, {kSize}},
      {"6.4", "RST_STREAM on stream zero", frame(h2::rst_stream, 0, 0, word(8)), connection_error, {kProtocol}},
      {"6.4",
       "RST_STREAM of three bytes",
       open_stream(1) + frame(h2::rst_stream, 0, 1, "123"),
       connection_error,
       {kSize}},
      {"6.9",
       "WINDOW_UPDATE of zero on a stream",
       open_stream(1) + frame(h2::window_update, 0, 1, word(0)),
       stream_error,
       {kProtocol}},
      {"6.9.1",
       "a stream's window above the maximum",
       open_stream(1) + frame(h2::window_update, 0, 1, word(0x7fffffff)) +
           frame(h2::window_update, 0, 1, word(0x7fffffff)),
       stream_error,
       {kFlow}},
      {"6.9.2",
       "a window that SETTINGS push above the maximum",
       open_stream(1) + frame(h2::window_update, 0, 1, word(0x7fffff00)) +
           frame(h2::settings, 0, 0, h2::setting(4, 0x7fffffff)),
       stream_error,
       {kFlow}},
      {"5.5", "an unknown frame inside a stream",
       open_stream(1) + frame(0x42, 0, 1, "?") + h2::data_frame(1, "x", end_stream)},
      {"5.1", "RST_STREAM twice", open_stream(1) + reset + reset + whole(3)},
      {"5.1", "WINDOW_UPDATE behind RST_STREAM",
       open_stream(1) + reset + frame(h2::window_update, 0, 1, word(1)) + whole(3)},
  };
}

std::vector<Case> message_cases() {
  using enum Expect;
  std::vector<Case> cases{
      {"8.1", "a body and trailers", open_stream(1) + h2::data_frame(1, "x") + headers_frame(1, {{"a", "b"}})},
      {"8.1",
       "HEADERS in mid-body that end nothing",
       open_stream(1) + headers_frame(1, {{"a", "b"}}, end_headers),
       stream_error,
       {kProtocol}},
      {"8.1",
       "trailers with a pseudo-field",
       open_stream(1) + headers_frame(1, {{":method", "GET"}}),
       stream_error,
       {kProtocol}},
      {"8.1.1",
       "content-length below DATA",
       headers_frame(1, kPost + Fields{{"content-length", "1"}}, end_headers) + h2::data_frame(1, "xx", end_stream),
       stream_error,
       {kProtocol}},
      {"8.1.1",
       "content-length above DATA",
       headers_frame(1, kPost + Fields{{"content-length", "3"}}, end_headers) + h2::data_frame(1, "xx", end_stream),
       stream_error,
       {kProtocol}},
      {"8.1.1",
       "content-length of two frames",
       headers_frame(1, kPost + Fields{{"content-length", "1"}}, end_headers) + h2::data_frame(1, "x") +
           h2::data_frame(1, "x", end_stream),
       stream_error,
       {kProtocol}},
      {"8.3.1", "OPTIONS *", headers_frame(1, get("*", "OPTIONS"))},
      {"8.2.3", "cookies in crumbs", headers_frame(1, get("/app") + Fields{{"cookie", "a=1"}, {"cookie", "b=2"}})},
      {"8.2.2", "te: trailers", headers_frame(1, get("/app") + Fields{{"te", "trailers"}})},
  };
  const std::pair<const char*, Fields> kMalformed[] = {
      {"capital letters", get("/app") + Fields{{"X-Test", "1"}}},
      {"an unknown pseudo-field", Fields{{":test", "1"}} + get("/app")},
      {"a pseudo-field of answers", Fields{{":status", "200"}} + get("/app")},
      {"a pseudo-field behind a field", Fields{{"a", "b"}} + get("/app")},
      {"connection", get("/app") + Fields{{"connection", "keep-alive"}}},
      {"te: gzip", get("/app") + Fields{{"te", "trailers, deflate"}}},
      {"an empty :path", get("")},
      {"no :method", {{":scheme", "http"}, {":path", "/app"}, {":authority", "a.test"}}},
      {"no :scheme", {{":method", "GET"}, {":path", "/app"}, {":authority", "a.test"}}},
      {"no :path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}}},
      {":method twice", get("/app") + Fields{{":method", "GET"}}},
      {":scheme twice", get("/app") + Fields{{":scheme", "http"}}},
      {":path twice", get("/app") + Fields{{":path", "/app"}}},
      {"a line feed in a value", get("/app") + Fields{{"a", "b\nc: d"}}},
      {"a request inside :path", get("/app HTTP/1.1\r\nHost: x\r\n\r\nGET /evil")},
      {"a request inside :method", get("/app", "GET /evil HTTP/1.1\r\nx:")},
      {"host that differs", get("/app") + Fields{{"host", "b.test"}}},
  };
  for (const auto& [what, fields] : kMalformed) {
    cases.push_back({"8.1.1", what, headers_frame(1, fields), stream_error, {kProtocol}});
  }
  return cases;
}

class H2Conformance : public ::testing::Test {
 protected:
  void try_all(const std::vector<Case>& cases) {
    harness.config.workers = 1;
    harness.start();
    harness.apply({Harness::endpoint("/app", backend)});
    for (const Case& one : cases) {
      SCOPED_TRACE(std::string(one.section) + ": " + one.what);
      try_one(one);
    }
    // Whatever was sent: who asks properly is served.
    EXPECT_NE(harness.get("/app").find("200 OK"), std::string::npos);
  }

  void try_one(const Case& one) {
    H2Client client(harness);
    client.send(h2::hello() + one.bytes);
    const auto answer = [&](std::uint8_t type) {
      return std::find_if(client.frames.begin(), client.frames.end(), [&](const auto& frame) {
        return frame.type == type && !(type == h2::rst_stream && frame.error() == 0);
      });
    };
    const auto has = [&](std::uint8_t type) { return answer(type) != client.frames.end(); };
    if (one.expect == Expect::served) {
      ASSERT_TRUE(
          client.run_until([&] { return client.has_ended(1) || client.has_ended(3) || client.peer().is_over(); }));
      EXPECT_TRUE(client.has_ended(1) || client.has_ended(3));
      EXPECT_FALSE(has(h2::goaway));
      EXPECT_FALSE(has(h2::rst_stream));
      return;
    }
    const bool may_be_stream = one.expect == Expect::stream_error;
    ASSERT_TRUE(client.run_until(
        [&] { return has(h2::goaway) || (may_be_stream && has(h2::rst_stream)) || client.peer().is_over(); }));
    const auto found = has(h2::goaway) ? answer(h2::goaway) : answer(h2::rst_stream);
    ASSERT_TRUE(found != client.frames.end());
    EXPECT_TRUE(std::find(one.codes.begin(), one.codes.end(), found->error()) != one.codes.end())
        << "error " << found->error() << " in frame type " << int{found->type};
    if (found->type == h2::goaway) {
      EXPECT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
    }
  }

  Harness harness;
  Backend backend{harness.loop, "one"};
};

TEST_F(H2Conformance, FramesOfTheConnection) { try_all(connection_cases()); }
TEST_F(H2Conformance, FramesOfStreams) { try_all(stream_cases()); }
TEST_F(H2Conformance, Messages) { try_all(message_cases()); }

TEST_F(H2Conformance, WhatIsNoPrefaceIsNoHttp2) {
  try_all({});
  H2Client client(harness);
  client.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
}

TEST_F(H2Conformance, ThePrefaceIsFollowedBySettings) {
  try_all({});
  H2Client client(harness);
  client.send(std::string(h2::kPreface) + whole(1));
  ASSERT_TRUE(client.run_until([&] { return client.peer().is_over(); }));
  ASSERT_TRUE(client.has(h2::goaway));
  EXPECT_EQ(client.find(h2::goaway)->error(), kProtocol);
  (void)kRefused;
}

TEST_F(H2Conformance, PingAndSettingsAreAcknowledged) {
  try_all({});
  H2Client client(harness);
  client.send(h2::hello() + frame(h2::ping, 0, 0, "pingpong"));
  ASSERT_TRUE(client.run_until([&] { return client.has(h2::ping); }));
  EXPECT_EQ(client.find(h2::ping)->payload, "pingpong");
  EXPECT_EQ(client.find(h2::ping)->flags, h2::ack);
  ASSERT_TRUE(client.run_until([&] {
    return std::any_of(client.frames.begin(), client.frames.end(),
                       [](const auto& one) { return one.type == h2::settings && one.flags == h2::ack; });
  }));
}

TEST_F(H2Conformance, DataKeepsToTheClientsWindowAndItsChanges) {
  try_all({});
  H2Client client(harness);
  client.send(std::string(h2::kPreface) + frame(h2::settings, 0, 0, h2::setting(4, 1)) + whole(1));
  ASSERT_TRUE(client.run_until([&] { return client.body(1) == "o"; }));
  client.send(frame(h2::settings, 0, 0, h2::setting(4, 2)));
  ASSERT_TRUE(client.run_until([&] { return client.body(1) == "on"; }));
  client.send(frame(h2::window_update, 0, 1, word(1)));
  ASSERT_TRUE(client.run_until([&] { return client.has_ended(1); }));
  EXPECT_EQ(client.body(1), "one");
}

}  // namespace
}  // namespace lotse::proxy::test

#include <gtest/gtest.h>

#include "http/h1_parser.h"
#include "tests/http/recorder.h"

namespace lotse::http {
namespace {

struct Asked {
  Method method = Method::get;
  std::string_view upgrade = {};
  int responses = 1;  // how many are expected
};

std::string run(const std::vector<std::string_view>& pieces, const Asked& asked, const Limits& limits) {
  Recorder recorder;
  ResponseParser parser(recorder, limits);
  int left = asked.responses;
  if (left-- > 0) parser.expect(asked.method, asked.upgrade);
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const FeedResult result = parser.feed(piece);
      if (result.error) return recorder.text + fmt::format("error {}\n", result.error.status);
      piece.remove_prefix(result.consumed);
      if (result.upgraded) return recorder.text + "upgraded\n";
      if (result.message_complete && left-- > 0) parser.expect(asked.method, asked.upgrade);
    }
  }
  const bool was_between = parser.is_between_messages();
  if (parser.finish()) return recorder.text + "(by end)\n";
  return recorder.text + (was_between ? "" : "truncated\n");
}

std::string parse(std::string_view input, const Asked& asked = {}, const Limits& limits = {}) {
  const std::string whole = run({input}, asked, limits);
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    EXPECT_EQ(run({input.substr(0, cut), input.substr(cut)}, asked, limits), whole) << "cut at " << cut;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < input.size(); ++i) bytes.push_back(input.substr(i, 1));
  EXPECT_EQ(run(bytes, asked, limits), whole) << "byte by byte";
  return whole;
}

TEST(ResponseParser, ReadsABodyByLength) {
  EXPECT_EQ(parse("HTTP/1.1 200 OK fine\r\nContent-Length: 2\r\n\r\nhi"),
            "200 'OK fine' 1.1 length=2\n  Content-Length: 2\nbody hi\ncomplete\n");
}

// What was spliced past it counts, and so the next bytes are somebody else's.
TEST(ResponseParser, IsToldOfABodyThatWentAnotherWay) {
  struct Listener final : ResponseListener {
    void on_response_head(const ResponseHead&) override {}
    void on_response_body(std::span<const char> bytes) override { seen += bytes.size(); }
    void on_response_trailers(std::span<const Field>) override {}
    void on_response_complete() override { ++completed; }
    std::size_t seen = 0;
    int completed = 0;
  } listener;
  const Limits bounds;
  ResponseParser parser(listener, bounds);
  parser.expect(Method::get);
  EXPECT_EQ(parser.fixed_body_left(), 0U);
  const std::string_view begin = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhi";
  (void)parser.feed({begin.data(), begin.size()});
  EXPECT_EQ(parser.fixed_body_left(), 98U);
  EXPECT_FALSE(parser.skip_body(90).message_complete);
  const std::string_view more = "123";
  (void)parser.feed({more.data(), more.size()});
  EXPECT_EQ(parser.fixed_body_left(), 5U);
  EXPECT_TRUE(parser.skip_body(5).message_complete);
  EXPECT_EQ(listener.seen, 5U);
  EXPECT_EQ(listener.completed, 1);
  EXPECT_TRUE(parser.feed({more.data(), more.size()}).error);  // nobody asked for these
}

TEST(ResponseParser, ReadsChunksAndTrailers) {
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n"),
            "200 'OK' 1.1 chunked\n  Transfer-Encoding: Chunked\nbody hi\ntrailers\n  A: b\ncomplete\n");
}

TEST(ResponseParser, ReadsUntilTheConnectionEnds) {
  EXPECT_EQ(parse("HTTP/1.1 200\r\n\r\nhi"), "200 '' 1.1 close until-close\nbody hi\ncomplete\n(by end)\n");
  EXPECT_EQ(parse("HTTP/1.0 200 \r\n\r\n"), "200 '' 1.0 close until-close\ncomplete\n(by end)\n");
}

TEST(ResponseParser, SaysWhenAMessageIsTruncated) {
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi").ends_with("truncated\n"));
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n").ends_with("truncated\n"));
  EXPECT_TRUE(parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n").ends_with("truncated\n"));
  EXPECT_TRUE(parse("HTTP/1.1 200 O").ends_with("truncated\n"));
  EXPECT_TRUE(parse("HTTP/1.1 100 Continue\r\n\r\n").ends_with("truncated\n"));
}

TEST(ResponseParser, KnowsAnswersWithoutABody) {
  const std::string next = "HTTP/1.1 204 No Content\r\n\r\n";
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n" + next, {.method = Method::head, .responses = 2}),
            "200 'OK' 1.1 length=9 bodiless\n  Content-Length: 9\ncomplete\n204 'No Content' 1.1 bodiless\ncomplete\n");
  EXPECT_EQ(
      parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + next, {.method = Method::head, .responses = 2}),
      "200 'OK' 1.1 chunked bodiless\n  Transfer-Encoding: chunked\ncomplete\n204 'No Content' 1.1 "
      "bodiless\ncomplete\n");
  EXPECT_EQ(parse("HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n" + next, {.responses = 2}),
            "304 'x' 1.1 length=9 bodiless\n  Content-Length: 9\ncomplete\n204 'No Content' 1.1 bodiless\ncomplete\n");
}

TEST(ResponseParser, ReadsInterimResponsesAndThenTheFinalOne) {
  EXPECT_EQ(parse("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
                  "OK\r\nContent-Length: 0\r\n\r\n"),
            "100 'Continue' 1.1 bodiless\n103 'Early Hints' 1.1 bodiless\n  Link: x\n"
            "200 'OK' 1.1 length=0\n  Content-Length: 0\ncomplete\n");
  std::string endless;
  for (int i = 0; i < 17; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_TRUE(parse(endless).ends_with("error 502\n"));
}

TEST(ResponseParser, TakesAnUpgradeOnlyWhenOneWasAsked) {
  const std::string switching = "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81raw";
  EXPECT_EQ(parse(switching, {.upgrade = "websocket"}),
            "101 'x' 1.1 bodiless\n  Connection: upgrade\n  Upgrade: websocket\ncomplete\nupgraded\n");
  EXPECT_EQ(parse(switching), "error 502\n");
  EXPECT_EQ(parse("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n", {.upgrade = "websocket"}),
            "error 502\n");
  EXPECT_EQ(parse("HTTP/1.1 101 x\r\n\r\n", {.upgrade = "websocket"}), "error 502\n");
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", {.upgrade = "websocket"}),
            "200 'OK' 1.1 length=1\n  Content-Length: 1\nbody x\ncomplete\n");
}

TEST(ResponseParser, RefusesBytesThatNobodyAskedFor) {
  EXPECT_EQ(parse("HTTP/1.1 200 OK\r\n\r\n", {.responses = 0}), "error 502\n");
  EXPECT_EQ(parse("HTTP/1.1 204 x\r\n\r\nx"), "204 'x' 1.1 bodiless\ncomplete\nerror 502\n");
}

TEST(ResponseParser, KnowsWhetherTheConnectionStays) {
  const auto closes = [](std::string_view head) {
    return parse(fmt::format("{}Content-Length: 0\r\n\r\n", head)).find(" close\n") != std::string::npos;
  };
  EXPECT_FALSE(closes("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(closes("HTTP/1.1 200 OK\r\nConnection: close\r\n"));
  EXPECT_TRUE(closes("HTTP/1.0 200 OK\r\n"));
  EXPECT_FALSE(closes("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"));
}

TEST(ResponseParser, RefusesHostileAnswersWith502) {
  using std::string_view_literals::operator""sv;
  const std::string_view kInputs[] = {
      "HTTP/1.1 99 x\r\n\r\n",
      "HTTP/1.1 099 x\r\n\r\n",
      "HTTP/1.1 2000 x\r\n\r\n",
      "HTTP/1.1 20 x\r\n\r\n",
      "HTTP/1.1 2x0 x\r\n\r\n",
      "HTTP/1.1  200 x\r\n\r\n",
      "HTTP/1.1 200x\r\n\r\n",
      "HTTP/1.1\r\n\r\n",
      "HTTP/2.0 200 x\r\n\r\n",
      "HTTP/0.9 200 x\r\n\r\n",
      "http/1.1 200 x\r\n\r\n",
      "ICY 200 x\r\n\r\n",
      "\r\nHTTP/1.1 200 x\r\n\r\n",
      "HTTP/1.1 200 x\n\n",
      "HTTP/1.1 200 x\r\nA: b\n\r\n",
      "HTTP/1.1 200 x\r\nA: b\r\n c\r\n\r\n",
      "HTTP/1.1 200 x\r\nA : b\r\n\r\n",
      "HTTP/1.1 200 x\r\nA: \0\r\n\r\n"sv,
      "HTTP/1.1 200 x\x01\r\n\r\n",
      "HTTP/1.1 200 x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
      "HTTP/1.1 200 x\r\nContent-Length: 1,1\r\n\r\nx",
      "HTTP/1.1 200 x\r\nContent-Length: 18446744073709551616\r\n\r\nx",
      "HTTP/1.1 200 x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
      "HTTP/1.1 200 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx",
      "HTTP/1.1 200 x\r\nTransfer-Encoding: identity\r\n\r\nx",
      "HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\nx",
      "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  };
  for (const std::string_view input : kInputs) {
    EXPECT_TRUE(parse(input).ends_with("error 502\n")) << input << parse(input);
  }
  EXPECT_EQ(parse("HTTP/1.1 200 x\r\nA: b\r\n\r\n", {}, {.fields_max = 0}), "error 502\n");
  EXPECT_EQ(parse("HTTP/1.1 200 x\r\nA: bbbbbbbb\r\n\r\n", {}, {.head_bytes_max = 20}), "error 502\n");
}

}  // namespace
}  // namespace lotse::http

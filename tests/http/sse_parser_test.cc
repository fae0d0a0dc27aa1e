#include <gtest/gtest.h>

#include "http/sse.h"

namespace lotse::http {
namespace {

std::string run(const std::vector<std::string_view>& pieces, std::size_t bound = 1000) {
  SseParser parser(bound);
  std::string out;
  for (const std::string_view piece : pieces) {
    if (!parser.feed(piece,
                     [&](const SseEvent& event) { out += event.type + "|" + event.data + "|" + event.id + ";"; })) {
      return out + "too large";
    }
  }
  return out + "last=" + parser.last_id();
}

std::string parse(std::string_view input) {
  const std::string whole = run({input});
  std::vector<std::string_view> bytes;
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    EXPECT_EQ(run({input.substr(0, cut), input.substr(cut)}), whole) << "cut at " << cut;
  }
  for (std::size_t i = 0; i < input.size(); ++i) bytes.push_back(input.substr(i, 1));
  EXPECT_EQ(run(bytes), whole);
  return whole;
}

TEST(SseParser, ReadsEvents) {
  EXPECT_EQ(parse("event: update\nid: e-1\ndata: {\"a\":1}\n\ndata: plain\n\n"),
            "update|{\"a\":1}|e-1;message|plain|e-1;last=e-1");
}

TEST(SseParser, TakesEveryLineEnd) {
  EXPECT_EQ(parse("data: a\r\n\r\ndata: b\r\rdata: c\n\n"), "message|a|;message|b|;message|c|;last=");
}

TEST(SseParser, JoinsLinesAndSkipsCommentsAndUnknownFields) {
  EXPECT_EQ(parse(": heartbeat\n\ndata: a\ndata\ndata:b\nretry: 5\nfoo: x\n\n"), "message|a\n\nb|;last=");
}

TEST(SseParser, SendsNoEventWithoutData) { EXPECT_EQ(parse("event: x\nid: 7\n\ndata: y\n\n"), "message|y|7;last=7"); }

TEST(SseParser, AnEventCutOffDoesNotCountAsSeen) {
  EXPECT_EQ(parse("id: 1\ndata: a\n\nid: 2\ndata: b\n"), "message|a|1;last=1");
  SseParser parser;
  std::vector<std::string> ids;
  const auto note = [&](const SseEvent& event) { ids.push_back(event.id); };
  EXPECT_TRUE(parser.feed("id: 1\ndata: a\n\nid: 2\ndata: b", note));
  parser.reset();
  EXPECT_EQ(parser.last_id(), "1");
  EXPECT_TRUE(parser.feed("data: c\n\n", note));
  EXPECT_EQ(ids, (std::vector<std::string>{"1", "1"}));
}

TEST(SseParser, IgnoresIdsWithNul) {
  EXPECT_EQ(parse(std::string_view("id: a\0b\ndata: x\n\n", 17)), "message|x|;last=");
}

TEST(SseParser, HoldsItsBound) {
  EXPECT_EQ(run({"data: " + std::string(90, 'x') + "\n\n"}, 100), "message|" + std::string(90, 'x') + "|;last=");
  EXPECT_EQ(run({std::string(101, 'x')}, 100), "too large");
  std::string many;
  for (int i = 0; i < 30; ++i) many += "data: xxxx\n";
  EXPECT_EQ(run({many}, 100), "too large");
}

TEST(SseParser, StopsInTheMiddleOfItsBytes) {
  SseParser parser;
  int events = 0;
  EXPECT_TRUE(parser.feed("id: 1\ndata: a\n\nid: 2\ndata: b\n\n", [&](const SseEvent&) {
    ++events;
    parser.stop();
  }));
  EXPECT_EQ(events, 1);
  EXPECT_EQ(parser.last_id(), "1");
}

TEST(SseWriter, WritesWhatTheParserReads) {
  for (const std::string_view data : {"", "x", "a\nb", "a\r\nb", "a\rb\n", "\n", " leading", ": colon"}) {
    std::string out;
    append_sse_event(out, "t", data, "9");
    std::string expected;
    for (std::size_t i = 0; i < data.size(); ++i) {
      if (data[i] == '\r') {
        expected += '\n';
        if (data.substr(i + 1).starts_with('\n')) ++i;
      } else {
        expected += data[i];
      }
    }
    EXPECT_EQ(parse(out), "t|" + expected + "|9;last=9") << data;
  }
}

}  // namespace
}  // namespace lotse::http

#include <gtest/gtest.h>

#include "http/h1_parser.h"
#include "tests/http/recorder.h"

namespace lotse::http {
namespace {

// Feeds the pieces as a connection would: messages follow each other until the bytes are used up or refused.
std::string run(const std::vector<std::string_view>& pieces, const Limits& limits) {
  Recorder recorder;
  RequestParser parser(recorder, limits);
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      const FeedResult result = parser.feed(piece);
      if (result.error) return recorder.text + fmt::format("error {}\n", result.error.status);
      if (result.upgraded) recorder.text += "upgraded\n";
      EXPECT_TRUE(result.consumed > 0 || result.message_complete);
      piece.remove_prefix(result.consumed);
    }
  }
  return recorder.text + (parser.is_between_messages() ? "" : "unfinished\n");
}

// The whole, every cut in two, and byte by byte: all the same.
std::string parse(std::string_view input, const Limits& limits = {}) {
  const std::string whole = run({input}, limits);
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    EXPECT_EQ(run({input.substr(0, cut), input.substr(cut)}, limits), whole) << "cut at " << cut;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < input.size(); ++i) bytes.push_back(input.substr(i, 1));
  EXPECT_EQ(run(bytes, limits), whole) << "byte by byte";
  return whole;
}

std::string with_fields(std::string_view fields) { return fmt::format("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", fields); }
std::string post_chunked(std::string_view body) {
  return fmt::format("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}", body);
}
int refusal(std::string_view input, const Limits& limits = {}) {
  const std::string text = parse(input, limits);
  const std::size_t at = text.find("error ");
  return at == std::string::npos ? 0 : std::stoi(text.substr(at + 6));
}

TEST(RequestParser, ReadsAHead) {
  EXPECT_EQ(parse("GET /a/b?x=1 HTTP/1.1\r\nHost: shop.example.com:8080\r\nAccept: \t */* \r\nEmpty:\r\n\r\n"),
            "GET /a/b?x=1 path=/a/b query=x=1 authority=shop.example.com:8080 1.1\n"
            "  Host: shop.example.com:8080\n  Accept: */*\n  Empty: \ncomplete\n");
}

TEST(RequestParser, TellsAnEmptyQueryFromNone) {
  EXPECT_NE(parse("GET /? HTTP/1.1\r\nHost: a\r\n\r\n").find("query= "), std::string::npos);
  EXPECT_NE(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").find("query=- "), std::string::npos);
}

TEST(RequestParser, ReadsABodyByLength) {
  EXPECT_EQ(parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            "POST / path=/ query=- authority=a 1.1 length=5\n  Host: a\n  Content-Length: 5\nbody hello\ncomplete\n");
}

TEST(RequestParser, ReadsAChunkedBodyAndItsTrailers) {
  EXPECT_EQ(parse(post_chunked("5\r\nhello\r\n00A;name=\"v\"\r\n, world123\r\n0\r\nX-Sum: 1\r\nY:2\r\n\r\n")),
            "POST / path=/ query=- authority=a 1.1 chunked\n  Host: a\n  Transfer-Encoding: chunked\n"
            "body hello, world123\ntrailers\n  X-Sum: 1\n  Y: 2\ncomplete\n");
  EXPECT_EQ(refusal(post_chunked("0\r\n\r\n")), 0);
}

TEST(RequestParser, KeepsPipelinedRequestsApart) {
  const std::string one = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string two = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
  const std::string three = "PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n";
  EXPECT_EQ(parse(one + two + three + one), parse(one) + parse(two) + parse(three) + parse(one));
}

TEST(RequestParser, SkipsOneEmptyLineBeforeARequest) {
  EXPECT_EQ(parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_EQ(refusal("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
}

TEST(RequestParser, KnowsWhetherTheConnectionStays) {
  const auto closes = [](std::string_view version, std::string_view fields) {
    return parse(fmt::format("GET / {}\r\nHost: a\r\n{}\r\n", version, fields)).find(" close\n") != std::string::npos;
  };
  EXPECT_FALSE(closes("HTTP/1.1", ""));
  EXPECT_TRUE(closes("HTTP/1.1", "Connection: close\r\n"));
  EXPECT_TRUE(closes("HTTP/1.1", "Connection: x, CLOSE\r\n"));
  EXPECT_TRUE(closes("HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
  EXPECT_TRUE(closes("HTTP/1.0", ""));
  EXPECT_FALSE(closes("HTTP/1.0", "connection: Keep-Alive\r\n"));
}

TEST(RequestParser, ReadsUpgradeOnlyWhenConnectionNamesIt) {
  const std::string text = parse(with_fields("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  EXPECT_NE(text.find("upgrade=websocket"), std::string::npos);
  EXPECT_NE(text.find("complete\nupgraded\n"), std::string::npos);
  EXPECT_EQ(parse(with_fields("Upgrade: websocket\r\n")).find("upgrade="), std::string::npos);
  EXPECT_EQ(parse("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").find("upgrade="), std::string::npos);
  EXPECT_EQ(parse(with_fields("Connection: upgrade\r\nUpgrade: x\r\nUpgrade: y\r\n")).find("upgrade="),
            std::string::npos);
}

TEST(RequestParser, ReadsTheBodyOfAnUpgradeRequestToo) {
  const std::string upgrade = "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n";
  const std::string next = "GET /n HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string chunked = parse(upgrade + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + next);
  EXPECT_NE(chunked.find("body a\ncomplete\nupgraded\nGET /n"), std::string::npos) << chunked;
  const std::string fixed = parse(upgrade + "Content-Length: 1\r\n\r\na" + next);
  EXPECT_NE(fixed.find("body a\ncomplete\nupgraded\nGET /n"), std::string::npos) << fixed;
}

TEST(RequestParser, ReadsExpectContinue) {
  EXPECT_NE(parse("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\nx").find(" continue"),
            std::string::npos);
  EXPECT_EQ(parse("PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx").find(" continue"),
            std::string::npos);
  EXPECT_EQ(refusal("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\nx"), 417);
  EXPECT_EQ(refusal("PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: x\r\n\r\nx"), 0);
}

struct Target {
  std::string_view line, expected;  // expected: path, query, authority; empty: 400
};

TEST(RequestParser, TakesTargetsApart) {
  const Target kTargets[] = {
      {"GET http://b.example/x?y=1 HTTP/1.1", "path=/x query=y=1 authority=b.example"},
      {"GET HTTPS://b:1 HTTP/1.1", "path=/ query=- authority=b:1"},
      {"GET http://b?q HTTP/1.1", "path=/ query=q authority=b"},
      {"OPTIONS http://b HTTP/1.1", "path=* query=- authority=b"},
      {"OPTIONS * HTTP/1.1", "path=* query=- authority=a"},
      {"GET /x:y@z HTTP/1.1", "path=/x:y@z query=- authority=a"},
      {"GET //x HTTP/1.1", "path=//x query=- authority=a"},
      {"GET /a%2Fb%5c HTTP/1.1", "path=/a%2Fb%5c query=- authority=a"},
      {"GET * HTTP/1.1", ""},
      {"GET http:///x HTTP/1.1", ""},
      {"GET http://u@b/ HTTP/1.1", ""},
      {"GET ftp://b/ HTTP/1.1", ""},
      {"GET b:80 HTTP/1.1", ""},
      {"GET x HTTP/1.1", ""},
      {"GET /x#y HTTP/1.1", ""},
      {"GET /\x80 HTTP/1.1", ""},
      {"GET  / HTTP/1.1", ""},
      {"GET /  HTTP/1.1", ""},
      {"GET / x HTTP/1.1", ""},
      {"GET / HTTP/1.1 ", ""},
      {"GET /\tx HTTP/1.1", ""},
      {" GET / HTTP/1.1", ""},
      {"GET /", ""},
      {"GET", ""},
      {"GET / http/1.1", ""},
      {"GET / HTTP/1.10", ""},
      {"GET / HTTPS/1.1", ""},
      {"GET / ICE/1.0", ""},
      {"G(T / HTTP/1.1", ""},
  };
  for (const Target& target : kTargets) {
    const std::string text = parse(fmt::format("{}\r\nHost: a\r\n\r\n", target.line));
    if (target.expected.empty()) {
      EXPECT_EQ(text, "error 400\n") << target.line;
    } else {
      EXPECT_NE(text.find(target.expected), std::string::npos) << target.line << "\n" << text;
    }
  }
}

TEST(RequestParser, RefusesOtherVersionsAndMethods) {
  EXPECT_EQ(refusal("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refusal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/0.9\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), 505);
  EXPECT_EQ(refusal("GET / RTSP/1.0\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
  EXPECT_EQ(refusal("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
  EXPECT_EQ(refusal("FOO / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(refusal("get / HTTP/1.1\r\nHost: a\r\n\r\n"), 501);
  EXPECT_EQ(refusal("PURGE / HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
}

TEST(RequestParser, RefusesHostileHeads) {
  using std::string_view_literals::operator""sv;
  const std::string_view kFields[] = {
      "A: b\n",                                // bare LF
      "A: b\rC: d\r\n",                        // bare CR
      "A: b\r\r\n",                            //
      "A: b\0c\r\n"sv,                         // NUL
      "A: b\x01\r\n",                          // control
      "A: b\x7f\r\n",                          // DEL
      "A: b\r\n c\r\n",                        // obs-fold
      "A: b\r\n\tc\r\n",                       //
      "Content-Length: 1\r\n 0\r\n",           // obs-fold in CL (CVE-2024-27982)
      " A: b\r\n",                             //
      "A : b\r\n",                             // space before the colon
      "A\t: b\r\n",                            //
      ": b\r\n",                               // no name
      "A\r\n",                                 // no colon
      "A[]: b\r\n",                            // not a token
      "\x80: b\r\n",                           //
      "Host: b\r\n",                           // a second Host
      "Transfer-Encoding: gzip, chunked\r\n",  //
      "Transfer-Encoding: ,chunked\r\n",       //
      "Transfer-Encoding: chunked,\r\n",       //
      "Transfer-Encoding: xchunked\r\n",       //
      "Transfer-Encoding: \r\n",               //
      "Transfer-Encoding: identity\r\n",       //
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n",
      "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
      "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
      "Content-Length: \r\nTransfer-Encoding: chunked\r\n",
      "Content-Length: 1\r\nContent-Length: 1\r\n",
      "Content-Length: 1, 1\r\n",
      "Content-Length: 1 1\r\n",
      "Content-Length: +1\r\n",
      "Content-Length: -1\r\n",
      "Content-Length: 0x1\r\n",
      "Content-Length: 1.0\r\n",
      "Content-Length:\r\n",
      "Content-Length: 9223372036854775808\r\n",   // 2^63
      "Content-Length: 18446744073709551616\r\n",  // 2^64
      "Content-Length: 99999999999999999999999\r\n",
  };
  for (const std::string_view fields : kFields) EXPECT_EQ(refusal(with_fields(fields)), 400) << fields;
  EXPECT_EQ(refusal("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\n\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\n\rX"), 400);
  EXPECT_EQ(refusal("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
  EXPECT_EQ(refusal("\x16\x03\x01\x02"), 400);  // a TLS ClientHello is refused at once
}

TEST(RequestParser, TakesTheLargestLength) {
  EXPECT_NE(parse(with_fields("Content-Length: 9223372036854775807\r\n")).find("length=9223372036854775807"),
            std::string::npos);
  EXPECT_NE(parse(with_fields("Content-Length: 000\r\n")).find("length=0\n"), std::string::npos);
}

TEST(RequestParser, WantsExactlyOneValidHost) {
  const auto host = [](std::string_view line) { return refusal(fmt::format("GET / HTTP/1.1\r\n{}\r\n", line)); };
  for (const std::string_view good : {"a", "a:80", "A.b-c_d:1", "127.0.0.1:31000", "[::1]", "[::1]:80", "a:", "a."}) {
    EXPECT_EQ(host(fmt::format("Host: {}\r\n", good)), 0) << good;
  }
  for (const std::string_view bad : {"", "a b", "a/b", "u@a", "a:b", "a:65536", "%41", "a,b", "a..b", ".", "a:1:2",
                                     "[::1", "[g]", "::1", "a,b c", "%4", "[::1]x", "<a>"}) {
    EXPECT_EQ(host(fmt::format("Host: {}\r\n", bad)), 400) << bad;
  }
  EXPECT_EQ(host(""), 400);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\n\r\n"), 0);
  EXPECT_EQ(refusal("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://b/ HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(refusal("GET http://b/ HTTP/1.1\r\nHost: b/c\r\n\r\n"), 400);
}

TEST(RequestParser, RefusesHostileChunks) {
  using std::string_view_literals::operator""sv;
  const std::string_view kBodies[] = {
      "5\nhello\r\n0\r\n\r\n",      // bare LF after the size
      "5\r\nhello\n0\r\n\r\n",      // bare LF after the data
      "5\r\nhelloXX0\r\n\r\n",      // junk after the data (CVE-2022-32213's kin)
      "5\r\nhello\rX0\r\n\r\n",     //
      "5\rX\nhello\r\n0\r\n\r\n",   //
      "5 \r\nhello\r\n0\r\n\r\n",   //
      " 5\r\nhello\r\n0\r\n\r\n",   //
      "0x5\r\nhello\r\n0\r\n\r\n",  //
      "+5\r\nhello\r\n0\r\n\r\n",   //
      "-5\r\nhello\r\n0\r\n\r\n",   //
      "g\r\n",                      //
      "\r\n",                       //
      ";a\r\n",                     //
      "5;a\nb\r\nhello\r\n",        // bare LF in an extension (CVE-2022-32215)
      "5;a\0b\r\nhello\r\n"sv,      //
      "5;a\rb\r\nhello\r\n",        //
      "ffffffffffffffff\r\n",       // 2^64-1
      "8000000000000000\r\n",       // 2^63
      "00000000000000001\r\n",      // 17 digits
      "10000000000000000\r\n",      //
      "0\r\nA: b\n\r\n",            // bare LF in trailers
      "0\r\n\n",                    //
      "0\n\r\n",                    //
      "0\r\nA: b\r\n c\r\n\r\n",    // obs-fold in trailers
      "0\r\n A: b\r\n\r\n",         //
      "0\r\nA : b\r\n\r\n",         //
      "0\r\n: b\r\n\r\n",           //
      "0\r\nA\r\n\r\n",             //
      "0\r\nA: b\x01\r\n\r\n",      //
  };
  for (const std::string_view body : kBodies) EXPECT_EQ(refusal(post_chunked(body)), 400) << body;
  EXPECT_EQ(refusal(post_chunked("7fffffffffffffff\r\nx")), 0);
  EXPECT_EQ(refusal(post_chunked("0000000000000001\r\nx\r\n0\r\n\r\n")), 0);
}

TEST(RequestParser, HoldsItsLimits) {
  const Limits limits{.head_bytes_max = 100, .fields_max = 3, .request_line_bytes_max = 40};
  const auto line = [&](std::size_t size) {
    return fmt::format("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", std::string(size - 14, 'x'));
  };
  EXPECT_EQ(refusal(line(40), limits), 0);
  EXPECT_EQ(refusal(line(41), limits), 414);
  EXPECT_EQ(refusal(std::string(500, 'x'), limits), 414);
  const auto head = [&](std::size_t size) {
    return fmt::format("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", std::string(size - 32, 'x'));
  };
  ASSERT_EQ(head(100).size(), 100u);
  EXPECT_EQ(refusal(head(100), limits), 0);
  for (std::size_t over = 101; over < 110; ++over) EXPECT_EQ(refusal(head(over), limits), 431) << over;
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nB:1\r\nC:1\r\n\r\n", limits), 0);
  EXPECT_EQ(refusal("GET / HTTP/1.1\r\nHost: a\r\nB:1\r\nC:1\r\nD:1\r\n\r\n", limits), 431);
  // One bound for both: the answer does not depend on the cut either.
  const Limits equal{.head_bytes_max = 40, .request_line_bytes_max = 40};
  EXPECT_NE(refusal(line(41), equal), 0);
}

TEST(RequestParser, BoundsChunkExtensionsAndTrailers) {
  const Limits limits{.chunk_extension_line_bytes_max = 10, .chunk_extensions_bytes_max = 15, .trailer_bytes_max = 20};
  EXPECT_EQ(refusal(post_chunked("1;234567890a\r\nx\r\n0\r\n\r\n"), limits), 0);
  EXPECT_EQ(refusal(post_chunked("1;234567890ab\r\nx\r\n0\r\n\r\n"), limits), 400);
  EXPECT_EQ(refusal(post_chunked("1;23456789\r\nx\r\n1;2345678\r\nx\r\n0\r\n\r\n"), limits), 0);
  EXPECT_EQ(refusal(post_chunked("1;23456789\r\nx\r\n1;23456789\r\nx\r\n0\r\n\r\n"), limits), 400);
  EXPECT_EQ(refusal(post_chunked("0\r\nA: 23456789012345\r\n\r\n"), limits), 431);
  EXPECT_EQ(refusal(post_chunked("0\r\nA: 2345678901234\r\n\r\n"), limits), 0);
}

class Pauser final : public RequestListener {
 public:
  void on_request_head(const RequestHead&) override { parser->pause(); }
  void on_request_body(std::span<const char> bytes) override {
    body.append(bytes.data(), bytes.size());
    parser->pause();
  }
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override { ++completed; }
  RequestParser* parser = nullptr;
  std::string body;
  int completed = 0;
};

TEST(RequestParser, PausesBetweenWhatItHasReportedAndTheRest) {
  const Limits limits;
  Pauser pauser;
  RequestParser parser(pauser, limits);
  pauser.parser = &parser;
  std::string_view rest =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n";
  std::vector<std::string> bodies;
  while (!rest.empty()) {
    const FeedResult result = parser.feed(rest);
    ASSERT_FALSE(result.error) << result.error.reason;
    rest.remove_prefix(result.consumed);
    bodies.push_back(std::exchange(pauser.body, ""));
  }
  EXPECT_EQ(bodies, (std::vector<std::string>{"", "ab", "cde", ""}));
  EXPECT_EQ(pauser.completed, 1);
}

TEST(RequestParser, CompletesABodilessRequestThoughPaused) {
  const Limits limits;
  Pauser pauser;
  RequestParser parser(pauser, limits);
  pauser.parser = &parser;
  EXPECT_TRUE(parser.feed(std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).message_complete);
  EXPECT_EQ(pauser.completed, 1);
}

TEST(RequestParser, KnowsWhereItStands) {
  const Limits limits;
  Recorder recorder;
  RequestParser parser(recorder, limits);
  EXPECT_TRUE(parser.is_between_messages());
  (void)parser.feed(std::string_view("G"));
  EXPECT_TRUE(parser.has_partial_head());
  EXPECT_FALSE(parser.is_between_messages());
  (void)parser.feed(std::string_view("ET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"));
  EXPECT_FALSE(parser.has_partial_head());
  EXPECT_FALSE(parser.is_between_messages());
  parser.release();  // does nothing in the middle of a message
  (void)parser.feed(std::string_view("x"));
  EXPECT_TRUE(parser.is_between_messages());
  parser.release();
  EXPECT_TRUE(parser.feed(std::string_view("GET / HTTP/1.1\r\nHost: a\r\n\r\n")).message_complete);
}

}  // namespace
}  // namespace lotse::http

// Hostile and ambiguous answers of an endpoint to a running proxy: a backend can smuggle too (PROXY.md "Posture" 2, 3,
// 4, 9, 10, 11). After each the next request must get its own answer.
#include <fmt/format.h>

#include "tests/proxy/hostile.h"

namespace lotse::proxy::test {
namespace {

using std::string_literals::operator""s;

const std::string kGet = "GET /app HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kHead = "HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kUpgrade =
    "GET /app HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket, Chat/2\r\n\r\n";
const std::string kEvil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

std::string ok(std::string_view fields, std::string_view body = "") {
  return fmt::format("HTTP/1.1 200 OK\r\n{}\r\n{}", fields, body);
}
std::string chunked(std::string_view body) { return ok("Transfer-Encoding: chunked\r\n", body); }
std::string with_status(std::string_view line, std::string_view rest = "Content-Length: 0\r\n\r\n") {
  return fmt::format("{}\r\n{}", line, rest);
}

class HostileResponses : public HostileTest {
 protected:
  std::unique_ptr<Peer> ask(const std::string& request, std::string_view raw, bool closes) {
    backend.close_all();
    backend.clear();
    backend.answer = raw;
    backend.closes = closes;
    auto client = harness.connect();
    client->send(request);
    return client;
  }
  // Whatever was said before, the next one to ask is answered for what it asked.
  void expect_clean_next(std::size_t connections) {
    const std::size_t before = backend.accepted();
    backend.answer = Backend::ok("clean");
    backend.closes = false;
    auto client = harness.connect();
    EXPECT_EQ(harness.ask(*client, kGet), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean");
    EXPECT_EQ(backend.accepted() - before, connections);
  }
  void expect_bad_gateway(std::string_view raw, const std::string& request = kGet) {
    SCOPED_TRACE(raw.substr(0, 300));
    auto client = ask(request, raw, false);
    EXPECT_TRUE(harness.run_until([&] { return !client->received.empty() || client->is_over(); }));
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 502 ")) << client->received;
    EXPECT_EQ(client->received.find("evil"), std::string::npos) << client->received;
    EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); })) << "still connected";
    expect_clean_next(1);
  }
  template <typename Cases>
  void expect_all_bad_gateway(const Cases& cases) {
    for (const auto& one : cases) expect_bad_gateway(one);
  }
  // The head was sent on before the rest showed what it is: the client must not take what it got for the whole.
  void expect_truncated(std::string_view raw, bool closes = false, const std::string& request = kGet) {
    SCOPED_TRACE(raw.substr(0, 300));
    auto client = ask(request, raw, closes);
    EXPECT_TRUE(harness.run_until([&] { return client->is_over(); })) << client->received;
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
    EXPECT_FALSE(client->received.ends_with("\r\n0\r\n\r\n")) << client->received;
    EXPECT_EQ(client->received.find("evil"), std::string::npos) << client->received;
    if (client->received.find("hunked") == std::string::npos && client->received.find("Length") == std::string::npos) {
      EXPECT_TRUE(client->has_failed) << "a clean end of a body that ends with the connection";
    }
    expect_clean_next(1);
  }
  void expect_answer(std::string_view raw, std::string_view as, bool is_kept = true, const std::string& request = kGet,
                     bool closes = false) {
    SCOPED_TRACE(raw.substr(0, 300));
    auto client = ask(request, raw, closes);
    EXPECT_TRUE(harness.run_until([&] { return client->received.size() >= as.size() || client->is_over(); }));
    EXPECT_EQ(client->received, as);
    if (!is_kept) {
      EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); })) << "still connected";
    }
    expect_clean_next(is_kept ? 0 : 1);
  }
};

// Bytes, lines, names ---------------------------------------------------------------------------------------------

TEST_F(HostileResponses, LinesEndWithCrLfOnly) {
  expect_all_bad_gateway(std::vector<std::string>{
      "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n",
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
      "HTTP/1.1 200 OK\rContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\r\nContent-Length: 0\r\n\r\n",
      "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      "\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
      ok("A: b\nSet-Cookie: evil\r\nContent-Length: 0\r\n"),
      ok("A: b\rSet-Cookie: evil\r\nContent-Length: 0\r\n"),
      ok("A: b\n\nevil\r\nContent-Length: 0\r\n"),
      ok("A: b\r\r\nContent-Length: 0\r\n"),
      ok("Content-Length: 0\r"),
      ok("Content-Length: 0\n"),
  });
}

TEST_F(HostileResponses, NoControlCharactersAndNoFoldedLines) {
  for (const std::string& control : {"\0"s, "\x01"s, "\b"s, "\v"s, "\f"s, "\x1b"s, "\x1f"s, "\x7f"s}) {
    expect_bad_gateway("HTTP/1.1 200 O" + control + "K\r\nContent-Length: 0\r\n\r\n");
    expect_bad_gateway(ok("A: b" + control + "\r\nContent-Length: 0\r\n"));
    expect_bad_gateway(ok("A" + control + ": b\r\nContent-Length: 0\r\n"));
    expect_bad_gateway(ok("Content-Length: 0" + control + "\r\n"));
    expect_bad_gateway(ok("Transfer-Encoding:" + control + "chunked\r\n", "0\r\n\r\n"));
  }
  expect_all_bad_gateway(std::vector<std::string>{
      ok("A: b\r\n c\r\nContent-Length: 0\r\n"),
      ok("A: b\r\n\tc\r\nContent-Length: 0\r\n"),
      ok("Content-Length: 1\r\n 0\r\n", "x"),
      ok("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
      "HTTP/1.1 200 OK\r\n Content-Length: 0\r\n\r\n",
      "HTTP/1.1 200\r\n OK\r\nContent-Length: 0\r\n\r\n",
      ok("Content-Length: 0\r\n \r\n"),
  });
}

TEST_F(HostileResponses, FieldNamesAreTokensUpToTheColon) {
  expect_all_bad_gateway(std::vector<std::string>{
      ok(": b\r\nContent-Length: 0\r\n"),
      ok("A : b\r\nContent-Length: 0\r\n"),
      ok("A\t: b\r\nContent-Length: 0\r\n"),
      ok("A b: c\r\nContent-Length: 0\r\n"),
      ok("A\r\nContent-Length: 0\r\n"),
      ok("A[]: b\r\nContent-Length: 0\r\n"),
      ok("\x80: b\r\nContent-Length: 0\r\n"),
      ok("Content-Length : 0\r\n"),
      ok("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
      ok("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"),
  });
}

// Status lines ----------------------------------------------------------------------------------------------------

TEST_F(HostileResponses, TheStatusLineIsAVersionAndThreeDigits) {
  for (const std::string& line : {
           ""s,
           "HTTP/1.1"s,
           "HTTP/1.1 "s,
           "HTTP/1.1 OK"s,
           "HTTP/1.1 2"s,
           "HTTP/1.1 20"s,
           "HTTP/1.1 20 OK"s,
           "HTTP/1.1 2 00 OK"s,
           "HTTP/1.1 2000 OK"s,
           "HTTP/1.1 0200 OK"s,
           "HTTP/1.1 000 OK"s,
           "HTTP/1.1 001 OK"s,
           "HTTP/1.1 099 OK"s,
           "HTTP/1.1 -20 OK"s,
           "HTTP/1.1 +20 OK"s,
           "HTTP/1.1 2x0 OK"s,
           "HTTP/1.1 2.0 OK"s,
           "HTTP/1.1 0x2 OK"s,
           "HTTP/1.1 \xb2"
           "00 OK"s,
           "HTTP/1.1 200OK"s,
           "HTTP/1.1 200\tOK"s,
           "HTTP/1.1 200, OK"s,
           "HTTP/1.1 200;OK"s,
           "HTTP/1.1  200 OK"s,
           "HTTP/1.1\t200 OK"s,
           "HTTP/1.1200 OK"s,
           "200 OK"s,
           "OK"s,
           "HTTP/1.2 200 OK"s,
           "HTTP/1.10 200 OK"s,
           "HTTP/1. 200 OK"s,
           "HTTP/1 200 OK"s,
           "HTTP/2 200"s,
           "HTTP/2.0 200 OK"s,
           "HTTP/0.9 200 OK"s,
           "HTTP/3.0 200 OK"s,
           "http/1.1 200 OK"s,
           "Http/1.1 200 OK"s,
           "HTTPS/1.1 200 OK"s,
           "XHTTP/1.1 200 OK"s,
           "HTTP /1.1 200 OK"s,
           "HTTP/ 1.1 200 OK"s,
           "HTTP/1,1 200 OK"s,
           "ICY 200 OK"s,
           "RTSP/1.0 200 OK"s,
           "SIP/2.0 200 OK"s,
           "GET / HTTP/1.1"s,
           "<html>hello</html>"s,
           "SSH-2.0-OpenSSH"s,
           "\x15\x03\x03\x02\x02\x50"s,  // a TLS alert
       }) {
    expect_bad_gateway(with_status(line));
  }
}

TEST_F(HostileResponses, OddButClearStatusLinesAreWrittenAnew) {
  const auto empty = "Content-Length: 0\r\n\r\n"s;
  expect_answer(with_status("HTTP/1.1 200"), "HTTP/1.1 200 OK\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 200 "), "HTTP/1.1 200 OK\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 299 "), "HTTP/1.1 299 \r\n" + empty);
  expect_answer(with_status("HTTP/1.1 200 Not Found"), "HTTP/1.1 200 Not Found\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 200 a\tb\xe4"), "HTTP/1.1 200 a\tb\xe4\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 404 HTTP/1.1 200 OK"), "HTTP/1.1 404 HTTP/1.1 200 OK\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 600 x"), "HTTP/1.1 600 x\r\n" + empty);
  expect_answer(with_status("HTTP/1.1 999 x"), "HTTP/1.1 999 x\r\n" + empty);
  expect_answer(with_status("HTTP/1.0 200 OK"), "HTTP/1.1 200 OK\r\n" + empty, false);
  expect_answer(with_status("HTTP/1.0 200 OK", "Connection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
                "HTTP/1.1 200 OK\r\n" + empty);
}

// Framing ---------------------------------------------------------------------------------------------------------

TEST_F(HostileResponses, TransferEncodingIsOneLineThatSaysChunkedAndStandsAlone) {
  for (const char* value : {"", "identity", "gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", ",chunked",
                            "chunked,", "xchunked", "chunked;q=1", "\"chunked\"", "chunked x",
                            "\xa0"
                            "chunked",
                            "chunked\xff", "cow"}) {
    expect_bad_gateway(ok(fmt::format("Transfer-Encoding: {}\r\n", value), "4\r\nevil\r\n0\r\n\r\n"));
  }
  for (const char* fields :
       {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: identity\r\n",
        "Connection: Content-Length\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n"}) {
    expect_bad_gateway(ok(fields, "4\r\nevil\r\n0\r\n\r\n"));
    expect_bad_gateway(ok(fields), kHead);
  }
  expect_bad_gateway("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n");
}

TEST_F(HostileResponses, ContentLengthIsOneLineOfDigits) {
  for (const char* value :
       {"", "-1", "+4", "0x4", "4x", "4,4", "4, 4", "4 4", "4;", "4.0", "\"4\"", "\xef\xbc\x94", "four",
        "9223372036854775808", "18446744073709551616", "18446744073709551620", "99999999999999999999999999"}) {
    expect_bad_gateway(ok(fmt::format("Content-Length: {}\r\n", value), "evil"));
  }
  for (const char* fields : {"Content-Length: 4\r\nContent-Length: 4\r\n", "Content-Length: 4\r\nContent-Length: 5\r\n",
                             "Content-Length: 0\r\nContent-Length: 4\r\n", "Content-Length: 4\r\ncontent-length:\r\n",
                             "Content-Length: 4\r\nA: b\r\nCONTENT-LENGTH: 04\r\n"}) {
    expect_bad_gateway(ok(fields, "evil"));
    expect_bad_gateway(ok(fields), kHead);
  }
}

TEST_F(HostileResponses, BodiesAreFramedAnew) {
  expect_answer(ok("content-LENGTH:\t004 \r\n", "body"), ok("Content-Length: 4\r\n", "body"));
  expect_answer(chunked("0004;a=\"b\"\r\nbody\r\n00\r\nSet-Cookie: evil\r\nContent-Length: 9\r\n\r\n"),
                chunked("4\r\nbody\r\n0\r\n\r\n"));
  expect_answer(ok("", "until the end"), chunked("d\r\nuntil the end\r\n0\r\n\r\n"), false, kGet, true);
  expect_answer("HTTP/1.0 200 OK\r\n\r\nuntil the end", chunked("d\r\nuntil the end\r\n0\r\n\r\n"), false, kGet, true);
  expect_answer("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end",
                chunked("d\r\nuntil the end\r\n0\r\n\r\n"), false, kGet, true);
}

TEST_F(HostileResponses, BadChunksEndAnAnswerWithoutItsEnd) {
  for (const std::string& body : {
           "x\r\n"s,
           "\r\nevil\r\n0\r\n\r\n"s,
           " 4\r\nevil\r\n0\r\n\r\n"s,
           "4 \r\nevil\r\n0\r\n\r\n"s,
           "0x4\r\nevil\r\n0\r\n\r\n"s,
           "+4\r\nevil\r\n0\r\n\r\n"s,
           "-4\r\nevil\r\n0\r\n\r\n"s,
           "4\nevil\r\n0\r\n\r\n"s,
           "4\revil\r\n0\r\n\r\n"s,
           "4;a\nevil\r\n0\r\n\r\n"s,
           "4;a\0\r\nevil\r\n0\r\n\r\n"s,
           "ffffffffffffffff\r\nevil"s,
           "8000000000000000\r\nevil"s,
           "10000000000000004\r\nevil\r\n0\r\n\r\n"s,
           "4;"s + std::string(5000, 'a') + "\r\nevil\r\n0\r\n\r\n",
           "4\r\ngood\n0\r\n\r\n"s,
           "4\r\ngoodX\r\n0\r\n\r\n"s,
           "4\r\ngood\r\n0\n\r\n"s,
           "4\r\ngood\r\n0\r\n\n"s,
           "4\r\ngood\r\n0\r\nA\r\n\r\n"s,
           "4\r\ngood\r\n0\r\n A: b\r\n\r\n"s,
           "4\r\ngood\r\n0\r\nA: b\n\r\n"s,
           "4\r\ngood\r\n0\r\n"s + std::string(20'000, 'x'),
           "4\r\ngood\r\n-1\r\n\r\n"s,
       }) {
    expect_truncated(chunked(body));
    expect_truncated(chunked(body), false, "GET /app HTTP/1.0\r\nHost: a\r\n\r\n");
  }
}

TEST_F(HostileResponses, AnAnswerThatBreaksOffLooksTruncated) {
  for (const std::string& raw :
       {ok("Content-Length: 10\r\n"), ok("Content-Length: 10\r\n", "012345678"), chunked(""), chunked("4\r\n"),
        chunked("4\r\ngood"), chunked("4\r\ngood\r\n"), chunked("4\r\ngood\r\n0"), chunked("4\r\ngood\r\n0\r\n"),
        chunked("4\r\ngood\r\n0\r\n\r"), chunked("4\r\ngood\r\n0\r\nA: b\r\n")}) {
    expect_truncated(raw, true);
    expect_truncated(raw, true, "GET /app HTTP/1.0\r\nHost: a\r\n\r\n");
  }
}

TEST_F(HostileResponses, AHeadThatBreaksOffIsABadGateway) {
  for (const std::string& raw :
       {"HTTP"s, "HTTP/1.1 200 OK\r\n"s, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"s,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r"s, "HTTP/1.1 100 Continue\r\n\r\n"s, "\x15\x03"s}) {
    SCOPED_TRACE(raw);
    auto client = ask(kGet, raw, true);
    EXPECT_TRUE(harness.run_until([&] { return client->received.find("\r\n\r\n", 30) != std::string::npos; }));
    EXPECT_NE(client->received.find("HTTP/1.1 502 "), std::string::npos) << client->received;
    expect_clean_next(1);
  }
}

// Answers without a body ------------------------------------------------------------------------------------------

TEST_F(HostileResponses, ABodyWhereNoneCanBeIsNotTheNextAnswer) {
  const std::string no_content = "HTTP/1.1 204 No Content\r\n\r\n", not_modified = "HTTP/1.1 304 Not Modified\r\n\r\n";
  expect_answer(no_content + kEvil, no_content, false);
  expect_answer(no_content + "evil", no_content, false);
  expect_answer(no_content + "\r\n", no_content, false);
  expect_answer("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", no_content);
  expect_answer(not_modified + kEvil, not_modified, false);
  expect_answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nevil",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", false);
  // RFC 9112 section 6.1 allows it here and in the answer to HEAD, and it means nothing.
  expect_answer("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", not_modified);
  expect_answer("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n", not_modified,
                false);
  expect_answer(ok("Content-Length: 4\r\n"), ok("Content-Length: 4\r\n"), true, kHead);
  expect_answer(ok("Content-Length: 4\r\n", "evil"), ok("Content-Length: 4\r\n"), false, kHead);
  expect_answer(ok("", kEvil), ok(""), false, kHead);
}

TEST_F(HostileResponses, InterimAnswersAnd204SayNothingOfABody) {
  for (const char* status : {"204 No Content", "100 Continue", "102 Processing", "103 Early Hints", "199 x"}) {
    for (const char* field :
         {"Transfer-Encoding: chunked", "Content-Length: 4", "Transfer-Encoding: identity", "Content-Length: x"}) {
      expect_bad_gateway(fmt::format("HTTP/1.1 {}\r\n{}\r\n\r\n", status, field) + kEvil);
      expect_bad_gateway(fmt::format("HTTP/1.1 {}\r\n{}\r\n\r\n", status, field) + kEvil, kHead);
    }
  }
}

TEST_F(HostileResponses, InterimAnswersAreCounted) {
  std::string flood;
  for (int i = 0; i < 17; ++i) flood += "HTTP/1.1 100 Continue\r\n\r\n";
  auto client = ask(kGet, flood + kEvil, false);
  EXPECT_TRUE(harness.run_until([&] { return client->received.find("HTTP/1.1 502 ") != std::string::npos; }))
      << client->received;
  EXPECT_EQ(client->received.find("evil"), std::string::npos);
  EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); }));
  expect_clean_next(1);
}

// After the answer ------------------------------------------------------------------------------------------------

TEST_F(HostileResponses, BytesAfterAnAnswerEndTheConnection) {
  const std::string good = ok("Content-Length: 4\r\n", "good");
  for (const std::string& rest : {kEvil, "x"s, "\r\n"s, "\n"s, "\0"s, "HTTP/1.1 100 Continue\r\n\r\n"s}) {
    expect_answer(good + rest, good, false);
    expect_answer(chunked("4\r\ngood\r\n0\r\n\r\n") + rest, chunked("4\r\ngood\r\n0\r\n\r\n"), false);
    expect_answer(ok("Content-Length: 0\r\n") + rest, ok("Content-Length: 0\r\n"), false);
  }
  expect_answer(ok("Content-Length: 4\r\n", "goodevil"), good, false);
  expect_answer(ok("Connection: close\r\nContent-Length: 4\r\n", "good"), good, false);
  expect_answer(ok("Connection: x, Close\r\nContent-Length: 4\r\n", "good"), good, false);
}

TEST_F(HostileResponses, BytesOnAnIdleConnectionEndIt) {
  const std::string good = ok("Content-Length: 4\r\n", "good");
  for (const std::string& late : {kEvil, "x"s, "\r\n"s, "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n"s}) {
    auto client = ask(kGet, good, false);
    EXPECT_TRUE(harness.run_until([&] { return client->received == good; }));
    backend.server().peers.back()->send(late);
    EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); }));
    expect_clean_next(1);
  }
}

// Upgrades --------------------------------------------------------------------------------------------------------

TEST_F(HostileResponses, OnlyWhatWasOfferedIsSwitchedTo) {
  for (const char* fields :
       {"", "Connection: upgrade\r\n", "Upgrade: websocket\r\n", "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: other\r\n", "Connection: upgrade\r\nUpgrade:\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, other\r\n", "Connection: upgrade\r\nUpgrade: ,\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
        "Connection: close\r\nUpgrade: websocket\r\n"}) {
    expect_bad_gateway(fmt::format("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", fields) + kEvil, kUpgrade);
  }
  const std::string switching = "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  expect_bad_gateway(switching + "evil");
  expect_bad_gateway("HTTP/1.0 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nevil", kUpgrade);
  expect_bad_gateway(switching + "evil",
                     "GET /app HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
  expect_bad_gateway("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nevil",
                     "GET /app HTTP/1.1\r\nHost: a\r\nConnection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                     "HTTP2-Settings: AAMAAABk\r\n\r\n");
  for (const char* chosen : {"websocket", "WebSocket", "chat/2", "websocket,chat/2"}) {
    auto client = ask(
        kUpgrade, fmt::format("HTTP/1.1 101 x\r\nUPGRADE:{}\r\nconnection:Upgrade\r\nA:b\r\n\r\nraw", chosen), false);
    const std::string as =
        fmt::format("HTTP/1.1 101 x\r\nA: b\r\nConnection: upgrade\r\nUpgrade: {}\r\n\r\nraw", chosen);
    EXPECT_TRUE(harness.run_until([&] { return client->received == as; })) << client->received;
  }
}

// What is sent on -------------------------------------------------------------------------------------------------

TEST_F(HostileResponses, FieldsGoOnInOneSpellingWithoutHopByHopOnes) {
  expect_answer(
      ok("A:b\r\nC:  d \t\r\nEmpty:\r\nConnection: keep-alive, X-Named\r\nX-Named: 1\r\nKeep-Alive: "
         "5\r\nProxy-Connection: "
         "x\r\nTrailer: T\r\nUpgrade: h2,h2c\r\nTE: x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nUnder_Score: 1\r\n"
         "Obs: \xe4\r\nContent-Length: 2\r\n",
         "hi"),
      ok("A: b\r\nC: d\r\nEmpty: \r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nUnder_Score: 1\r\nObs: \xe4\r\n"
         "Content-Length: 2\r\n",
         "hi"));
  expect_answer(ok("Connection: Content-Length, close\r\nContent-Length: 2\r\n", "hi"),
                ok("Content-Length: 2\r\n", "hi"), false);
}

TEST_F(HostileResponses, HeadsAreBounded) {
  std::string fields;
  for (int i = 0; i < 100; ++i) fields += fmt::format("A{}: b\r\n", i);
  expect_bad_gateway(ok(fields + "Content-Length: 0\r\n"));
  expect_bad_gateway(ok("A: " + std::string(40'000, 'b') + "\r\nContent-Length: 0\r\n"));
  expect_bad_gateway("HTTP/1.1 200 " + std::string(40'000, 'b') + "\r\nContent-Length: 0\r\n\r\n");
  expect_bad_gateway(std::string(40'000, 'b'));
}

TEST_F(HostileResponses, AnAnswerMayComeByteByByte) {
  for (const std::string& raw :
       {chunked("4;x\r\ngood\r\n0\r\nT: 1\r\n\r\n"), ok("A:b\r\nContent-Length: 4\r\n", "good")}) {
    Peer* asked = nullptr;
    backend.on_request = [&](Peer& peer) { asked = &peer; };
    auto client = harness.connect();
    client->send(kGet);
    ASSERT_TRUE(harness.run_until([&] { return asked != nullptr; }));
    for (const char byte : raw) {
      asked->send({&byte, 1});
      for (int turn = 0; turn < 3; ++turn) harness.loop.run_once_ready();
    }
    ASSERT_TRUE(harness.run_until([&] { return Harness::is_response_whole(client->received); }));
    std::string body;
    for (const char c : client->received.substr(client->received.find("\r\n\r\n"))) {
      if (c >= 'a' && c <= 'z') body += c;
    }
    EXPECT_EQ(body, "good") << client->received;
    backend.on_request = nullptr;
  }
}

}  // namespace
}  // namespace lotse::proxy::test

// Hostile and ambiguous framing of request bodies against a running proxy: Transfer-Encoding, Content-Length, chunks,
// trailers, and what follows a request on the same connection (PROXY.md "Posture" 3, 4, 8).
#include <fmt/format.h>

#include "tests/proxy/hostile.h"

namespace lotse::proxy::test {
namespace {

using std::string_literals::operator""s;

using HostileFraming = HostileTest;

std::string post(std::string_view fields, std::string_view body = "") {
  return fmt::format("POST /app HTTP/1.1\r\nHost: a\r\n{}\r\n{}", fields, body);
}
std::string chunked(std::string_view body) { return post("Transfer-Encoding: chunked\r\n", body); }

constexpr std::string_view kSmuggled = "GET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

TEST_F(HostileFraming, TransferEncodingIsOneLineThatSaysChunked) {
  for (const std::string& value : {
           ""s,
           "identity"s,
           "gzip"s,
           "gzip, chunked"s,
           "chunked, gzip"s,
           "chunked, identity"s,
           "identity, chunked"s,
           "chunked, chunked"s,
           "chunked,chunked"s,
           ",chunked"s,
           "chunked,"s,
           ", chunked ,"s,
           "chunked, "s,
           "xchunked"s,
           "chunkedx"s,
           "chunke"s,
           "chun ked"s,
           "chunked chunked"s,
           "chunked x"s,
           "x chunked"s,
           "chunked;q=1"s,
           "chunked;"s,
           "chunked; foo=bar"s,
           "\"chunked\""s,
           "'chunked'"s,
           "<chunked>"s,
           "chunked\xff"s,
           "\xa0"
           "chunked"s,
           "chunked\xa0"s,
           "\xc4\x8bhunked"s,
           "chunKed\xc2\xa0"s,
           "chunked\t,\tx"s,
           "chunked=1"s,
           "%63hunked"s,
           "compress"s,
           "deflate, chunked"s,
           "cow"s,
           "cow, chunked"s,
           "chunked, cow"s,
           "0"s,
           "5"s,
       }) {
    expect_refused(post(fmt::format("Transfer-Encoding: {}\r\n", value), "5\r\nhello\r\n0\r\n\r\n"));
  }
}

TEST_F(HostileFraming, TransferEncodingComesOnce) {
  expect_all_refused(std::vector<std::string>{
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: chunked\r\ntransfer-encoding:\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
      post("TRANSFER-ENCODING: chunked\r\nA: b\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
  });
}

TEST_F(HostileFraming, NoTransferEncodingBeforeHttp11) {
  expect_refused("POST /app HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  expect_refused("POST /app HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refused(
      "POST /app HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refused("POST /app HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello");
  expect_refused("POST /app HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

TEST_F(HostileFraming, NeverBothLengthAndTransferEncoding) {
  for (const char* length : {"0", "5", "6", "30", "", "x", "-1", "5, 5", "18446744073709551616"}) {
    for (const char* encoding :
         {"chunked", "Chunked", "identity", "", "gzip, chunked", "xchunked", "chunked, identity"}) {
      expect_refused(
          post(fmt::format("Content-Length: {}\r\nTransfer-Encoding: {}\r\n", length, encoding), "0\r\n\r\n"));
      expect_refused(
          post(fmt::format("Transfer-Encoding: {}\r\nContent-Length: {}\r\n", encoding, length), "0\r\n\r\n"));
    }
  }
  expect_refused("GET /app HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refused("HEAD /app HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  expect_refused(
      post("Connection: Content-Length\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
  expect_refused(
      post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n", "0\r\n\r\n"));
}

TEST_F(HostileFraming, ContentLengthIsDigitsUpTo2To63) {
  for (const std::string& value : {
           ""s,
           "-0"s,
           "-1"s,
           "+0"s,
           "+5"s,
           "0x5"s,
           "5x"s,
           "x5"s,
           "5h"s,
           "05h"s,
           "5.0"s,
           "5."s,
           ".5"s,
           "5e0"s,
           "1e1"s,
           "5;"s,
           "5; x"s,
           "5,"s,
           ",5"s,
           "5,5"s,
           "5, 5"s,
           "5,6"s,
           "0, 5"s,
           "5 5"s,
           "5 6"s,
           "5\t5"s,
           "1 0"s,
           "1_0"s,
           "1'0"s,
           "\"5\""s,
           "'5'"s,
           "(5)"s,
           "5%"s,
           "%35"s,
           "5\xff"s,
           "\xff"
           "5"s,
           "\xef\xbc\x95"s,  // a full-width 5
           "\xd9\xa5"s,      // an Arabic-Indic 5
           "\xb2"s,          // superscript two in Latin-1
           "five"s,
           "NaN"s,
           "Infinity"s,
           "9223372036854775808"s,   // 2^63
           "18446744073709551615"s,  // 2^64-1
           "18446744073709551616"s,  // 2^64: 0 when it wraps
           "18446744073709551621"s,  // 2^64+5
           "36893488147419103237"s,  // 2*2^64+5
           "340282366920938463463374607431768211461"s,
           "99999999999999999999999999999999999999999999"s,
       }) {
    expect_refused(post(fmt::format("Content-Length: {}\r\n", value), "hello"));
  }
  expect_refused("POST /app HTTP/1.0\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello");
  expect_refused("GET /app HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n");
  expect_refused("HEAD /app HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
}

TEST_F(HostileFraming, ContentLengthComesOnce) {
  expect_all_refused(std::vector<std::string>{
      post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
      post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
      post("Content-Length: 0\r\nContent-Length: 5\r\n", "hello"),
      post("Content-Length: 5\r\nContent-Length: 0\r\n", "hello"),
      post("Content-Length: 5\r\nA: b\r\ncontent-length: 05\r\n", "hello"),
      post("Content-Length: 5\r\nContent-Length:\r\n", "hello"),
      post("Content-Length:\r\nContent-Length: 5\r\n", "hello"),
      post("Content-Length: 5\r\nContent-Length: x\r\n", "hello"),
      "GET /app HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
      "GET /app HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
  });
}

TEST_F(HostileFraming, TheLengthSentOnIsTheNumberThatWasRead) {
  expect_forwarded(post("Content-Length: 0000000000000000000000000005\r\n", "hello"),
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  expect_forwarded(post("CONTENT-length:\t 5 \t\r\n", "hello"),
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  expect_forwarded(post("Content-Length: 0\r\n"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  expect_forwarded("GET /app HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
                   "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
  expect_forwarded("POST /app HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
                   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab");
  expect_forwarded(post(""), "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(HostileFraming, ChunksAreFramedAnew) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_forwarded(chunked("5\r\nhello\r\n0\r\n\r\n"), head + "5\r\nhello\r\n0\r\n\r\n");
  expect_forwarded(chunked("0005;c;d=\"e;f\"\r\nhello\r\n000;x\r\n\r\n"), head + "5\r\nhello\r\n0\r\n\r\n");
  expect_forwarded(chunked("00000000000000A\r\n0123456789\r\n0\r\n\r\n"), head + "a\r\n0123456789\r\n0\r\n\r\n");
  expect_forwarded(chunked("2\r\n\r\n\r\n0\r\n\r\n"), head + "2\r\n\r\n\r\n0\r\n\r\n");
  expect_forwarded(chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), head + "5\r\n0\r\n\r\n\r\n0\r\n\r\n");
  expect_forwarded(chunked("0\r\n\r\n"), head + "0\r\n\r\n");
  expect_forwarded(post("transfer-ENCODING:\tcHuNkEd \r\n", "1\r\nx\r\n0\r\n\r\n"), head + "1\r\nx\r\n0\r\n\r\n");
  expect_forwarded("GET /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
                   "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
}

TEST_F(HostileFraming, TrailersAreCheckedAndDropped) {
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  expect_forwarded(chunked("1\r\nx\r\n0\r\nContent-Length: 99\r\nHost: evil\r\nX-Sum: 1\r\n"
                           "X-Forwarded-For: 9.9.9.9\r\nAuthorization: x\r\n\r\n"),
                   head + "1\r\nx\r\n0\r\n\r\n");
  for (const std::string& trailer : {
           "A: b\n\r\n"s,
           "A: b\n\n"s,
           "\n"s,
           "A: b\r\n\n"s,
           "A: b\rX"s,
           "\rX\n"s,
           "A: b\r\n c\r\n\r\n"s,
           " A: b\r\n\r\n"s,
           "\tA: b\r\n\r\n"s,
           "A : b\r\n\r\n"s,
           ": b\r\n\r\n"s,
           "A\r\n\r\n"s,
           "A: b\0c\r\n\r\n"s,
           "A: b\x01\r\n\r\n"s,
           "A[]: b\r\n\r\n"s,
           "Transfer-Encoding: chunked\r\n\r\n"s,
           "GET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"s,
           "X"s + std::string(20'000, 'x'),
       }) {
    expect_broken_off(chunked("1\r\nx\r\n0\r\n" + trailer), trailer.size() > 20'000 ? 431 : 400);
  }
}

TEST_F(HostileFraming, ChunkLinesAreHexDigitsAndExtensions) {
  for (const std::string& body : {
           "\r\nhello\r\n0\r\n\r\n"s,
           "\n5\r\nhello\r\n0\r\n\r\n"s,
           "\r\n5\r\nhello\r\n0\r\n\r\n"s,
           " 5\r\nhello\r\n0\r\n\r\n"s,
           "\t5\r\nhello\r\n0\r\n\r\n"s,
           "5 \r\nhello\r\n0\r\n\r\n"s,
           "5\t\r\nhello\r\n0\r\n\r\n"s,
           "5 ;a\r\nhello\r\n0\r\n\r\n"s,
           "5\v\r\nhello\r\n0\r\n\r\n"s,
           "5\0\r\nhello\r\n0\r\n\r\n"s,
           "5\xa0\r\nhello\r\n0\r\n\r\n"s,
           "0x5\r\nhello\r\n0\r\n\r\n"s,
           "0X5\r\nhello\r\n0\r\n\r\n"s,
           "x5\r\nhello\r\n0\r\n\r\n"s,
           "5h\r\nhello\r\n0\r\n\r\n"s,
           "+5\r\nhello\r\n0\r\n\r\n"s,
           "-5\r\nhello\r\n0\r\n\r\n"s,
           "-0\r\n\r\n"s,
           "5.\r\nhello\r\n0\r\n\r\n"s,
           "5,5\r\nhello\r\n0\r\n\r\n"s,
           "5 5\r\nhello\r\n0\r\n\r\n"s,
           "5_\r\nhello\r\n0\r\n\r\n"s,
           "\"5\"\r\nhello\r\n0\r\n\r\n"s,
           "5=a\r\nhello\r\n0\r\n\r\n"s,
           ";a=b\r\nhello\r\n0\r\n\r\n"s,
           "g\r\n"s,
           "5\nhello\r\n0\r\n\r\n"s,
           "5\rhello\r\n0\r\n\r\n"s,
           "5\r\r\nhello\r\n0\r\n\r\n"s,
           "5\rX\nhello\r\n0\r\n\r\n"s,
           "5;a\nhello\r\n0\r\n\r\n"s,
           "5;a\n\r\nhello\r\n0\r\n\r\n"s,
           "5;\n\nhello\r\n0\r\n\r\n"s,
           "5;\r\r\nhello\r\n0\r\n\r\n"s,
           "5;a\rX\nhello\r\n0\r\n\r\n"s,
           "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"s,
           "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"s,
           "5;a=\"x\r\nhello\r\n0\r\n\r\n"s,
           "5;a=\"x\\\r\nhello\r\n0\r\n\r\n"s,
           "5;a\0\r\nhello\r\n0\r\n\r\n"s,
           "5;\x7f\r\nhello\r\n0\r\n\r\n"s,
           "ffffffffffffffff\r\nhello"s,
           "8000000000000000\r\nhello"s,
           "10000000000000005\r\nhello\r\n0\r\n\r\n"s,
           "100000000000000005\r\nhello\r\n0\r\n\r\n"s,
           "00000000000000005\r\nhello\r\n0\r\n\r\n"s,
           "\xff\r\n"s,
           "5;"s + std::string(5000, 'a') + "\r\nhello\r\n0\r\n\r\n",
       }) {
    expect_broken_off(chunked(body));
  }
  std::string many;
  for (int i = 0; i < 20; ++i) many += "1;" + std::string(1000, 'a') + "\r\nx\r\n";
  expect_broken_off(chunked(many));
}

TEST_F(HostileFraming, ChunkDataIsAsLongAsItSays) {
  for (const std::string& body : {
           "5\r\nhell\r\n0\r\n\r\n"s,
           "5\r\nhelloo\r\n0\r\n\r\n"s,
           "4\r\nhello\r\n0\r\n\r\n"s,
           "5\r\nhello0\r\n\r\n"s,
           "5\r\nhello\n0\r\n\r\n"s,
           "5\r\nhello\r0\r\n\r\n"s,
           "5\r\nhello\r\r\n0\r\n\r\n"s,
           "5\r\nhello\n\r\n0\r\n\r\n"s,
           "5\r\nhello \r\n0\r\n\r\n"s,
           "5\r\nhelloXX0\r\n\r\n"s,
           "5\r\nhello\r\n\r\n0\r\n\r\n"s,
           "5\r\nhello\r\n0\r\n\n"s,
           "5\r\nhello\r\n0\n\r\n"s,
           "5\r\nhello\r\n0\r\n\rX"s,
           "0\r\n0\r\n\r\n"s,
       }) {
    expect_broken_off(chunked(body));
  }
}

// The client says it will send no more, in the middle of its message: nothing that looks whole reaches the endpoint.
TEST_F(HostileFraming, ARequestThatBreaksOffNeverLooksWhole) {
  for (const std::string& raw : {
           chunked(""),
           chunked("5"),
           chunked("5\r\n"),
           chunked("5\r\nhel"),
           chunked("5\r\nhello"),
           chunked("5\r\nhello\r"),
           chunked("5\r\nhello\r\n"),
           chunked("5\r\nhello\r\n0"),
           chunked("5\r\nhello\r\n0\r\n"),
           chunked("5\r\nhello\r\n0\r\n\r"),
           chunked("5\r\nhello\r\n0\r\nA: b\r\n"),
           post("Content-Length: 5\r\n"),
           post("Content-Length: 5\r\n", "hell"),
           post("Content-Length: 9223372036854775807\r\n", "hell"),
       }) {
    SCOPED_TRACE(raw);
    auto client = send(raw, true);
    EXPECT_FALSE(client->received.starts_with("HTTP/1.1 200")) << client->received;
    EXPECT_TRUE(harness.run_until([&] { return !backend.is_any_open(); }));
    EXPECT_EQ(backend.requests, 0U) << backend.bytes;
    backend.close_all();
  }
}

// The classics: what one reader takes for a body, another takes for the next request.
TEST_F(HostileFraming, NothingIsSmuggled) {
  const std::string smuggled(kSmuggled);
  const std::string length = fmt::format("Content-Length: {}\r\n", smuggled.size());
  const std::string chunks =
      fmt::format("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{}\r\n0\r\n\r\n", smuggled.size(), smuggled);
  const std::string head = " /app HTTP/1.1\r\nHost: a\r\n";
  // CL.TE and TE.CL are refused above. What is taken is one request, body and all, on both sides.
  for (const std::string& raw : {
           post("Content-Length: 6\r\nTransfer_Encoding: chunked\r\n", "0\r\n\r\nX"),
           post(fmt::format("Content-Length: {}\r\n", smuggled.size() + 5), "0\r\n\r\n" + smuggled),
           "GET" + head + length + "\r\n" + smuggled,  // CL.0
           "OPTIONS" + head + length + "\r\n" + smuggled,
           "HEAD" + head + length + "\r\n" + smuggled,
           "DELETE" + head + length + "\r\n" + smuggled,
           "GET /app HTTP/1.0\r\nHost: a\r\n" + length + "\r\n" + smuggled,
           "POST" + head + "Connection: Content-Length\r\n" + length + "\r\n" + smuggled,
           "POST" + head + "Connection: close\r\n" + length + "\r\n" + smuggled,
           "GET" + head + "Upgrade: x\r\nConnection: upgrade\r\n" + length + "\r\n" + smuggled,
           "GET" + head + chunks,  // TE.0
           "OPTIONS" + head + chunks,
           "HEAD" + head + chunks,
       }) {
    SCOPED_TRACE(raw);
    auto client = send(raw, true);
    EXPECT_EQ(backend.requests, 1U) << backend.bytes;
    EXPECT_EQ(client->received.find("HTTP/1.1 ", 1), std::string::npos) << client->received;
  }
  // Transfer_Encoding is dropped: the chunks are not a request.
  auto client = send(post("Transfer_Encoding: chunked\r\n", "0\r\n\r\n" + smuggled), false);
  EXPECT_TRUE(client->received.ends_with("\r\n\r\nbad request line\n")) << client->received;
  EXPECT_EQ(forwarded(), "POST / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(HostileFraming, NothingAfterARequestThatClosesIsRead) {
  for (const char* head :
       {"GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET /app HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET /app HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x, Close\r\n\r\n",
        "GET /app HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n"}) {
    auto client = send(std::string(head) + std::string(kSmuggled), false);
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 200 ")) << client->received;
    EXPECT_EQ(client->received.find("HTTP/1.1 ", 1), std::string::npos) << client->received;
    EXPECT_EQ(backend.requests, 1U) << backend.bytes;
  }
}

TEST_F(HostileFraming, ARefusalEndsThePipeline) {
  auto client = send(post("Content-Length: 2\r\n", "ab") + "\r\n" + chunked("1\r\nx\r\n0\r\n\r\n") +
                         "GET /app/\\ HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(kSmuggled),
                     false);
  EXPECT_EQ(backend.requests, 2U) << backend.bytes;
  EXPECT_EQ(backend.bytes.find("smuggled"), std::string::npos);
  EXPECT_NE(client->received.find("HTTP/1.1 400 "), std::string::npos) << client->received;
}

}  // namespace
}  // namespace lotse::proxy::test

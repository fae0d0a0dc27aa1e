// Hostile and ambiguous request heads against a running proxy: bytes, lines, request lines, names and values, versions,
// methods, limits (PROXY.md "Posture" 1, 2, 5, 7, 8). Framing: hostile_framing_test.cc; targets and Host:
// hostile_targets_test.cc. docs/http-strictness.md names the tests here as the proof of its rules.
#include <fmt/format.h>

#include "tests/proxy/hostile.h"

namespace lotse::proxy::test {
namespace {

using std::string_literals::operator""s;

using HostileRequests = HostileTest;

std::string get(std::string_view fields) { return fmt::format("GET /app HTTP/1.1\r\nHost: a\r\n{}\r\n", fields); }

// Bytes and lines -------------------------------------------------------------------------------------------------

TEST_F(HostileRequests, LinesEndWithCrLfOnly) {
  expect_all_refused(std::vector<std::string>{
      "GET /app HTTP/1.1\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1\nHost: a\n\n",
      "GET /app HTTP/1.1\r\nHost: a\n\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n\n",
      "GET /app HTTP/1.1\r\nHost: a\n\n",
      "GET /app HTTP/1.1\rHost: a\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n\r\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n\rX",
      "GET /app HTTP/1.1\r\nHost: a\r\n\r \n",
      "GET /app HTTP/1.1\r\r\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1 \r\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1\n\r\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1\r\n\nHost: a\r\n\r\n",
      get("A: b\nContent-Length: 5\r\n"),
      get("A: b\rContent-Length: 5\r\n"),
      get("A: b\n\nGET /app/smuggled HTTP/1.1\r\nHost: a\r\n"),
      get("A: b\n\r\nGET /app/smuggled HTTP/1.1\r\nHost: a\r\n"),
      get("A: b\r\n\nGET /app/smuggled HTTP/1.1\r\nHost: a\r\n"),
      get("A: b\r\r\n\r\nGET /app/smuggled HTTP/1.1\r\nHost: a\r\n"),
      get("A:\n b\r\n"),
      get("A\n: b\r\n"),
      get("A\r: b\r\n"),
      get("A:\rb\r\n"),
      get("\nA: b\r\n"),
      get("\rA: b\r\n"),
      get("A: b\n"),
      get("A: b\r"),
      get("A: b\x85\n"),
      get("Transfer-Encoding: chunked\n"),
      get("Transfer-Encoding: chunked\r"),
      get("Transfer-Encoding:\rchunked\r\n"),
      get("Transfer-Encoding:\nchunked\r\n"),
      get("X: y\rTransfer-Encoding: chunked\r\n"),
      get("X: y\nTransfer-Encoding: chunked\r\n"),
      "\nGET /app HTTP/1.1\r\nHost: a\r\n\r\n",
      "\rGET /app HTTP/1.1\r\nHost: a\r\n\r\n",
      "\r\r\nGET /app HTTP/1.1\r\nHost: a\r\n\r\n",
      "\n\r\nGET /app HTTP/1.1\r\nHost: a\r\n\r\n",
  });
}

TEST_F(HostileRequests, OneEmptyLineBeforeARequestIsSkippedAndNotTwo) {
  expect_forwarded("\r\n" + get(""), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_refused("\r\n\r\n" + get(""));
  expect_refused("\r\n\n" + get(""));
  expect_refused("\r\n " + get(""));
}

TEST_F(HostileRequests, NoControlCharactersInHeads) {
  for (int byte = 0; byte < 256; ++byte) {
    if (!(byte < 0x20 || byte == 0x7f) || byte == '\t' || byte == '\r' || byte == '\n') continue;
    const std::string control(1, static_cast<char>(byte));
    expect_refused(get("A: b" + control + "c\r\n"));
    expect_refused("GET /app" + control + " HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  for (const std::string& control : {"\0"s, "\v"s, "\f"s, "\x1f"s, "\x7f"s}) {
    expect_refused(control + get(""));
    expect_refused("GET" + control + " /app HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_refused("GET" + control + "/app HTTP/1.1\r\nHost: a\r\n\r\n");
    expect_refused("GET /app HTTP/1.1" + control + "\r\nHost: a\r\n\r\n");
    expect_refused(get("A" + control + ": b\r\n"));
    expect_refused(get(control + "A: b\r\n"));
    expect_refused(get("A:" + control + "b\r\n"));
    expect_refused(get("A: b" + control + "\r\n"));
    expect_refused(get("Content-Length: 1" + control + "\r\n"));
    expect_refused(get("Content-Length:" + control + "1\r\n"));
    expect_refused(get("Transfer-Encoding:" + control + "chunked\r\n"));
    expect_refused(get("Transfer-Encoding: chunked" + control + "\r\n"));
    expect_refused("GET /app HTTP/1.1\r\nHost: a" + control + "b\r\n\r\n");
  }
}

TEST_F(HostileRequests, NoFoldedLines) {
  expect_all_refused(std::vector<std::string>{
      get("A: b\r\n c\r\n"),
      get("A: b\r\n\tc\r\n"),
      get("A:\r\n b\r\n"),
      get("A: b\r\n \r\n"),
      get("A: b\r\n\t\r\n"),
      get(" A: b\r\n"),
      get("\tA: b\r\n"),
      get("Transfer-Encoding:\r\n chunked\r\n"),
      get("Transfer-Encoding: chunked\r\n , identity\r\n"),
      get("Transfer-Encoding: chunked\r\n x: y\r\n"),
      get("Content-Length: 1\r\n 0\r\n"),
      get("Content-Length:\r\n 10\r\n"),
      get("X: y\r\n Transfer-Encoding: chunked\r\n"),
      get("X: y\r\n\tContent-Length: 5\r\n"),
      "GET /app HTTP/1.1\r\n Host: a\r\n\r\n",
      "GET /app HTTP/1.1\r\n\tHost: a\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost:\r\n a\r\n\r\n",
      "GET /app\r\n HTTP/1.1\r\nHost: a\r\n\r\n",
      " GET /app HTTP/1.1\r\nHost: a\r\n\r\n",
      "\tGET /app HTTP/1.1\r\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n \r\n",
      "GET /app HTTP/1.1\r\nHost: a\r\n\t\r\n\r\n",
  });
}

TEST_F(HostileRequests, FieldNamesAreTokensUpToTheColon) {
  expect_all_refused(std::vector<std::string>{
      get(": b\r\n"),
      get(":\r\n"),
      get(" : b\r\n"),
      get("A : b\r\n"),
      get("A\t: b\r\n"),
      get("A b: c\r\n"),
      get("A\r\n"),
      get("A b\r\n"),
      get("=\r\n"),
      get("Content-Length : 5\r\n"),
      get("Content-Length\t: 5\r\n"),
      get("Content Length: 5\r\n"),
      get("Transfer-Encoding : chunked\r\n"),
      get("Transfer-Encoding\t: chunked\r\n"),
      get("Transfer Encoding: chunked\r\n"),
      get("Transfer-Encoding\xa0: chunked\r\n"),
      get("Transfer-Encoding\xc2\xa0: chunked\r\n"),
      get("\xef\xbb\xbfTransfer-Encoding: chunked\r\n"),
      get("Transfer\xe2\x80\x90"
          "Encoding: chunked\r\n"),
      get("[Transfer-Encoding]: chunked\r\n"),
      get("\"Transfer-Encoding\": chunked\r\n"),
      get("Transfer-Encoding; chunked\r\n"),
      get("Transfer-Encoding=chunked\r\n"),
      get("Transfer-Encoding chunked\r\n"),
      get("A(b): c\r\n"),
      get("A,B: c\r\n"),
      get("A/B: c\r\n"),
      get("A;B: c\r\n"),
      get("A<B>: c\r\n"),
      get("A=B: c\r\n"),
      get("A?: c\r\n"),
      get("A@B: c\r\n"),
      get("A[1]: c\r\n"),
      get("A\\B: c\r\n"),
      get("A{B}: c\r\n"),
      get("\x80: c\r\n"),
      get("\xff: c\r\n"),
      "GET /app HTTP/1.1\r\nHost : a\r\n\r\n",
      "GET /app HTTP/1.1\r\n: a\r\nHost: a\r\n\r\n",
      "GET /app HTTP/1.1\r\nHost a\r\n\r\n",
      "GET /app HTTP/1.1\r\nGET /app/smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
  });
}

// Request lines ---------------------------------------------------------------------------------------------------

TEST_F(HostileRequests, TheRequestLineHasTwoSingleSpaces) {
  for (const std::string& line : {
           "GET"s,
           "GET "s,
           "GET  "s,
           "GET /app"s,
           "GET /app "s,
           "GET HTTP/1.1"s,
           "GET  HTTP/1.1"s,
           "/app HTTP/1.1"s,
           "GET  /app HTTP/1.1"s,
           "GET /app  HTTP/1.1"s,
           "GET /app HTTP/1.1 "s,
           "GET /app HTTP/1.1 x"s,
           "GET /app HTTP/1.1\t"s,
           "GET\t/app\tHTTP/1.1"s,
           "GET\t/app HTTP/1.1"s,
           "GET /app\tHTTP/1.1"s,
           "GET /app/a b HTTP/1.1"s,
           "GET /app HTTP/1.1 HTTP/1.1"s,
           "GET /app?a b HTTP/1.1"s,
           "GET \t/app HTTP/1.1"s,
           "GET /app\xa0HTTP/1.1"s,
           "GET\xa0/app HTTP/1.1"s,
           "G ET /app HTTP/1.1"s,
           "GET:/app HTTP/1.1"s,
           "GET(x) /app HTTP/1.1"s,
           "G\"T /app HTTP/1.1"s,
           "\xef\xbb\xbfGET /app HTTP/1.1"s,
           "HTTP/1.1 200 OK"s,
           "HTTP/1.1 200"s,
       }) {
    expect_refused(line + "\r\nHost: a\r\n\r\n");
  }
}

TEST_F(HostileRequests, TheVersionIsHttp10OrHttp11) {
  for (const char* version :
       {"HTTP/0.9", "HTTP/1.2", "HTTP/1.9", "HTTP/2.0", "HTTP/2.1", "HTTP/3.0", "HTTP/9.9", "HTTP/0.0"}) {
    expect_refused(fmt::format("GET /app {}\r\nHost: a\r\n\r\n", version), 505);
  }
  for (const char* version :
       {"HTTP/1",    "HTTP/2",    "HTTP/1.",    "HTTP/.1",     "HTTP/1.10", "HTTP/11.1", "HTTP/01.1",
        "HTTP/1.01", "HTTP/1,1",  "HTTP/1.1.1", "HTTP/-1.1",   "HTTP/+1.1", "HTTP/1.x",  "HTTP/x.1",
        "HTTP 1.1",  "HTTP/ 1.1", "HTTP /1.1",  "HTTP/1 .1",   "http/1.1",  "Http/1.1",  "hTTP/1.1",
        "HTTPS/1.1", "XHTTP/1.1", "HTP/1.1",    "HTTP\\1.1",   "HTTP//1.1", "RTSP/1.0",  "ICE/1.0",
        "SIP/2.0",   "HTTP/1.1;", "HTTP/1.1?",  "HTTP/\xb9.1", "FTP"}) {
    expect_refused(fmt::format("GET /app {}\r\nHost: a\r\n\r\n", version));
  }
}

TEST_F(HostileRequests, OtherProtocolsAreRefusedAtOnce) {
  expect_refused("PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", 505);          // nearly HTTP/2's preface
  expect_refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s);  // a TLS ClientHello
  expect_refused("\x80\x2e\x01\x00\x02"s);                          // SSLv2's
  expect_refused("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  expect_refused("PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET /app HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_refused("\r\n\r\n\0\r\nQUIT\n"s);  // PROXY protocol v2
  expect_refused("GET /app\r\n\r\n");       // HTTP/0.9
  expect_refused("EHLO a\r\n\r\n");
  expect_refused("\x00\x00\x12\x04\x00\x00\x00\x00\x00"s);  // an HTTP/2 SETTINGS frame
  expect_refused("<?xml version=\"1.0\"?>\r\n\r\n");
  expect_refused("OPTIONS rtsp://a/app RTSP/1.0\r\nCSeq: 1\r\n\r\n");
}

TEST_F(HostileRequests, ConnectAndTraceAreRefused) {
  for (const char* line :
       {"CONNECT a:443 HTTP/1.1", "CONNECT a HTTP/1.1", "CONNECT /app HTTP/1.1", "CONNECT a:443 HTTP/1.0",
        "CONNECT http://a/ HTTP/1.1", "TRACE /app HTTP/1.1", "TRACE * HTTP/1.1", "TRACE http://a/app HTTP/1.0"}) {
    expect_refused(fmt::format("{}\r\nHost: a\r\n\r\n", line), 405);
  }
  expect_refused("TRACE /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 405);
  expect_refused("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 405);
}

TEST_F(HostileRequests, UnknownMethodsAreNotForwarded) {
  for (const char* method : {"get", "Get", "gET", "GETX", "XGET", "FOO", "G", "GE", "GET'", "post", "hEAD", "DEBUG",
                             "TRACK", "GET!", "PRI", "DESCRIBE", "SETUP", "ANNOUNCE"}) {
    SCOPED_TRACE(method);
    auto client = send(fmt::format("{} /app HTTP/1.1\r\nHost: a\r\n\r\n", method), false);
    // 501 or, for another protocol's, 400.
    EXPECT_TRUE(client->received.starts_with("HTTP/1.1 501 ") || client->received.starts_with("HTTP/1.1 400 "))
        << client->received;
    EXPECT_EQ(backend.bytes, "");
  }
  const std::string very_long(7000, 'A');
  expect_refused(very_long + " /app HTTP/1.1\r\nHost: a\r\n\r\n", 501);
  for (const char* method : {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "REPORT", "PURGE",
                             "SEARCH", "LOCK", "LINK"}) {
    expect_forwarded(fmt::format("{} /app HTTP/1.1\r\nHost: a\r\n\r\n", method),
                     fmt::format("{} / HTTP/1.1\r\nHost: a\r\n\r\n", method));
  }
}

// Limits ----------------------------------------------------------------------------------------------------------

TEST_F(HostileRequests, HeadsAreBounded) {
  const auto line = [](std::size_t bytes) {  // a request line of so many bytes
    return "GET /app/" + std::string(bytes - 18, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  const std::size_t line_max = harness.config.limits.http.request_line_bytes_max;
  auto taken = send(line(line_max), true);
  EXPECT_TRUE(taken->received.starts_with("HTTP/1.1 200 ")) << taken->received;
  expect_refused(line(line_max + 1), 414);
  expect_refused("GET /app/" + std::string(100'000, 'x'), 414);
  expect_refused(std::string(100'000, 'G'), 414);
  expect_refused("GET http://" + std::string(100'000, 'a'), 414);

  std::string fields;
  for (std::size_t i = 0; i < harness.config.limits.http.fields_max - 1; ++i) fields += fmt::format("A{}: b\r\n", i);
  taken = send(get(fields), true);
  EXPECT_TRUE(taken->received.starts_with("HTTP/1.1 200 ")) << taken->received;
  expect_refused(get(fields + "Z: z\r\n"), 431);
  expect_refused(get("A: " + std::string(40'000, 'b') + "\r\n"), 431);
  expect_refused(get(std::string(40'000, 'A') + ": b\r\n"), 431);
  expect_refused(get("A: " + std::string(40'000, ' ') + "b\r\n"), 431);
  expect_refused("GET /app HTTP/1.1\r\nHost: " + std::string(40'000, 'a') + "\r\n\r\n", 431);
}

// What is sent on -------------------------------------------------------------------------------------------------

TEST_F(HostileRequests, FieldsGoOnInOneSpelling) {
  expect_forwarded(
      "GET /app?q HTTP/1.1\r\nACCEPT:*/*\r\nA:   b  \r\nb:\t c\td \t\r\nEmpty:\r\nBlank: \t \r\nHOST:a\r\nC: d,e\r\nC: "
      "f\r\n"
      "Obs: \xe4\xf6\xfc\r\n!#$%&'*+-.^`|~9: token\r\nColons: a:b::\r\n\r\n",
      "GET /?q HTTP/1.1\r\nHost: a\r\nACCEPT: */*\r\nA: b\r\nb: c\td\r\nEmpty: \r\nBlank: \r\nC: d,e\r\nC: f\r\n"
      "Obs: \xe4\xf6\xfc\r\n!#$%&'*+-.^`|~9: token\r\nColons: a:b::\r\n\r\n");
  expect_forwarded("GET /app HTTP/1.0\r\n\r\n",
                   fmt::format("GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", backend.server().port()));
}

TEST_F(HostileRequests, NamesWithUnderscoresAreDropped) {
  expect_forwarded(
      get("Content_Length: 5\r\nTransfer_Encoding: chunked\r\nX_Forwarded_For: 1.2.3.4\r\n_: x\r\nA-_b: c\r\n"
          "Good: 1\r\nHOST_: x\r\n"),
      "GET / HTTP/1.1\r\nHost: a\r\nGood: 1\r\n\r\n");
}

// A CGI program would take it for the environment's HTTP_PROXY (CVE-2016-5385 and its kin).
TEST_F(HostileRequests, AFieldNamedProxyIsDropped) {
  expect_forwarded(get("Proxy: http://evil.test\r\nA: b\r\n"), "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
}

TEST_F(HostileRequests, HopByHopFieldsStayHere) {
  expect_forwarded(get("Connection: keep-alive, X-Named ,,x-also\r\nX-Named: 1\r\nX-Also: 2\r\nX-Also: "
                       "3\r\nKeep-Alive: timeout=5\r\n"
                       "Proxy-Connection: close\r\nTE: trailers, deflate\r\nTrailer: X-Sum\r\nUpgrade: websocket\r\n"
                       "HTTP2-Settings: AAMAAABkAAQAAP__\r\nProxy-Authorization: Basic eA==\r\nKept: 1\r\n"),
                   "GET / HTTP/1.1\r\nHost: a\r\nKept: 1\r\n\r\n");
  expect_forwarded(get("connection: x-one\r\nCONNECTION: X-Two\r\nx-one: 1\r\nX-Two: 2\r\nx-three: 3\r\n"),
                   "GET / HTTP/1.1\r\nHost: a\r\nx-three: 3\r\n\r\n");
}

TEST_F(HostileRequests, ConnectionCannotTakeAwayWhatIsOurs) {
  expect_forwarded(
      "POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close, Host, Content-Length, "
      "Transfer-Encoding, "
      "Expect, Connection\r\n\r\nhello",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  expect_forwarded(
      "POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: Transfer-Encoding, Content-Length, "
      "Host\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  send(get("Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, Forwarded\r\n"
           "X-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n"),
       true);
  for (const char* ours : {"X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-Proto: http\r\n", "X-Forwarded-Host: a\r\n",
                           "X-Forwarded-Port: ", "Forwarded: for=127.0.0.1;proto=http;host=\"a\"\r\n"}) {
    EXPECT_NE(backend.bytes.find(ours), std::string::npos) << backend.bytes;
  }
  EXPECT_EQ(backend.bytes.find("9.9.9.9"), std::string::npos) << backend.bytes;
}

TEST_F(HostileRequests, ForwardedFieldsOfAStrangerAreReplaced) {
  send(get("X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-FORWARDED-FOR: 7.7.7.7\r\nx-forwarded-proto: https\r\n"
           "X-Forwarded-Host: evil.test\r\nX-Forwarded-Port: 1\r\nForwarded: for=9.9.9.9;host=evil.test\r\n"
           "Forwarded: for=8.8.8.8\r\n"),
       true);
  EXPECT_EQ(backend.bytes.find("9.9.9.9"), std::string::npos) << backend.bytes;
  EXPECT_EQ(backend.bytes.find("8.8.8.8"), std::string::npos);
  EXPECT_EQ(backend.bytes.find("7.7.7.7"), std::string::npos);
  EXPECT_EQ(backend.bytes.find("evil"), std::string::npos);
  EXPECT_EQ(backend.bytes.find("https"), std::string::npos);
}

class HostileRequestsBehindAProxy : public HostileTest {
  void configure(Config& config) override {
    config.http.trusted_proxies.push_back({.network = *net::Address::from_ip("127.0.0.0", 0), .prefix_bits = 8});
  }
};

TEST_F(HostileRequestsBehindAProxy, ForwardedFieldsAreExtended) {
  send(get("X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
           "b.test\r\n"
           "X-Forwarded-Port: 444\r\nForwarded: for=9.9.9.9\r\nConnection: X-Forwarded-For\r\n"),
       true);
  for (const char* field : {"X-Forwarded-For: 9.9.9.9, 8.8.8.8, 127.0.0.1\r\n", "X-Forwarded-Proto: https\r\n",
                            "X-Forwarded-Host: b.test\r\n", "X-Forwarded-Port: 444\r\n",
                            "Forwarded: for=9.9.9.9, for=127.0.0.1;proto=http;host=\"a\"\r\n"}) {
    EXPECT_NE(backend.bytes.find(field), std::string::npos) << field << "\n" << backend.bytes;
  }
}

// Two of a kind would be read differently by different programs: only the nearest proxy's word counts.
TEST_F(HostileRequestsBehindAProxy, ContradictionsInForwardedFieldsAreNotPassedOn) {
  send(get("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b.test\r\nX-Forwarded-Host: "
           "c.test\r\n"
           "X-Forwarded-Port: 1\r\nX-Forwarded-Port: 2\r\n"),
       true);
  EXPECT_NE(backend.bytes.find("X-Forwarded-Proto: http\r\n"), std::string::npos) << backend.bytes;
  EXPECT_EQ(backend.bytes.find("b.test"), std::string::npos) << backend.bytes;
  EXPECT_NE(backend.bytes.find("X-Forwarded-Host: c.test\r\n"), std::string::npos) << backend.bytes;
  EXPECT_NE(backend.bytes.find("X-Forwarded-Port: 2\r\n"), std::string::npos) << backend.bytes;
}

// Expect and Upgrade ----------------------------------------------------------------------------------------------

TEST_F(HostileRequests, OnlyOneExpectationIsKnown) {
  for (const char* value : {"100-continue, x", "x", "200-ok", "100-continue-x", "100 continue", "\"100-continue\"",
                            "100-continue;q=1", "x=100-continue", "100"}) {
    expect_refused(fmt::format("PUT /app HTTP/1.1\r\nHost: a\r\nExpect: {}\r\nContent-Length: 1\r\n\r\nx", value), 417);
  }
  expect_refused("PUT /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx",
                 417);
  for (const char* fields :
       {"Expect: 100-continue\r\n", "expect:100-Continue\r\n", "Expect: 100-continue\r\nExpect: 100-continue\r\n"}) {
    expect_forwarded(fmt::format("PUT /app HTTP/1.1\r\nHost: a\r\n{}Content-Length: 1\r\n\r\nx", fields),
                     "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx");
  }
  // HTTP/1.0 has no expectations, and without a body there is nothing to wait for.
  expect_forwarded("PUT /app HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
                   "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
  expect_forwarded(get("Expect: 100-continue\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(HostileRequests, AnUpgradeIsOfferedOnlyWholeAndNeverToAnotherHttp) {
  for (const char* protocol : {"h2c",
                               "H2C",
                               "h2",
                               "HTTP/2.0",
                               "HTTP/1.1",
                               "TLS/1.2",
                               "h2c, websocket",
                               "websocket, h2c",
                               "websocket,h2c",
                               " , h2c",
                               "http/2",
                               "a b",
                               "web socket",
                               "websocket;x",
                               "",
                               ",",
                               "\"websocket\"",
                               "websocket/",
                               "/13",
                               "a/b/c"}) {
    expect_forwarded(
        get(fmt::format("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {}\r\nHTTP2-Settings: AAMAAABk\r\n",
                        protocol)),
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  expect_forwarded(get("Upgrade: websocket\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_forwarded(get("Connection: upgrade\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_forwarded(get("Connection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_forwarded(get("Connection: xupgrade\r\nUpgrade: websocket\r\n"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  expect_forwarded("GET /app HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
                   "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}

TEST_F(HostileRequests, AnUpgradeIsOfferedAsItWasAsked) {
  // The answer is 200: no tunnel, and what follows is read as HTTP.
  auto client = send(get("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n") +
                         "GET /app/next HTTP/1.1\r\nHost: a\r\n\r\n",
                     true);
  EXPECT_EQ(
      forwarded(),
      "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
      "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(backend.requests, 2U);
}

}  // namespace
}  // namespace lotse::proxy::test

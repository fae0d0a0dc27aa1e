// Hostile and ambiguous request targets and Host fields against a running proxy: what is refused, what is normalised,
// and the one Host that goes on (PROXY.md "Posture" 5 and 6).
#include <fmt/format.h>

#include "tests/proxy/hostile.h"

namespace lotse::proxy::test {
namespace {

using std::string_literals::operator""s;

using HostileTargets = HostileTest;

std::string line(std::string_view target, std::string_view host = "app.test") {
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", target, host);
}

TEST_F(HostileTargets, ATargetIsAPathOrAnAbsoluteUrl) {
  for (const std::string& target : {
           "app"s,
           "app/x"s,
           "?q"s,
           "./app"s,
           "../app"s,
           "a:80"s,
           "app.test/app"s,
           "app.test:80/app"s,
           "@app.test/"s,
           ":80/app"s,
           "[::1]/app"s,
           "*"s,
           "*/app"s,
           "/*#"s,
           "**"s,
           "http:"s,
           "http:/"s,
           "http:/app"s,
           "http:app"s,
           "http://"s,
           "http:///"s,
           "http:///app"s,
           "http://?q"s,
           "http://:80/"s,
           "http://@app.test/"s,
           "http://user@app.test/"s,
           "http://user:pass@app.test/app"s,
           "http://app.test:x/"s,
           "http://app.test:65536/"s,
           "http://app.test:99999999999/"s,
           "http://app.test:-1/"s,
           "http://app.test:80:80/"s,
           "http://app.test,b/"s,
           "http://app .test/"s,
           "http://app\\.test/"s,
           "http://app.test\\/x"s,
           "http://[::1/"s,
           "http://::1/"s,
           "http://[::1]x/"s,
           "http://[::g]/"s,
           "http://[v1.x]/"s,
           "http://[fe80::1%25eth0]/"s,
           "http://app%2ftest/"s,
           "http://%61pp.test/"s,
           "http://app..test/"s,
           "http:\\\\app.test\\"s,
           "httpx://app.test/"s,
           "ftp://app.test/"s,
           "ws://app.test/"s,
           "file:///etc/passwd"s,
           "javascript://app.test/"s,
           "://app.test/"s,
           "//app.test"s + "#x",
           "/app#fragment"s,
           "/app?q#fragment"s,
           "/#"s,
           "http://app.test/#x"s,
           "/\xe4"s,
           "/\xc3\xa4"s,
           "/?\xc3\xa4"s,
           "/\xc0\xae\xc0\xae/"s,
           "/\x80"s,
           "/\xff"s,
           "/\x7f"s,
           "\\app"s,
       }) {
    expect_refused(line(target));
  }
  expect_refused("POST * HTTP/1.1\r\nHost: app.test\r\n\r\n");
  expect_refused("HEAD * HTTP/1.1\r\nHost: app.test\r\n\r\n");
}

TEST_F(HostileTargets, APathSaysTheSameToEveryone) {
  for (const std::string& path : {
           "/a%2fb"s,
           "/a%2Fb"s,
           "/%2f"s,
           "/%2F%2e%2e"s,
           "/%5c"s,
           "/%5C.."s,
           "/a%5cb"s,
           "/a\\b"s,
           "/\\"s,
           "/..\\.."s,
           "/%00"s,
           "/a%00b"s,
           "/a%00.html"s,
           "/%"s,
           "/%%"s,
           "/%2"s,
           "/a%"s,
           "/a%4"s,
           "/%zz"s,
           "/%2z"s,
           "/%z2"s,
           "/%u002e"s,
           "/%-1"s,
           "/%+1"s,
           "/% 2"s,
           "/%0x2f"s,
           "/.."s,
           "/../"s,
           "/../x"s,
           "/x/../.."s,
           "/x/../../y"s,
           "/%2e%2e"s,
           "/%2e%2e/x"s,
           "/.%2e/x"s,
           "/%2E./x"s,
           "/%2E%2E/%2E%2E/etc/passwd"s,
           "/./.."s,
           "//.."s,
           "/x//../../.."s,
           "/..;/"s,
           "/x/..;/y"s,
           "/x/..;a=b/y"s,
           "/x/..;"s,
           "/x/.;/y"s,
           "/x/.;a/y"s,
           "/x/%2e%2e;/y"s,
           "/x/.%2e;a/y"s,
           "/x/..%3b/y"s,
           "/x/%2e%2e%3B/y"s,
           "/x/%2e;/y"s,
       }) {
    expect_refused(line(path));
    expect_refused(line("http://app.test" + path));
  }
}

TEST_F(HostileTargets, DotSegmentsAreTakenOutBeforeAnythingIsMatched) {
  struct Case {
    const char *target, *as;
  };
  for (const Case& one : {
           Case{"/x/./y", "/x/y"},
           Case{"/x/../y", "/y"},
           Case{"/x/..", "/"},
           Case{"/x/.", "/x/"},
           Case{"/.", "/"},
           Case{"/./x", "/x"},
           Case{"/x/%2e%2e/y", "/y"},
           Case{"/x/%2E/y", "/x/y"},
           Case{"/x/.%2e/y", "/y"},
           Case{"/x/y/../../z", "/z"},
           Case{"/x//../y", "/y"},
           Case{"/x/../y?a=/../b", "/y?a=/../b"},
           Case{"http://app.test/x/../y", "/y"},
           // These are names, and stay as they are.
           Case{"/...", "/..."},
           Case{"/x/.../y", "/x/.../y"},
           Case{"/.x", "/.x"},
           Case{"/..x", "/..x"},
           Case{"/x..", "/x.."},
           Case{"/x.;/y", "/x.;/y"},
           Case{"/x;a=b/y;..", "/x;a=b/y;.."},
           Case{"/...;/y", "/...;/y"},
           Case{"/.well-known/x", "/.well-known/x"},
           Case{"/%2e%2e%2e", "/%2e%2e%2e"},
           Case{"/%252e%252e/x", "/%252e%252e/x"},
           Case{"/%41%42", "/%41%42"},
           Case{"/a%20b", "/a%20b"},
           Case{"/x?a=%2f&b=%00&c=\\&d=..", "/x?a=%2f&b=%00&c=\\&d=.."},
           Case{"/?", "/?"},
           Case{"/??", "/??"},
           Case{"/x:y@z", "/x:y@z"},
           Case{"/a//b", "/a//b"},
           Case{"/http://evil.test/", "/http://evil.test/"},
       }) {
    expect_forwarded(line(one.target), fmt::format("GET {} HTTP/1.1\r\nHost: app.test\r\n\r\n", one.as));
  }
}

// "//host/x" is a path here and a reference to another host to many URL libraries.
TEST_F(HostileTargets, WhatGoesOnBeginsWithOneSlash) {
  struct Case {
    const char *target, *host, *as;
  };
  for (const Case& one : {
           Case{"//evil.test", "app.test", "/evil.test"},
           Case{"//evil.test/x", "app.test", "/evil.test/x"},
           Case{"///x", "app.test", "/x"},
           Case{"//", "app.test", "/"},
           Case{"//?q", "app.test", "/?q"},
           Case{"http://app.test//evil.test/x", "app.test", "/evil.test/x"},
           Case{"/app//evil.test/x", "b", "/evil.test/x"},
           Case{"/app//", "b", "/"},
           Case{"//app/x", "b", "/x"},
           Case{"/app/", "b", "/"},
           Case{"/app", "b", "/"},
           Case{"/app?q", "b", "/?q"},
           Case{"http://b?q", "app.test", "404"},
           Case{"http://app.test?q", "b", "/?q"},
           Case{"http://app.test", "b", "/"},
       }) {
    if (one.as == "404"s) {
      EXPECT_TRUE(send(line(one.target, one.host), true)->received.starts_with("HTTP/1.1 404 "));
      continue;
    }
    const bool is_absolute = std::string_view(one.target).starts_with("http:");
    expect_forwarded(line(one.target, one.host),
                     fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", one.as, is_absolute ? "app.test" : one.host));
  }
}

TEST_F(HostileTargets, TheAsteriskIsForOptions) {
  expect_forwarded("OPTIONS * HTTP/1.1\r\nHost: app.test\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: app.test\r\n\r\n");
  expect_forwarded("OPTIONS http://app.test HTTP/1.1\r\nHost: b\r\n\r\n",
                   "OPTIONS * HTTP/1.1\r\nHost: app.test\r\n\r\n");
}

// Host ------------------------------------------------------------------------------------------------------------

TEST_F(HostileTargets, HostComesExactlyOnce) {
  for (const char* target : {"/app", "http://app.test/app"}) {
    for (const char* hosts : {"", "Host: a\r\nHost: a\r\n", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: b\r\n",
                              "Host: a\r\nX: y\r\nHOST: a\r\n", "Host:\r\nHost: a\r\n", "Host: a\r\nHost:\r\n",
                              "Host: a\r\nHost: a\r\nHost: a\r\n"}) {
      expect_refused(fmt::format("GET {} HTTP/1.1\r\n{}\r\n", target, hosts));
    }
    expect_refused(fmt::format("GET {} HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", target));
    expect_refused(fmt::format("GET {} HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", target));
  }
}

TEST_F(HostileTargets, HostIsANameOrAnAddressAndAPort) {
  for (const std::string& host : {
           ""s,
           " "s,
           ":"s,
           ":80"s,
           "a b"s,
           "a\tb"s,
           "a,b"s,
           "a, b"s,
           "a;b"s,
           "a/"s,
           "a/b"s,
           "/a"s,
           "//a"s,
           "a?b"s,
           "a#b"s,
           "a\\b"s,
           "user@a"s,
           "user:x@a"s,
           "@a"s,
           "a@"s,
           "a:b"s,
           "a:80b"s,
           "a:-1"s,
           "a:+80"s,
           "a: 80"s,
           "a :80"s,
           "a:0x50"s,
           "a:65536"s,
           "a:99999"s,
           "a:100000"s,
           "a:080000"s,
           "a:80:80"s,
           "a::80"s,
           "a:80,b"s,
           "http://a"s,
           "http://a/"s,
           "a:80/"s,
           "a:80@b"s,
           "[::1"s,
           "::1"s,
           "[]"s,
           "[::1]x"s,
           "[::1]80"s,
           "[::1]:x"s,
           "[::g]"s,
           "[1.2.3.4]"s,
           "[::1%eth0]"s,
           "[::1%25eth0]"s,
           "[v1.a]"s,
           "[:::1]"s,
           "[::1]:65536"s,
           "x[::1]"s,
           "[[::1]]"s,
           "[1:2:3:4:5:6:7:8:9]"s,
           "%"s,
           "%4"s,
           "%41"s,
           "a%2fb"s,
           "a%00"s,
           "a%0d%0ab"s,
           "%zz"s,
           "a..b"s,
           ".a"s,
           "."s,
           ".."s,
           "a.."s,
           "<a>"s,
           "{a}"s,
           "a|b"s,
           "a^b"s,
           "a`b"s,
           "\"a\""s,
           "'a'"s,
           "a\"b"s,
           "a'b"s,
           "a!b"s,
           "a$b"s,
           "a&b"s,
           "a(b)"s,
           "a*b"s,
           "*.test"s,
           "a+b"s,
           "a=b"s,
           "\xc3\xa4"s,
           "a\xff"s,
           "\xe2\x80\x8b"
           "a"s,
           "a\x7f"s,
       }) {
    expect_refused(fmt::format("GET /app HTTP/1.1\r\nHost: {}\r\n\r\n", host));
  }
}

TEST_F(HostileTargets, ExactlyOneHostGoesOn) {
  for (const char* host : {"a",
                           "A.Example",
                           "a-b.c_d",
                           "a.",
                           "xn--bcher-kva.example",
                           "127.0.0.1",
                           "127.0.0.1:8080",
                           "a:80",
                           "a:0",
                           "a:65535",
                           "a:",
                           "[::1]",
                           "[::1]:80",
                           "[2001:DB8::a:1]",
                           "[::ffff:1.2.3.4]",
                           "1",
                           "_x",
                           "a~b",
                           "-a",
                           "0"}) {
    expect_forwarded(fmt::format("GET /app HTTP/1.1\r\nhOST:\t {} \r\n\r\n", host),
                     fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host));
    expect_forwarded(fmt::format("GET HTTP://{}/app HTTP/1.1\r\nHost: other.test:1\r\n\r\n", host),
                     fmt::format("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", host));
  }
  expect_forwarded("GET https://a:444/app HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: a:444\r\n\r\n");
  EXPECT_NE(backend.bytes.find("\r\nX-Forwarded-Host: a:444\r\n"), std::string::npos) << backend.bytes;
}

}  // namespace
}  // namespace lotse::proxy::test

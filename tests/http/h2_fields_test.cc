#include "http/h2_fields.h"

#include <gtest/gtest.h>

#include "tests/http/h2_frames.h"

namespace lotse::http {
namespace {

using h2::Fields;
using h2::get;

struct Read {
  ParseError error;
  RequestHead head;
};

class H2Fields : public ::testing::Test {
 protected:
  std::span<const Field> fields_of(const Fields& fields) {
    kept_ = fields;
    views_.clear();
    for (const auto& [name, value] : kept_) views_.push_back({name, value});
    return views_;
  }
  Read request(const Fields& fields, bool ends = true) {
    Read read;
    read.error = reader_.read_request(fields_of(fields), ends, Limits{}, read.head);
    return read;
  }
  int status(const Fields& fields, bool ends = true) { return request(fields, ends).error.status; }
  int response(const Fields& fields, bool ends = true, Method asked = Method::get) {
    return reader_.read_response(fields_of(fields), ends, asked, response_).status;
  }

  Fields kept_;
  std::vector<Field> views_;
  H2HeadReader reader_;
  ResponseHead response_;
};

TEST_F(H2Fields, ARequestIsReadAsHttp1WouldHaveIt) {
  Read read = request(get("/a/b?x=1") + Fields{{"accept", "*/*"}, {"x-empty", ""}});
  ASSERT_FALSE(read.error) << read.error.reason;
  EXPECT_EQ(read.head.method, Method::get);
  EXPECT_EQ(read.head.path, "/a/b");
  EXPECT_EQ(read.head.query, "x=1");
  EXPECT_EQ(read.head.authority, "a.test");
  EXPECT_EQ(read.head.major_version, 2);
  EXPECT_EQ(read.head.fields.size(), 2u);
  EXPECT_FALSE(read.head.has_body());
}

TEST_F(H2Fields, ABodyHasTheLengthItSaysOrNone) {
  EXPECT_TRUE(request(get("/", "POST"), false).head.is_chunked);
  Read read = request(get("/", "POST") + Fields{{"content-length", "7"}}, false);
  EXPECT_EQ(read.head.content_length, 7u);
  EXPECT_FALSE(read.head.is_chunked);
}

TEST_F(H2Fields, CookieCrumbsAreJoinedInOneLine) {
  Read read = request(get() + Fields{{"cookie", "a=1"}, {"accept", "*/*"}, {"cookie", "b=2"}, {"cookie", "c=3"}});
  ASSERT_FALSE(read.error);
  ASSERT_EQ(read.head.fields.size(), 2u);
  EXPECT_EQ(read.head.fields[0].value, "a=1; b=2; c=3");
}

TEST_F(H2Fields, HostStandsInForAuthorityAndMustAgreeWithIt) {
  const Fields without{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}};
  EXPECT_EQ(request(without + Fields{{"host", "b.test:81"}}).head.authority, "b.test:81");
  EXPECT_EQ(status(get() + Fields{{"host", "A.test"}}), 0);
  EXPECT_EQ(status(get() + Fields{{"host", "b.test"}}), kH2Malformed);
  EXPECT_EQ(status(get() + Fields{{"host", "a.test"}, {"host", "a.test"}}), kH2Malformed);
  EXPECT_EQ(status(without), kH2Malformed);
}

TEST_F(H2Fields, MalformedRequestsAreRefused) {
  const Fields rest{{":scheme", "http"}, {":authority", "a.test"}};
  const Fields post = get("/", "POST");
  const struct {
    const char* what;
    Fields fields;
  } kCases[] = {
      {"no method", rest + Fields{{":path", "/"}}},
      {"empty method", Fields{{":method", ""}, {":path", "/"}} + rest},
      {"method is no token", get("/", "GE T")},
      {"method with CR LF", get("/", "GET / HTTP/1.1\r\nx:")},
      {"no scheme", {{":method", "GET"}, {":path", "/"}, {":authority", "a.test"}}},
      {"unknown scheme", {{":method", "GET"}, {":path", "/"}, {":scheme", "ftp"}, {":authority", "a.test"}}},
      {"no path", Fields{{":method", "GET"}} + rest},
      {"empty path", get("")},
      {"path without a slash", get("x")},
      {"absolute path", get("http://b.test/")},
      {"path with a space", get("/a b")},
      {"path with CR LF", get("/ HTTP/1.1\r\nhost: b.test\r\n")},
      {"path with NUL", get(std::string_view("/\0", 2))},
      {"path with a fragment", get("/#x")},
      {"path beyond ASCII", get("/\xc3\xa9")},
      {"* without OPTIONS", get("*")},
      {"empty authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", ""}}},
      {"authority with a user", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "u@a.test"}}},
      {"authority with a path", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a.test/x"}}},
      {"unknown pseudo-field", Fields{{":unknown", "1"}} + get()},
      {"a response's pseudo-field", Fields{{":status", "200"}} + get()},
      {"method twice", Fields{{":method", "GET"}} + get()},
      {"path twice", Fields{{":path", "/"}} + get()},
      {"authority twice", get() + Fields{{":authority", "a.test"}}},
      {"pseudo-field behind a field",
       {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"accept", "*"}, {":authority", "a.test"}}},
      {":protocol without CONNECT", get() + Fields{{":protocol", "websocket"}}},
      {"empty name", get() + Fields{{"", "x"}}},
      {"capital letter", get() + Fields{{"X-a", "x"}}},
      {"space in a name", get() + Fields{{"x a", "x"}}},
      {"colon in a name", get() + Fields{{"x:a", "x"}}},
      {"CR LF in a name", get() + Fields{{"x\r\ny", "x"}}},
      {"LF in a value", get() + Fields{{"x", "a\nb"}}},
      {"CR in a value", get() + Fields{{"x", "a\rb"}}},
      {"NUL in a value", get() + Fields{{"x", std::string("a\0b", 3)}}},
      {"a control character in a value", get() + Fields{{"x", "a\x01"}}},
      {"DEL in a value", get() + Fields{{"x", "a\x7f"}}},
      {"leading space", get() + Fields{{"x", " a"}}},
      {"trailing tab", get() + Fields{{"x", "a\t"}}},
      {"a value that is a space", get() + Fields{{"x", " "}}},
      {"connection", get() + Fields{{"connection", "close"}}},
      {"keep-alive", get() + Fields{{"keep-alive", "timeout=1"}}},
      {"proxy-connection", get() + Fields{{"proxy-connection", "close"}}},
      {"transfer-encoding", post + Fields{{"transfer-encoding", "chunked"}}},
      {"upgrade", get() + Fields{{"upgrade", "websocket"}}},
      {"http2-settings", get() + Fields{{"http2-settings", "AAMAAABk"}}},
      {"te: gzip", get() + Fields{{"te", "gzip"}}},
      {"te: trailers, gzip", get() + Fields{{"te", "trailers, gzip"}}},
      {"content-length twice", post + Fields{{"content-length", "1"}, {"content-length", "1"}}},
      {"content-length list", post + Fields{{"content-length", "1, 1"}}},
      {"content-length sign", post + Fields{{"content-length", "+1"}}},
      {"content-length empty", post + Fields{{"content-length", ""}}},
      {"content-length too large", post + Fields{{"content-length", "9223372036854775808"}}},
      {"content-length without a body", post + Fields{{"content-length", "1"}}},
      {"CONNECT with a path", {{":method", "CONNECT"}, {":authority", "a.test:1"}, {":path", "/"}}},
      {"CONNECT with a scheme", {{":method", "CONNECT"}, {":authority", "a.test:1"}, {":scheme", "http"}}},
      {"CONNECT without authority", {{":method", "CONNECT"}}},
      {"extended CONNECT without path",
       {{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "http"}, {":authority", "a.test"}}},
  };
  for (const auto& one : kCases) EXPECT_EQ(status(one.fields), kH2Malformed) << one.what;
}

TEST_F(H2Fields, WhatIsWellFormedButNotTakenGetsAnAnswer) {
  EXPECT_EQ(status({{":method", "CONNECT"}, {":authority", "a.test:443"}}, false), 405);
  EXPECT_EQ(status(get("/", "TRACE")), 405);
  EXPECT_EQ(status(get("/" + std::string(9000, 'x'))), 414);
  EXPECT_EQ(status(get() + Fields{{"expect", "a-miracle"}}), 417);
  EXPECT_EQ(status(get("/", "CONNECT") + Fields{{":protocol", "connect-udp"}}, false), 501);
}

TEST_F(H2Fields, WhatIsRightIsTaken) {
  EXPECT_EQ(status(get("*", "OPTIONS")), 0);
  EXPECT_EQ(status(get() + Fields{{"te", "trailers"}}), 0);
  EXPECT_EQ(status(get() + Fields{{"x", "a\tb \xc3\xa9"}}), 0);
  EXPECT_EQ(status(get() + Fields{{"content-length", "0"}}), 0);
  EXPECT_EQ(status(get("/", "BREW")), 0);
  EXPECT_TRUE(request(get("/", "PUT") + Fields{{"expect", "100-continue"}}, false).head.expects_continue);
}

TEST_F(H2Fields, AnExtendedConnectBecomesAnUpgrade) {
  Read read =
      request(get("/chat", "CONNECT") + Fields{{":protocol", "websocket"}, {"sec-websocket-version", "13"}}, false);
  ASSERT_FALSE(read.error) << read.error.reason;
  EXPECT_EQ(read.head.method_text, "GET");
  EXPECT_EQ(read.head.upgrade, "websocket");
  EXPECT_FALSE(read.head.has_body());
}

TEST_F(H2Fields, AnswersAreRead) {
  EXPECT_EQ(response({{":status", "200"}, {"content-length", "3"}}, false), 0);
  EXPECT_EQ(response_.content_length, 3u);
  EXPECT_EQ(response({{":status", "200"}}, false), 0);
  EXPECT_TRUE(response_.is_chunked);
  EXPECT_EQ(response({{":status", "200"}, {"content-length", "3"}}, true, Method::head), 0);
  EXPECT_TRUE(response_.is_bodiless);
  EXPECT_EQ(response({{":status", "103"}}, false), 0);
}

TEST_F(H2Fields, MalformedAnswersAreRefused) {
  EXPECT_EQ(response({}), kH2Malformed);
  EXPECT_EQ(response({{"a", "b"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "20"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "2x0"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "099"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "101"}}, false), kH2Malformed);
  EXPECT_EQ(response({{":status", "103"}}, true), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {":status", "200"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {":path", "/"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {"connection", "close"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {"te", "trailers"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {"x", "a\nb"}}), kH2Malformed);
  EXPECT_EQ(response({{":status", "200"}, {"content-length", "3"}}, true), kH2Malformed);
}

TEST_F(H2Fields, TrailersHoldNoPseudoFieldsAndNothingOfTheConnection) {
  std::span<const Field> trailers;
  EXPECT_FALSE(reader_.read_trailers(fields_of({{"a", "b"}}), trailers));
  EXPECT_EQ(trailers.size(), 1u);
  EXPECT_TRUE(reader_.read_trailers(fields_of({{":path", "/"}}), trailers));
  EXPECT_TRUE(reader_.read_trailers(fields_of({{"connection", "close"}}), trailers));
  EXPECT_TRUE(reader_.read_trailers(fields_of({{"A", "b"}}), trailers));
}

}  // namespace
}  // namespace lotse::http

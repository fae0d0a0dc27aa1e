#include "http/url.h"

#include <gtest/gtest.h>

#include "http/message.h"

namespace lotse::http {
namespace {

TEST(Url, ReadsHttpAndUnix) {
  const auto plain = parse_url("http://scheduler:8080/v2/apps?x=1#f");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->endpoint, (Endpoint{.host = "scheduler", .port = 8080}));
  EXPECT_EQ(plain->target, "/v2/apps?x=1");
  EXPECT_EQ(parse_url("http://a")->endpoint.authority(), "a");
  EXPECT_EQ(parse_url("http://a")->target, "/");
  EXPECT_EQ(parse_url("http://a?x")->target, "/?x");
  EXPECT_EQ(parse_url("http://a:/x")->endpoint.port, 80);
  const auto six = parse_url("http://[::1]:81/");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->endpoint.host, "::1");
  EXPECT_EQ(six->endpoint.authority(), "[::1]:81");
  const auto path = parse_url("unix:/var/run/docker.sock");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->endpoint.unix_path, "/var/run/docker.sock");
  EXPECT_EQ(path->endpoint.authority(), "localhost");
}

TEST(Url, RefusesTheRestWithAReason) {
  for (const std::string_view bad :
       {"", "a", "https://a", "ftp://a", "http://", "http:///x", "http://a:99999", "http://a:0", "http://u@a",
        "http://a b", "http://a\r\n", "unix:", "unix:relative", "http://[::1"}) {
    const auto url = parse_url(bad);
    ASSERT_FALSE(url) << bad;
    EXPECT_FALSE(url.error().what.empty());
  }
}

TEST(Url, PercentDecodesAndEncodes) {
  EXPECT_EQ(percent_decode("a%2Fb%20c+d"), "a/b c+d");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
  for (const std::string_view bad : {"%", "%2", "%zz", "a%2g", "%%41"})
    EXPECT_EQ(percent_decode(bad), std::nullopt) << bad;
  EXPECT_EQ(percent_encode("/a b~-._\xff"), "%2Fa%20b~-._%FF");
}

TEST(Url, ReadsQueries) {
  using Parameters = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(parse_query("a=1&b&&c=%20+x&a=2&=v&d=e=f&g=%zz"),
            (Parameters{{"a", "1"}, {"b", ""}, {"c", "  x"}, {"a", "2"}, {"", "v"}, {"d", "e=f"}, {"g", "%zz"}}));
  EXPECT_TRUE(parse_query("").empty());
}

TEST(Url, KnowsTheHostOfAnAuthority) {
  EXPECT_EQ(host_of("a:80"), "a");
  EXPECT_EQ(host_of("a"), "a");
  EXPECT_EQ(host_of("[::1]:80"), "[::1]");
  EXPECT_EQ(host_of("[::1]"), "[::1]");
}

TEST(Url, AcceptsOnlyPathsThatEveryoneReadsAlike) {
  for (const std::string_view good :
       {"/", "/a/b", "/a%20b", "/%41", "/a//b", "/..", "/~x;y=1,@:!$&'()*+", "/...;x", "/a.;x"}) {
    EXPECT_TRUE(is_acceptable_path(good)) << good;
  }
  for (const std::string_view bad : {"/a%2fb", "/a%2Fb", "/a%00", "/a%5c", "/a%5Cb", "/a\\b", "/%", "/%4", "/%zz",
                                     "/a b", "/\x01", "/\x7f", "/\x80", "/..;x", "/a/.;", "/a/%2e.%3b/b"}) {
    EXPECT_FALSE(is_acceptable_path(bad)) << bad;
  }
}

TEST(Url, NormalisesPathsForMatching) {
  struct Case {
    std::string_view path, expected;
  };
  const Case kCases[] = {
      {"/", "/"},
      {"/a/b", "/a/b"},
      {"/a/", "/a/"},
      {"//a///b//", "/a/b/"},
      {"/./a/./b/.", "/a/b/"},
      {"/a/../b", "/b"},
      {"/a/b/..", "/a/"},
      {"/a/..", "/"},
      {"/a/b/../../c", "/c"},
      {"/a/%2e%2E/b", "/b"},
      {"/%61pi", "/api"},
      {"/a%2fb%3a", "/a%2Fb%3A"},
      {"/.a/..b/...", "/.a/..b/..."},
      {"/a%zz", "/a%zz"},
      {"*", "*"},
      {"/a//../b", "/b"},
      {"/.", "/"},
      {"//", "/"},
  };
  std::string buffer = "left over";
  for (const Case& one : kCases) EXPECT_EQ(normalise_path(one.path, buffer), one.expected) << one.path;
  for (const std::string_view above : {"/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e", "//..", "/./.."}) {
    EXPECT_EQ(normalise_path(above, buffer), std::nullopt) << above;
  }
  const std::string_view normal = "/already/normal";
  EXPECT_EQ(normalise_path(normal, buffer)->data(), normal.data());  // no copy
}

TEST(Message, FindsTokensInLists) {
  EXPECT_TRUE(list_has_token("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(list_has_token(" close ", "close"));
  EXPECT_FALSE(list_has_token("closed", "close"));
  EXPECT_FALSE(list_has_token("", "close"));
  EXPECT_TRUE(list_has_token(",,x", "x"));
}

TEST(Message, KnowsMethods) {
  EXPECT_EQ(method_from("GET"), Method::get);
  EXPECT_EQ(method_from("get"), Method::other);
  EXPECT_EQ(method_from("PURGE"), Method::other);
  EXPECT_TRUE(is_idempotent(Method::del));
  EXPECT_FALSE(is_idempotent(Method::post));
  EXPECT_FALSE(is_idempotent(Method::other));
}

}  // namespace
}  // namespace lotse::http

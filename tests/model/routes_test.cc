#include "model/routes.h"

#include <gtest/gtest.h>

namespace lotse::model {
namespace {

Endpoint full_endpoint() {
  return Endpoint{.app = "/shop/api",
                  .port = 1,
                  .port_name = "admin",
                  .is_default = true,
                  .is_udp = true,
                  .task = "shop_api.instance-1._app.1",
                  .version = "2015-08-26T20:23:39.463Z",
                  .host = "10.0.0.1",
                  .host_port = 31000,
                  .state = EndpointState::draining,
                  .weight = 50,
                  .zone = "a",
                  .agent = "10.0.0.1:5051",
                  .labels = {{"lotse.host", "x\"y"}}};
}

Endpoint plain_endpoint() { return Endpoint{.app = "/a", .task = "t", .host = "::1", .host_port = 65535}; }

TEST(RoutesJson, LeavesOutWhatIsAtItsDefault) {
  EXPECT_EQ(serialize(plain_endpoint()), R"({"app":"/a","task":"t","host":"::1","hostPort":65535})");
  EXPECT_EQ(serialize(RouteUpdate{.term = 7, .from = 1, .to = 2}), R"({"term":7,"from":1,"to":2})");
}

TEST(RoutesJson, IsOneLine) {
  Endpoint endpoint = full_endpoint();
  endpoint.labels["lotse.note"] = "two\nlines\r";
  EXPECT_EQ(serialize(endpoint).find_first_of("\r\n"), std::string::npos);
}

TEST(RoutesJson, ComesBackTheSame) {
  for (const Endpoint& endpoint : {full_endpoint(), plain_endpoint()}) {
    EXPECT_EQ(*parse_endpoint(serialize(endpoint)), endpoint);
  }
  RouteUpdate update{.term = ~0ULL, .from = 1, .to = 2, .set = {full_endpoint(), plain_endpoint()}};
  update.gone = {{"a", GoneWhy::asked}, {"b", GoneWhy::lost}};
  EXPECT_EQ(*parse_route_update(serialize(update)), update);
  SnapshotChunk chunk{.term = 7, .revision = 9, .index = 3, .last = true, .set = {plain_endpoint()}};
  EXPECT_EQ(*parse_snapshot_chunk(serialize(chunk)), chunk);
  ProxyReport report{.boot = "b",
                     .term = 7,
                     .applied = {7, 1234},
                     .pending = {"t"},
                     .draining = {{"u", 3}},
                     .address = "10.0.0.2:80",
                     .requests_per_second = 12.5};
  EXPECT_EQ(*parse_proxy_report(serialize(report)), report);
  auto answer =
      parse_proxy_report_answer(serialize(ProxyReportAnswer{.term = 7, .cluster = "c", .lease_seconds = 2.5}));
  EXPECT_EQ(answer->cluster, "c");
  EXPECT_EQ(answer->lease_seconds, 2.5);
}

TEST(RoutesJson, NamesTheMemberThatIsWrong) {
  struct Case {
    const char *json, *problem;
  };
  const std::string end = R"("app":"/a","task":"t","host":"h")";
  for (const auto& [set, problem] : std::initializer_list<std::pair<std::string, const char*>>{
           {"{" + end + R"(,"hostPort":0})", "set[1].hostPort: expected a number in 1..65535"},
           {"{" + end + R"(,"hostPort":"1"})", "set[1].hostPort: expected a number in 1..65535"},
           {"{" + end + "}", "set[1].hostPort: missing"},
           {"{" + end + R"(,"hostPort":1,"state":"gone"})", "set[1].state: expected up, down or draining"},
           {"{" + end + R"(,"hostPort":1,"weight":1001})", "set[1].weight: expected a number in 0..1000"},
           {"{" + end + R"(,"hostPort":1,"labels":{"a":1}})", "set[1].labels.a: expected a string"},
           {"{" + end + R"(,"hostPort":1,"default":1})", "set[1].default: expected true or false"},
           {"3", "set[1]: expected an object"},
           {"null", "set[1]: expected an object"}}) {
    std::string first = serialize(plain_endpoint());
    auto update = parse_route_update(R"({"term":1,"from":1,"to":2,"set":[)" + first + "," + set + "]}");
    ASSERT_FALSE(update) << set;
    EXPECT_EQ(update.error().text(), problem);
  }
  for (const Case& each :
       {Case{"[]", "expected an object"},
        {"{}", "term: missing"},
        {R"({"term":-1})", "term: expected a whole number that is not negative"},
        {R"({"term":1,"from":1,"to":2,"set":{}})", "set: expected a list"},
        {R"({"term":1,"from":1,"to":2,"gone":[{"task":"t","why":"no"}]})", "gone[0].why: expected asked or lost"}}) {
    EXPECT_EQ(parse_route_update(each.json).error().text(), each.problem);
  }
  EXPECT_EQ(parse_proxy_report(R"({"boot":"b","term":1,"applied":"7"})").error().text(),
            "applied: expected <epoch>-<revision>");
}

TEST(RoutesJson, TakesThreePointZeroForThree) {
  EXPECT_EQ(parse_endpoint(R"({"app":"/a","task":"t","host":"h","hostPort":80.0})")->host_port, 80);
}

TEST(Revision, IsReadStrictly) {
  EXPECT_EQ(to_string(Revision{7, 1234}), "7-1234");
  EXPECT_EQ(parse_revision("7-1234"), (Revision{7, 1234}));
  for (const char* text : {"", "-", "7", "7-", "-7", "7-1 ", " 7-1", "7--1", "+7-1", "a-b", "18446744073709551616-0"}) {
    EXPECT_EQ(parse_revision(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace lotse::model

#include "scheduler/server/app_path.h"

#include <gtest/gtest.h>

namespace lotse::scheduler {

void PrintTo(const AppPath& path, std::ostream* out) {
  *out << static_cast<int>(path.kind) << " " << path.id << " " << path.item;
}

namespace {

struct Case {
  const char* rest;
  AppPath expected;
};

TEST(AppPath, TellsTheIdFromTheSuffix) {
  using Kind = AppPathKind;
  const Case cases[] = {
      {"", {Kind::all, "", ""}},
      {"/", {Kind::all, "", ""}},
      {"web", {Kind::app, "/web", ""}},
      {"/web", {Kind::app, "/web", ""}},
      {"//web", {Kind::app, "/web", ""}},
      {"web/", {Kind::app, "/web", ""}},
      {"shop/api", {Kind::app, "/shop/api", ""}},
      {"//shop//api//", {Kind::app, "/shop/api", ""}},
      {"shop/api/tasks", {Kind::tasks, "/shop/api", ""}},
      {"/shop/api/tasks/", {Kind::tasks, "/shop/api", ""}},
      {"tasks", {Kind::app, "/tasks", ""}},
      {"restart", {Kind::app, "/restart", ""}},
      {"versions", {Kind::app, "/versions", ""}},
      {"web/restart", {Kind::restart, "/web", ""}},
      {"web/versions", {Kind::versions, "/web", ""}},
      {"web/versions/2015-08-26T20:23:39.463Z", {Kind::version, "/web", "2015-08-26T20:23:39.463Z"}},
      {"shop/api/tasks/shop_api.instance-1._app.1", {Kind::task, "/shop/api", "shop_api.instance-1._app.1"}},
      {"tasks/tasks", {Kind::tasks, "/tasks", ""}},
      {"tasks/x", {Kind::app, "/tasks/x", ""}},
      {"*", {Kind::below, "/", ""}},
      {"shop/*", {Kind::below, "/shop", ""}},
      {"shop/*/tasks", {Kind::below_tasks, "/shop", ""}},
      {"*/tasks", {Kind::below_tasks, "/", ""}},
      {"shop/tasks/restart", {Kind::restart, "/shop/tasks", ""}},
  };
  for (const Case& each : cases) EXPECT_EQ(parse_app_path(each.rest), each.expected) << each.rest;
}

TEST(AppPath, FindsTheAppWhoseDelayIsReset) {
  EXPECT_EQ(parse_queue_delay_path("/shop/api/delay"), "/shop/api");
  EXPECT_EQ(parse_queue_delay_path("web//delay/"), "/web");
  EXPECT_EQ(parse_queue_delay_path("delay"), std::nullopt);
  EXPECT_EQ(parse_queue_delay_path("web"), std::nullopt);
  EXPECT_EQ(parse_queue_delay_path(""), std::nullopt);
}

}  // namespace
}  // namespace lotse::scheduler

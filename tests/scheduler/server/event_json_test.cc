#include "scheduler/server/event_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace lotse::scheduler {
namespace {

TEST(EventJson, AGroupChangeNamesTheGroupItWasGiven) {
  Emit event;
  event.type = "group_change_success";
  event.app = "/shop";  // of the app /shop/web
  event.version = "2026-01-01T00:00:00.000Z";
  const nlohmann::json json = event_json(event, WallTime{});
  EXPECT_EQ(json["groupId"], "/shop");
  EXPECT_EQ(json["version"], "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(json["timestamp"], "1970-01-01T00:00:00.000Z");
}

}  // namespace
}  // namespace lotse::scheduler

#include "model/task.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/api_error.h"

namespace lotse::model {
namespace {

TEST(TaskState, HasTwoNamesThatBothLeadBack) {
  for (int each = 0; each <= static_cast<int>(TaskState::lost); ++each) {
    auto state = static_cast<TaskState>(each);
    EXPECT_EQ(task_state_from(to_string(state)), state);
    EXPECT_EQ(task_state_from(to_marathon(state)), state);
    EXPECT_EQ(is_terminal(state), state >= TaskState::finished);
  }
  EXPECT_EQ(to_marathon(TaskState::killing), "TASK_KILLING");
  EXPECT_EQ(task_state_from("TASK_GONE"), std::nullopt);
  EXPECT_EQ(task_state_from(""), std::nullopt);
}

TEST(HealthResult, SaysNullForWhatNeverWas) {
  HealthResult result{.alive = true, .consecutive_failures = 2, .first_success = "2015-08-26T20:23:39.463Z"};
  nlohmann::json json = to_json(result, "a.instance-1");
  EXPECT_EQ(json["alive"], true);
  EXPECT_EQ(json["consecutiveFailures"], 2);
  EXPECT_EQ(json["firstSuccess"], "2015-08-26T20:23:39.463Z");
  EXPECT_TRUE(json["lastFailure"].is_null());
  EXPECT_EQ(json["instanceId"], "a.instance-1");
}

TEST(ApiError, HasMarathonsShapes) {
  EXPECT_EQ(to_json(ApiError{.status = 404, .message = "App '/x' does not exist"}),
            R"({"message":"App '/x' does not exist"})");
  EXPECT_EQ(to_json(ApiError{.status = 400, .message = "Invalid JSON", .detail_text = "line 1"}),
            R"({"message":"Invalid JSON","details":"line 1"})");
  EXPECT_EQ(
      to_json(ApiError{.message = "Object is not valid", .details = {{"/id", {"a", "b"}}, {"/", {"c"}}}}),
      R"({"message":"Object is not valid","details":[{"path":"/id","errors":["a","b"]},{"path":"/","errors":["c"]}]})");
  EXPECT_EQ(to_json(ApiError{.status = 409, .message = "App is locked", .deployments = {"d1"}}),
            R"({"message":"App is locked","deployments":[{"id":"d1"}]})");
}

}  // namespace
}  // namespace lotse::model

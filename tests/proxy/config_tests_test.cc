#include "proxy/config_tests.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "proxy/config_check.h"
#include "proxy/config_json.h"
#include "proxy/config_parser.h"

namespace lotse::proxy {
namespace {

constexpr const char* kConfig = R"(version: 1
listeners: [{name: web, address: "0.0.0.0:80"}, {name: inside, address: "127.0.0.1:81"}]
routes:
  - {match: {host: shop.example.com, path: /api}, to: [/shop/api, /shop/api-v2, {app: /off, weight: 0}]}
  - {match: {path: /admin, listeners: [inside]}, to: /admin}
expose: {host: "{app}.apps.example.com", path: true}
tests:
)";

std::vector<bool> verdicts(const std::string& tests) {
  ParsedConfig parsed = parse_config(kConfig + tests, "lb.yaml");
  std::vector<bool> passed;
  if (!parsed.config) return passed;
  for (const ConfigTestResult& result : run_config_tests(*parsed.config, make_test_router(*parsed.config))) {
    passed.push_back(result.has_passed);
  }
  return passed;
}

TEST(ConfigTests, PassWhenExactlyTheExpectedAppsMayGetTheUrl) {
  EXPECT_EQ(verdicts("  - {get: \"http://Shop.example.com:8080/api/x?y=1\", expect: {app: [/shop/api-v2, /shop/api]}}\n"
                     "  - {get: \"http://shop.example.com/api\", expect: {app: /shop/api}}\n"
                     "  - {get: \"http://shop.example.com/apis\", expect: {app: /shop/api}}\n"),
            (std::vector<bool>{true, false, false}));
}

TEST(ConfigTests, KnowExposedApps) {
  EXPECT_EQ(verdicts("  - {get: \"http://api.shop.apps.example.com/\", expect: {app: /shop/api}}\n"
                     "  - {get: \"http://any/shop/api/x\", expect: {app: /shop/api}}\n"
                     "  - {get: \"http://any/nowhere\", expect: {status: 404}}\n"),
            (std::vector<bool>{true, true, true}));
}

TEST(ConfigTests, AskOneListener) {
  EXPECT_EQ(verdicts("  - {get: \"http://any/admin\", listener: inside, expect: {app: /admin}}\n"),
            (std::vector<bool>{true}));
}

TEST(ConfigTests, SayWhatCameInstead) {
  ParsedConfig parsed = parse_config(
      std::string(kConfig) + "  - {get: \"http://shop.example.com/api\", expect: {app: /shop/api}}\n", "lb.yaml");
  ASSERT_TRUE(parsed.config);
  EXPECT_EQ(
      run_config_tests(*parsed.config, make_test_router(*parsed.config)).at(0).text,
      "FAILED tests[0] (lb.yaml:8): http://shop.example.com/api -> /shop/api, /shop/api-v2 by routes[0] (lb.yaml:4); "
      "expected /shop/api");
}

std::string write_file(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + name;
  std::ofstream(path) << text;
  return path;
}

TEST(ConfigCheck, CountsProblemsAndFailedTests) {
  std::string bad = write_file("check_bad.yaml", "version: 1\nworkrs: 2\n");
  CheckResult result = check_config(bad);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.text, bad + ":2:1: workrs: unknown key; did you mean \"workers\"?\n    workrs: 2\n    ^\n" + bad +
                             ": 1 problem\n");
  std::string failing = write_file("check_failing.yaml", std::string(kConfig) +
                                                             "  - {get: \"http://any/x\", expect: {app: /x}}\n"
                                                             "  - {get: \"http://any/x\", expect: {app: /y}}\n");
  result = check_config(failing);
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.text.find("2 tests (1 failed)\n"), std::string::npos) << result.text;
}

TEST(ShippedConfigurations, AreGoodAndPassTheirTests) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOTSE_SOURCE_DIR "/conf")) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    CheckResult result = check_config(entry.path().string());
    EXPECT_EQ(result.exit_code, 0) << result.text;
    EXPECT_EQ(result.text.find("warning:"), std::string::npos) << result.text;
  }
  EXPECT_GT(count, 0);
}

// The effective configuration is JSON, which is YAML: it must read back to itself.
TEST(ConfigJson, ReadsBackToTheSameConfiguration) {
  ParsedConfig shipped = load_config(LOTSE_SOURCE_DIR "/conf/lotse.yaml");
  ASSERT_TRUE(shipped.config);
  std::string json = to_json_text(*shipped.config);
  ParsedConfig again = parse_config(json, "effective.json");
  for (const ConfigProblem& problem : again.problems) ADD_FAILURE() << problem.text_with_caret();
  ASSERT_TRUE(again.config);
  EXPECT_EQ(to_json_text(*again.config), json);
}

}  // namespace
}  // namespace lotse::proxy

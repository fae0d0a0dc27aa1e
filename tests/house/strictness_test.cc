// docs/http-strictness.md names the test that holds each of its rules: every one of them exists.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// "Suite.Name" of every TEST and TEST_F below tests/.
std::set<std::string> all_tests() {
  static const std::regex kTest(R"(\bTEST(?:_[FP])?\(\s*(\w+),\s*(\w+)\s*\))");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(LOTSE_SOURCE_DIR) / "tests")) {
    if (!entry.path().string().ends_with("_test.cc")) continue;
    const std::string text = read(entry.path());
    for (std::sregex_iterator found(text.begin(), text.end(), kTest), end; found != end; ++found)
      names.insert((*found)[1].str() + "." + (*found)[2].str());
  }
  return names;
}

TEST(House, EveryTestThatTheStrictnessRulesNameExists) {
  const std::set<std::string> tests = all_tests();
  const std::string text = read(fs::path(LOTSE_SOURCE_DIR) / "docs/http-strictness.md");
  static const std::regex kNamed(R"(`([A-Z]\w+\.[A-Z]\w+)`)");
  std::size_t named = 0;
  for (std::sregex_iterator found(text.begin(), text.end(), kNamed), end; found != end; ++found, ++named)
    EXPECT_TRUE(tests.contains((*found)[1].str())) << (*found)[1] << " is named, but there is no such test";
  EXPECT_GT(named, 40U);
}

// And the other way: a hostile case that no rule stands for is a rule nobody can read.
TEST(House, EveryHostileTestStandsForARule) {
  const std::string text = read(fs::path(LOTSE_SOURCE_DIR) / "docs/http-strictness.md");
  for (const std::string& test : all_tests()) {
    if (!test.starts_with("Hostile") || test.ends_with("ByteByByte")) continue;
    EXPECT_NE(text.find("`" + test + "`"), std::string::npos) << test << " is not in docs/http-strictness.md";
  }
}

}  // namespace

// The data path throws nothing and asserts nothing about what peers send: one request must never end the process. Calls
// that throw on bad input (std::stoi, at(), a regex, a JSON parser) stand only in files that catch, which are those
// that wrap a library; assert() does not exist in a release, so what it would say is a CHECK or a Result.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string without_comment(const std::string& line) { return line.substr(0, line.find("//")); }

bool catches(const fs::path& path) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (without_comment(line).find("catch (") != std::string::npos) return true;
  }
  return false;
}

TEST(DataPath, CallsNothingThatThrowsOnInput) {
  static const std::regex kThrowing(
      R"((std::sto[a-z]+|\.at|\.value|json::parse)\(|\bthrow\b|std::regex\b|dynamic_cast<[^>]*&>)");
  std::size_t files = 0;
  for (const char* room : {"base", "net", "http", "proxy", "discovery"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(LOTSE_SOURCE_DIR) / "src" / room)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") continue;
      ++files;
      std::ifstream file(entry.path());
      std::string line;
      for (int number = 1; std::getline(file, line); ++number) {
        if (!std::regex_search(without_comment(line), kThrowing)) continue;
        EXPECT_TRUE(catches(entry.path())) << entry.path().string() << ":" << number << ": " << line;
      }
    }
  }
  EXPECT_GT(files, 100U) << "looked in the wrong place";
}

TEST(DataPath, AssertsNothingThatVanishesInARelease) {
  static const std::regex kAssert(R"((^|[^_a-z])assert\()");
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(LOTSE_SOURCE_DIR) / "src")) {
    if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") continue;
    std::ifstream file(entry.path());
    std::string line;
    for (int number = 1; std::getline(file, line); ++number)
      EXPECT_FALSE(std::regex_search(without_comment(line), kAssert)) << entry.path().string() << ":" << number;
  }
}

}  // namespace

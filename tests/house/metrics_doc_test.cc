// docs/metrics.md and the sources name the same metrics: a number that nobody can look up is noise, and a row without a
// number is a lie.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (auto one = std::sregex_iterator(text.begin(), text.end(), pattern); one != std::sregex_iterator(); ++one)
    found.insert((*one)[1]);
  return found;
}

// Names as string literals of their own, or in a "# TYPE" line. The parts of a histogram or summary are not metrics.
std::set<std::string> emitted() {
  static const std::regex kLiteral("\"((?:lotse|process)_[a-z0-9_]+)\""),
      kTyped("# TYPE ((?:lotse|process)_[a-z0-9_]+) ");
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(LOTSE_SOURCE_DIR) / "src")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = text_of(entry.path());
    names.merge(matches(text, kLiteral));
    names.merge(matches(text, kTyped));
  }
  return names;
}

std::set<std::string> documented() {
  static const std::regex kRow("\n\\| `([a-z0-9_]+)` \\| (?:counter|gauge|histogram|summary) \\|");
  return matches(text_of(fs::path(LOTSE_SOURCE_DIR) / "docs/metrics.md"), kRow);
}

TEST(MetricsPage, NamesEveryMetricThatTheSourcesEmit) {
  const std::set<std::string> page = documented();
  for (const std::string& name : emitted())
    EXPECT_TRUE(page.contains(name)) << name << " is not in a table of docs/metrics.md";
}

TEST(MetricsPage, NamesNothingElse) {
  const std::set<std::string> sources = emitted();
  EXPECT_GT(sources.size(), 80U) << "the pattern finds too little";
  for (const std::string& name : documented()) EXPECT_TRUE(sources.contains(name)) << name << " is emitted nowhere";
}

}  // namespace

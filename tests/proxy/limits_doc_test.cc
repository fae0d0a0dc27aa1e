// docs/limits.md, read by a machine: every key of `timeouts` and `limits` has a row with its default, and every metric
// and test that the page names is there.
#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "proxy/config_json.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

struct Row {
  std::string value;  // the default
  std::vector<std::string> metrics, tests;
};

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::stringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    std::size_t first = cell.find_first_not_of(' '), last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

std::vector<std::string> names_in(const std::string& cell) {  // what stands between backquotes
  std::vector<std::string> names;
  for (std::size_t at = cell.find('`'); at != std::string::npos; at = cell.find('`', at)) {
    std::size_t end = cell.find('`', at + 1);
    names.push_back(cell.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return names;
}

// By "timeouts.header"; the rows of other sections by what they say.
std::map<std::string, Row> rows() {
  std::map<std::string, Row> found;
  std::ifstream file(std::string(LOTSE_SOURCE_DIR) + "/docs/limits.md");
  std::string section;
  for (std::string line; std::getline(file, line);) {
    if (line == "## The agent") break;  // its page, not ours: other keys, metrics and tests
    if (line.starts_with("## ")) section = line.substr(3);
    if (line.starts_with("Elsewhere")) section.clear();
    if (!line.starts_with("| `")) continue;
    std::vector<std::string> cells = cells_of(line);
    if (cells.size() != 5) continue;
    std::string key = names_in(cells[0]).at(0);
    found[section.empty() ? key : section + "." + key] = {cells[1], names_in(cells[3]), names_in(cells[4])};
  }
  return found;
}

TEST(LimitsDoc, HasARowWithItsDefaultForEveryKey) {
  const auto page = rows();
  const nlohmann::json config = nlohmann::json::parse(to_json_text(Config{}));
  std::set<std::string> keys;
  for (const char* section : {"timeouts", "limits"}) {
    for (const auto& [key, value] : config[section].items()) {
      const std::string name = std::string(section) + "." + key;
      keys.insert(name);
      ASSERT_TRUE(page.contains(name)) << name << " is not in docs/limits.md";
      EXPECT_EQ(page.at(name).value, value.is_string() ? value.get<std::string>() : value.dump()) << name;
      EXPECT_FALSE(page.at(name).metrics.empty()) << name;
      EXPECT_FALSE(page.at(name).tests.empty()) << name;
    }
  }
  for (const auto& [name, row] : page) {
    const bool is_key = name.starts_with("timeouts.") || name.starts_with("limits.");
    EXPECT_TRUE(!is_key || keys.contains(name)) << name;
  }
}

TEST(LimitsDoc, NamesMetricsThatAreThere) {
  Harness harness;
  harness.start();
  std::string metrics;
  harness.proxy->write_metrics(metrics);
  for (const auto& [name, row] : rows()) {
    for (const std::string& metric : row.metrics) {
      EXPECT_NE(metrics.find("# HELP " + metric + " "), std::string::npos) << name << ": " << metric;
    }
  }
}

TEST(LimitsDoc, NamesTestsThatAreThere) {
  std::set<std::string> tests;
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const auto& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      tests.insert(std::string(suite.name()) + "." + suite.GetTestInfo(j)->name());
    }
  }
  for (const auto& [name, row] : rows()) {
    for (const std::string& test : row.tests) EXPECT_TRUE(tests.contains(test)) << name << ": " << test;
  }
}

}  // namespace
}  // namespace lotse::proxy::test

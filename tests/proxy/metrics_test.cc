// The text of /metrics as a scraper reads it (Prometheus' exposition format 0.0.4).
#include <map>
#include <set>
#include <sstream>

#include "proxy/app_stats.h"
#include "proxy/endpoint_record.h"
#include "proxy/worker_counters.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {
namespace {

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override { harness.start(); }
  std::string text() {
    std::string out;
    harness.proxy->write_metrics(out);
    return out;
  }
  Harness harness;
};

// "lotse_x_bucket" of a histogram belongs to the family "lotse_x".
std::string family_of(const std::string& name, const std::map<std::string, std::string>& types) {
  for (const char* part : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(part)) continue;
    std::string base = name.substr(0, name.size() - std::string(part).size());
    if (auto type = types.find(base); type != types.end() && type->second == "histogram") return base;
  }
  return name;
}

TEST_F(MetricsTest, EverySampleHasItsTypeBeforeItAndIsThereOnce) {
  Backend backend(harness.loop, "a");
  model::Endpoint odd = Harness::endpoint("/app", backend);
  harness.apply({odd});
  harness.get("/app");
  harness.get("/nowhere");
  std::istringstream lines(text());
  std::map<std::string, std::string> types;
  std::set<std::string> seen;
  std::string current;
  std::size_t samples = 0;
  for (std::string line; std::getline(lines, line);) {
    ASSERT_FALSE(line.empty());
    std::istringstream words(line);
    std::string first, second, name, type;
    words >> first;
    if (first == "#") {
      words >> second >> name >> type;
      if (second == "TYPE") {
        EXPECT_TRUE(types.emplace(name, type).second) << name << " has two TYPE lines";
        current = name;
      }
      continue;
    }
    ++samples;
    std::string series = line.substr(0, line.rfind(' '));
    EXPECT_TRUE(seen.insert(series).second) << "twice: " << series;
    name = series.substr(0, series.find('{'));
    EXPECT_EQ(family_of(name, types), current) << "lines of one metric stand together: " << line;
    EXPECT_NO_THROW(std::stod(line.substr(line.rfind(' ') + 1))) << line;
  }
  EXPECT_GT(samples, 80U);
}

TEST_F(MetricsTest, BucketsGrowAndEndWithTheCount) {
  Backend backend(harness.loop, "a");
  harness.apply({Harness::endpoint("/app", backend)});
  for (int i = 0; i < 5; ++i) harness.get("/app");
  std::istringstream lines(text());
  std::uint64_t last = 0;
  double last_bound = 0;
  std::size_t buckets = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("lotse_request_seconds_bucket{app=\"/app\",le=\"")) continue;
    std::string bound = line.substr(line.find("le=\"") + 4);
    std::uint64_t count = std::stoull(line.substr(line.rfind(' ') + 1));
    EXPECT_GE(count, last);
    last = count;
    ++buckets;
    if (bound.starts_with("+Inf")) continue;
    EXPECT_GT(std::stod(bound), last_bound);
    last_bound = std::stod(bound);
  }
  EXPECT_EQ(last, 5U);
  EXPECT_EQ(buckets, 18U) << "enough to see by, few enough for a thousand apps";
}

TEST_F(MetricsTest, LabelsOfAppsAreEscaped) {
  Backend backend(harness.loop, "a");
  harness.apply({Harness::endpoint("/a\"b\\c\nd", backend)});
  EXPECT_NE(text().find("lotse_app_endpoints{app=\"/a\\\"b\\\\c\\nd\",state=\"up\"} 1\n"), std::string::npos);
}

// No cache line that two threads write per request: what a worker counts begins a line and fills whole ones.
TEST(CacheLines, WhatWorkersCountIsNotShared) {
  static_assert(alignof(WorkerCounters) >= 64 && sizeof(WorkerCounters) % 64 == 0);
  static_assert(alignof(AppWorkerStats) >= 64 && sizeof(AppWorkerStats) % 64 == 0);
  static_assert(alignof(EndpointState) >= 64 && sizeof(EndpointState) % 64 == 0);
  AppStats stats("/a", 3);
  EndpointRecord record(Harness::endpoint("/a", "t", 1), 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&stats.per_worker[i]) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(&record.states[i]) % 64, 0U);
  }
}

}  // namespace
}  // namespace lotse::proxy::test

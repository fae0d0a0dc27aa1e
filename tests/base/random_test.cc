#include "base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

namespace lotse {
namespace {

TEST(Random, GivesTheSameStreamForTheSameSeed) {
  Random a(42), b(42), c(43);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), c.next());
}

// The first numbers of seed 1: another machine or library must not change a simulation that is told by its seed.
TEST(Random, IsTheSameOnEveryMachine) {
  Random random(1);
  std::array<std::uint64_t, 2> first{random.next(), random.next()};
  EXPECT_EQ(first[0], 12966619160104079557ULL);
  EXPECT_EQ(first[1], 9600361134598540522ULL);
}

TEST(Random, StaysBelowItsBoundAndReachesAll) {
  Random random(7);
  std::array<int, 6> seen{};
  for (int i = 0; i < 6000; ++i) {
    std::uint64_t x = random.below(6);
    ASSERT_LT(x, 6U);
    ++seen[x];
  }
  for (int count : seen) EXPECT_NEAR(count, 1000, 200);
  EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, UnitIsBelowOne) {
  Random random(7);
  double sum = 0;
  for (int i = 0; i < 10'000; ++i) {
    double x = random.unit();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
}

TEST(Random, SystemSeedsDiffer) { EXPECT_NE(Random::from_system().next(), Random::from_system().next()); }

bool is_uuid(std::string_view text) {
  std::string_view form = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  return std::equal(text.begin(), text.end(), form.begin(), form.end(), [](char c, char wanted) {
    std::string_view allowed = "0123456789abcdef";
    if (wanted == 'y') allowed = "89ab";
    if (wanted == '-' || wanted == '4') return c == wanted;
    return allowed.find(c) != allowed.npos;
  });
}

TEST(MakeUuid, IsAVersion4Uuid) {
  Random random(3);
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string uuid = make_uuid(random);
    EXPECT_TRUE(is_uuid(uuid)) << uuid;
    EXPECT_TRUE(seen.insert(uuid).second);
  }
}

}  // namespace
}  // namespace lotse

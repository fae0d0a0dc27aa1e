#include "base/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace lotse {
namespace {

TEST(Arena, CopiesTextThatStaysValidUntilReset) {
  Arena arena(64);
  std::string source = "host";
  std::string_view copy = arena.copy(source);
  source = "????";
  EXPECT_EQ(copy, "host");
  EXPECT_EQ(arena.copy(""), "");
}

TEST(Arena, AlignsWhatItHandsOut) {
  Arena arena(256);
  arena.allocate(1, 1);
  for (std::size_t alignment : {2U, 4U, 8U, 16U}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate(3, alignment)) % alignment, 0U);
  }
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(arena.array<double>(5)) % alignof(double), 0U);
}

TEST(Arena, OwnsNothingBeforeItsFirstUse) { EXPECT_EQ(Arena().blocks(), 0U); }

TEST(Arena, TakesMoreThanABlockAtOnce) {
  Arena arena(16);
  std::string big(100'000, 'x');
  EXPECT_EQ(arena.copy(big), big);
  EXPECT_EQ(arena.copy("small"), "small");
}

TEST(Arena, AllocatesNothingAfterWarmUp) {
  Arena arena(1024);
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i < 10; ++i) arena.copy("0123456789");
    EXPECT_EQ(arena.blocks(), 1U);
    arena.reset();
  }
}

TEST(Arena, ResetKeepsTheFirstBlockOnlyAndReleaseNone) {
  Arena arena(32);
  for (int i = 0; i < 100; ++i) arena.copy("0123456789");
  EXPECT_GT(arena.blocks(), 1U);
  arena.reset();
  EXPECT_EQ(arena.blocks(), 1U);
  EXPECT_EQ(arena.copy("again"), "again");
  EXPECT_EQ(arena.blocks(), 1U);
  arena.release();
  EXPECT_EQ(arena.blocks(), 0U);
  EXPECT_EQ(arena.copy("and again"), "and again");
}

}  // namespace
}  // namespace lotse

#include "base/result.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/check.h"

namespace lotse {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Error{.code = Errc::invalid_argument});
  return number / 2;
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(*half(4), 2);
  ASSERT_FALSE(half(3));
  EXPECT_EQ(half(3).error().code, Errc::invalid_argument);
}

TEST(Describe, SaysWhatTheSystemSaid) {
  EXPECT_EQ(describe(Error{.code = Errc::timed_out}), "timed out");
  EXPECT_EQ(describe(Error{.code = Errc::refused, .uv_code = -ECONNREFUSED}),
            "connection refused (Connection refused)");
  EXPECT_EQ(describe(Error{.code = Errc::resolve_failed, .uv_code = -3008}), "name does not resolve");
}

TEST(Problem, NamesItsPlaceWhenItHasOne) {
  EXPECT_EQ((Problem{"proxy.yaml:3:5", "unknown key"}.text()), "proxy.yaml:3:5: unknown key");
  EXPECT_EQ((Problem{"", "unknown key"}.text()), "unknown key");
}

TEST(CheckDeathTest, AbortsInReleaseToo) {
  EXPECT_DEATH(CHECK(1 + 1 == 3), "CHECK failed: 1 \\+ 1 == 3 at .*result_test.cc");
  CHECK(true);
}

}  // namespace
}  // namespace lotse

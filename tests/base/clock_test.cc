#include "base/clock.h"

#include <gtest/gtest.h>

#include "tests/fake_clock.h"

namespace lotse {
namespace {

using namespace std::chrono_literals;

TEST(Timestamp, IsMarathonsForm) {
  auto time = parse_timestamp("2015-08-26T20:23:39.463Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(format_timestamp(*time), "2015-08-26T20:23:39.463Z");
  EXPECT_EQ(format_timestamp(WallTime{}), "1970-01-01T00:00:00.000Z");
}

TEST(Timestamp, RefusesWhatIsNotOne) {
  for (const char* text : {"", "2015-08-26", "2015-08-26T20:23:39Z", "2015-08-26T20:23:39.463",
                           "2015-13-26T20:23:39.463Z", "2015-02-30T20:23:39.463Z", "2015-08-26T24:23:39.463Z",
                           "2015-08-26T20:60:39.463Z", "2015-08-26 20:23:39.463Z", "2015-08-26T20:23:39.4x3Z",
                           "2015-08--6T20:23:39.463Z", "2015-08-26T20:23:39.463Zx", "+015-08-26T20:23:39.463Z"}) {
    EXPECT_FALSE(parse_timestamp(text)) << text;
  }
}

TEST(Timestamp, RefusesEveryPrefix) {
  std::string_view whole = "2015-08-26T20:23:39.463Z";
  for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(parse_timestamp(whole.substr(0, length)));
}

TEST(ParseDuration, NeedsAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("20s"), 20s);
  EXPECT_EQ(parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(parse_duration("1m"), 1min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("2d"), 48h);
  EXPECT_EQ(parse_duration("7us"), 7us);
  EXPECT_EQ(parse_duration("0s"), 0s);
  for (const char* text : {"", "20", "s", "-1s", "1 s", "1S", "1sec", "nan", "inf", "infs", "nans", "1e300d", "1s2"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(FormatDuration, ReadsBackAsTheSameDuration) {
  for (Duration duration : {Duration(0), Duration(250ms), Duration(20s), Duration(90min), Duration(1500us)}) {
    EXPECT_EQ(parse_duration(format_duration(duration)), duration) << format_duration(duration);
  }
}

TEST(SystemClock, NeverGoesBack) {
  SystemClock clock;
  Instant before = clock.now();
  for (int i = 0; i < 1000; ++i) {
    Instant now = clock.now();
    EXPECT_GE(now, before);
    before = now;
  }
  EXPECT_GT(clock.wall(), *parse_timestamp("2020-01-01T00:00:00.000Z"));
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  Now before = clock.both();
  EXPECT_EQ(clock.now(), before.instant);
  clock.advance(1500us);
  clock.advance(500us);
  EXPECT_EQ(clock.now() - before.instant, 2ms);
  EXPECT_EQ(clock.wall() - before.wall, 2ms);
}

}  // namespace
}  // namespace lotse

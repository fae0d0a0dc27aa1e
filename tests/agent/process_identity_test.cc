#include "agent/process_identity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lotse::agent {
namespace {

TEST(ProcessStat, ReadsNamesWithParenthesesAndSpaces) {
  auto stat = parse_process_stat(
      "1234 (a (b) c) S 1 1234 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 10 18446744073709551615\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->session, 77);
  EXPECT_EQ(stat->start_ticks, 987654u);
  for (const char* bad : {"", "1 (x", "1 (x) S", "1 (x) SS 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 0 0 0 5"}) {
    EXPECT_FALSE(parse_process_stat(bad).has_value()) << bad;
  }
}

TEST(ProcessIdentity, ComesBackFromItsFile) {
  ProcessIdentity identity{1234, 987654, "b0071d"};
  EXPECT_EQ(parse_process_identity(serialize(identity)), identity);
  for (const char* bad : {"", "1234", "1234 5", "0 5 x", "1 5 x", "-7 5 x", "x y z", "1234 5 x extra"}) {
    EXPECT_FALSE(parse_process_identity(bad).has_value()) << bad;
  }
}

TEST(ProcessIdentity, OfAnotherStartIsNotAlive) {
  auto self = identify(::getpid());
  ASSERT_TRUE(self.has_value());
  EXPECT_TRUE(is_alive(*self));
  ProcessIdentity reused = *self;
  ++reused.start_ticks;
  EXPECT_FALSE(is_alive(reused));
  ProcessIdentity other_boot = *self;
  other_boot.boot = "another";
  EXPECT_FALSE(is_alive(other_boot));
}

TEST(ProcessIdentity, AZombieIsNotAlive) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);  // ended, not reaped
  EXPECT_FALSE(identify(child).has_value());
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace lotse::agent

#include "agent/next_step.h"

#include <gtest/gtest.h>

#include <vector>

namespace lotse::agent {
namespace {

using Kind = Observation::Kind;

struct Row {
  Phase phase;
  bool kill;
  Kind seen;
  Step step;
};

// The whole table: six phases, wanted or not, five observations. Phase `accepted` stands for "not asked for anything".
const std::vector<Row> kRows{
    {Phase::accepted, false, Kind::absent, Step::create},
    {Phase::accepted, false, Kind::created, Step::start},
    {Phase::accepted, false, Kind::running, Step::report_running},
    {Phase::accepted, false, Kind::exited, Step::end_by_exit},
    {Phase::creating, false, Kind::absent, Step::create},
    {Phase::creating, false, Kind::created, Step::start},
    {Phase::creating, false, Kind::running, Step::report_running},
    {Phase::creating, false, Kind::exited, Step::end_by_exit},
    {Phase::starting, false, Kind::absent, Step::end_lost},
    {Phase::starting, false, Kind::created, Step::start},
    {Phase::starting, false, Kind::running, Step::report_running},
    {Phase::starting, false, Kind::exited, Step::end_by_exit},
    {Phase::started, false, Kind::absent, Step::end_lost},
    {Phase::started, false, Kind::created, Step::end_lost},
    {Phase::started, false, Kind::running, Step::none},
    {Phase::started, false, Kind::exited, Step::end_by_exit},
    {Phase::accepted, true, Kind::absent, Step::end_killed},
    {Phase::accepted, true, Kind::created, Step::end_killed},
    {Phase::creating, true, Kind::absent, Step::end_killed},
    {Phase::creating, true, Kind::created, Step::end_killed},
    {Phase::creating, true, Kind::running, Step::stop},
    {Phase::starting, true, Kind::running, Step::stop},
    {Phase::started, true, Kind::absent, Step::end_killed},
    {Phase::started, true, Kind::running, Step::stop},
    {Phase::started, true, Kind::exited, Step::end_by_exit},
    {Phase::ended, false, Kind::absent, Step::finish},
    {Phase::ended, false, Kind::created, Step::clean_up},
    {Phase::ended, false, Kind::running, Step::stop},
    {Phase::ended, false, Kind::exited, Step::clean_up},
    {Phase::ended, true, Kind::exited, Step::clean_up},
    {Phase::done, false, Kind::absent, Step::none},
    {Phase::done, false, Kind::created, Step::clean_up},
    {Phase::done, false, Kind::running, Step::stop},
    {Phase::done, false, Kind::exited, Step::clean_up},
};

Step step_for(Phase phase, bool kill, Kind kind) {
  TaskRecord record;
  record.phase = phase;
  record.kill_requested = kill;
  return next_step(record, Observation{.kind = kind});
}

TEST(NextStep, FollowsTheTable) {
  for (const Row& row : kRows) {
    EXPECT_EQ(to_string(step_for(row.phase, row.kill, row.seen)), to_string(row.step))
        << "phase " << static_cast<int>(row.phase) << " kill " << row.kill << " seen " << static_cast<int>(row.seen);
  }
}

TEST(NextStep, LooksFirstWhateverIsUnknown) {
  for (int phase = 0; phase <= static_cast<int>(Phase::done); ++phase) {
    for (bool kill : {false, true}) EXPECT_EQ(step_for(static_cast<Phase>(phase), kill, Kind::unknown), Step::look);
  }
}

TEST(NextStep, NeverCreatesWhatMayHaveStarted) {
  for (Phase phase : {Phase::starting, Phase::started, Phase::ended, Phase::done}) {
    for (bool kill : {false, true}) EXPECT_NE(step_for(phase, kill, Kind::absent), Step::create);
  }
}

TEST(NextStep, NeverStopsWhatIsWanted) {
  for (Phase phase : {Phase::accepted, Phase::creating, Phase::starting, Phase::started}) {
    for (Kind kind : {Kind::absent, Kind::created, Kind::running, Kind::exited}) {
      EXPECT_NE(step_for(phase, false, kind), Step::stop);
    }
  }
}

TEST(DescribeExit, NamesSignalsAndMemory) {
  EXPECT_EQ(describe_exit({.exit_code = 0}), "exit code 0");
  EXPECT_EQ(describe_exit({.exit_code = 1}), "exit code 1");
  EXPECT_EQ(describe_exit({.exit_code = 128}), "exit code 128");
  EXPECT_EQ(describe_exit({.exit_code = 137}), "exit code 137 (SIGKILL)");
  EXPECT_EQ(describe_exit({.exit_code = 143}), "exit code 143 (SIGTERM)");
  EXPECT_EQ(describe_exit({.exit_code = 255}), "exit code 255");
  EXPECT_EQ(describe_exit({.exit_code = 137, .out_of_memory = true}), "exit code 137 (SIGKILL, out of memory)");
  EXPECT_EQ(describe_exit({.exit_code = 1, .out_of_memory = true}), "exit code 1 (out of memory)");
  EXPECT_EQ(describe_exit({.exit_code = 127, .error = "no such file"}), "exit code 127: no such file");
  EXPECT_EQ(describe_exit({.exit_code_known = false}), "ended while nobody could see its exit code");
}

}  // namespace
}  // namespace lotse::agent

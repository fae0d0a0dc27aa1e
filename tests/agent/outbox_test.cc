#include "agent/outbox.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/temporary_folder.h"

namespace lotse::agent {
namespace {

model::TaskStatus status(const std::string& task, model::TaskState state, std::string message = "") {
  model::TaskStatus made;
  made.task = task;
  made.state = state;
  made.message = std::move(message);
  made.time = "2026-01-01T00:00:00.000Z";
  return made;
}

class OutboxTest : public ::testing::Test {
 protected:
  Outbox loaded() {
    Outbox outbox(path);
    EXPECT_TRUE(outbox.load().has_value());
    return outbox;
  }
  TemporaryFolder folder;
  std::string path = folder.path() + "/outbox.json";
};

TEST_F(OutboxTest, NumbersFromOneAndSurvivesARestart) {
  {
    Outbox outbox = loaded();
    EXPECT_EQ(outbox.add(status("a", model::TaskState::running)), 1u);
    EXPECT_EQ(outbox.add(status("b", model::TaskState::failed, "bytes \xff of any kind")), 2u);
    ASSERT_TRUE(outbox.flush().has_value());
  }
  Outbox outbox = loaded();
  auto first = outbox.first(10);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].task, "a");
  EXPECT_EQ(first[1].number, 2u);
  EXPECT_EQ(first[1].state, model::TaskState::failed);
  EXPECT_EQ(outbox.add(status("c", model::TaskState::running)), 3u);
}

TEST_F(OutboxTest, ForgetsWhatIsAcknowledgedAndNothingElse) {
  Outbox outbox = loaded();
  for (const char* task : {"a", "b", "c"}) outbox.add(status(task, model::TaskState::running));
  outbox.acknowledge(2);
  ASSERT_EQ(outbox.size(), 1u);
  EXPECT_TRUE(outbox.has_status_of("c"));
  EXPECT_FALSE(outbox.has_status_of("a"));
  outbox.acknowledge(1);  // an old answer
  EXPECT_EQ(outbox.size(), 1u);
  outbox.acknowledge(3);
  EXPECT_EQ(outbox.add(status("d", model::TaskState::running)), 4u);
}

TEST_F(OutboxTest, MovesBeyondNumbersAnotherLifeGaveOut) {
  Outbox outbox = loaded();  // our disk was restored from an older copy
  outbox.acknowledge(41);
  EXPECT_EQ(outbox.add(status("a", model::TaskState::running)), 42u);
}

TEST_F(OutboxTest, NeverGivesANumberTwiceThoughAllIsAcknowledged) {
  {
    Outbox outbox = loaded();
    outbox.add(status("a", model::TaskState::running));
    ASSERT_TRUE(outbox.flush().has_value());
    outbox.acknowledge(1);
  }
  Outbox outbox = loaded();
  EXPECT_EQ(outbox.add(status("b", model::TaskState::running)), 2u);
}

TEST_F(OutboxTest, IsBoundedByDroppingWhatWasOvertaken) {
  Outbox outbox = loaded();
  for (std::size_t i = 0; i <= Outbox::kStatusesMax; ++i) {
    outbox.add(status("task-" + std::to_string(i % 10), model::TaskState::running, std::to_string(i)));
  }
  EXPECT_LT(outbox.size(), 20u);
  EXPECT_EQ(outbox.first(1000).back().message, std::to_string(Outbox::kStatusesMax));
  for (int task = 0; task < 10; ++task) EXPECT_TRUE(outbox.has_status_of("task-" + std::to_string(task)));
}

TEST_F(OutboxTest, SaysThatTheDiskIsFullAndKeepsTheStatus) {
  Outbox outbox = loaded();
  outbox.add(status("a", model::TaskState::running));
  std::filesystem::create_directory(path + ".tmp");
  EXPECT_FALSE(outbox.flush().has_value());
  EXPECT_TRUE(outbox.needs_flush());
  std::filesystem::remove(path + ".tmp");
  EXPECT_TRUE(outbox.flush().has_value());
  EXPECT_FALSE(outbox.needs_flush());
}

TEST_F(OutboxTest, ADamagedFileIsAProblemNotACrash) {
  for (const char* text : {"", "[", "[]", "{\"statuses\":[{\"number\":0}]}", "{\"statuses\":[5]}"}) {
    std::ofstream(path) << text;
    Outbox outbox(path);
    EXPECT_FALSE(outbox.load().has_value()) << text;
  }
}

}  // namespace
}  // namespace lotse::agent

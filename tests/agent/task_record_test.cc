#include "agent/task_record.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/record_store.h"
#include "tests/agent/test_apps.h"
#include "tests/temporary_folder.h"

namespace lotse::agent {
namespace {

TaskRecord full_record() {
  TaskRecord record;
  record.launch = container_task("shop:1", {"serve"}, {{8080, 31005}});
  record.launch.app.env = {{"A", "1"}};
  record.launch.app.health_checks.emplace_back();
  record.launch.app.health_checks[0].port_index = 0;  // as the parser fills it in
  record.runtime = RuntimeKind::docker;
  record.phase = Phase::started;
  record.state = model::TaskState::killing;
  record.message = "words";
  record.kill_requested = true;
  record.grace_seconds = 12.5;
  record.ip_address = "172.17.0.2";
  record.container_id = "abc";
  record.started_ms = 1'700'000'000'123;
  record.ended_ms = 5;
  record.health.task = record.launch.task;
  record.health.is_ready = true;
  record.health.alive = true;
  record.health.results.emplace_back();
  record.health.results[0].alive = true;
  record.log_tail = "last words\n";
  return record;
}

TEST(TaskRecord, ComesBackAsItWas) {
  TaskRecord record = full_record();
  auto back = parse_task_record(serialize(record));
  ASSERT_TRUE(back.has_value()) << back.error().text();
  EXPECT_EQ(back->launch, record.launch);
  EXPECT_EQ(back->phase, record.phase);
  EXPECT_EQ(back->state, record.state);
  EXPECT_EQ(back->kill_requested, record.kill_requested);
  EXPECT_EQ(back->grace_seconds, record.grace_seconds);
  EXPECT_EQ(back->started_ms, record.started_ms);
  EXPECT_EQ(back->health, record.health);
  EXPECT_EQ(back->log_tail, record.log_tail);
}

TEST(TaskRecord, SurvivesALogThatIsNotText) {
  TaskRecord record = full_record();
  record.log_tail = "\xff\xfe\x01";
  EXPECT_TRUE(parse_task_record(serialize(record)).has_value());
}

TEST(TaskRecord, CutAnywhereItIsDamaged) {
  std::string text = serialize(full_record());
  for (std::size_t cut = 0; cut < text.size(); ++cut) EXPECT_FALSE(parse_task_record(text.substr(0, cut)).has_value());
}

TEST(TaskId, MustBeAFileName) {
  for (const char* good : {"a", "shop_api.instance-0._app.1", "A-1"}) EXPECT_TRUE(is_safe_task_id(good)) << good;
  for (const char* bad : {"", ".", "..", "../x", "a/b", "a b", "-a", "_a", "a\n", "\xc3\xa4"}) {
    EXPECT_FALSE(is_safe_task_id(bad)) << bad;
  }
  EXPECT_FALSE(is_safe_task_id(std::string(201, 'a')));
}

TEST(RecordStore, LoadsWhatItSavedAndPutsDamageAside) {
  TemporaryFolder folder;
  RecordStore store(folder.path());
  TaskRecord record = full_record();
  ASSERT_TRUE(store.save(record).has_value());
  std::ofstream(folder.path() + "/broken.json") << "{";
  std::ofstream(folder.path() + "/other-name.json") << serialize(full_record());
  std::vector<Problem> problems;
  auto records = store.load_all(problems);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].id(), record.id());
  EXPECT_EQ(problems.size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(folder.path() + "/broken.json.damaged"));
  store.remove(record.id());
  problems.clear();
  EXPECT_TRUE(store.load_all(problems).empty());
  EXPECT_TRUE(problems.empty());
}

}  // namespace
}  // namespace lotse::agent

#include "scheduler/server/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "scheduler/server/sqlite.h"
#include "tests/scheduler/server/loop_runner.h"
#include "tests/temporary_folder.h"

namespace lotse::scheduler {
namespace {

std::unique_ptr<Store> open_store(net::Loop& loop, const std::string& directory, StoreRecords* records = nullptr,
                                  std::uint64_t pages_max = 0) {
  StoreRecords found;
  auto store = Store::open(loop, {directory, pages_max}, found);
  EXPECT_TRUE(store.has_value()) << (store ? "" : store.error().text());
  if (records != nullptr) *records = found;
  return store ? std::move(*store) : nullptr;
}

std::string problem_of_opening(const std::string& directory) {
  net::Loop loop;
  StoreRecords records;
  auto store = Store::open(loop, {directory}, records);
  EXPECT_FALSE(store.has_value());
  return store ? "" : store.error().text();
}

// A commit that the test waits for.
Result<std::uint64_t, Problem> commit(net::Loop& loop, Store& store, std::vector<StoreChange> changes) {
  std::optional<Result<std::uint64_t, Problem>> answer;
  store.commit(std::move(changes), [&](Result<std::uint64_t, Problem> result) { answer = std::move(result); });
  EXPECT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
  return *answer;
}

Result<StoreRecords, Problem> load(net::Loop& loop, Store& store) {
  std::optional<Result<StoreRecords, Problem>> answer;
  store.load([&](Result<StoreRecords, Problem> result) { answer = std::move(result); });
  EXPECT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
  return *answer;
}

Result<Unit, Problem> probe(net::Loop& loop, Store& store) {
  std::optional<Result<Unit, Problem>> answer;
  store.probe([&](Result<Unit, Problem> result) { answer = std::move(result); });
  EXPECT_TRUE(run_until(loop, [&] { return answer.has_value(); }));
  return *answer;
}

TEST(Store, GivesBackWhatWasCommittedInTheOrderOfTheKeys) {
  TemporaryFolder directory;
  {
    net::Loop loop;
    auto store = open_store(loop, directory.path());
    ASSERT_TRUE(commit(loop, *store, {{"task/b", "2"}, {"task/a", "1"}, {"app//x", "{}"}}));
    ASSERT_TRUE(commit(loop, *store, {{"task/b", std::nullopt}, {"task/a", "one"}, {"zero", std::string("a\0b", 3)}}));
  }
  net::Loop loop;
  StoreRecords records;
  open_store(loop, directory.path(), &records);
  EXPECT_EQ(records, (StoreRecords{{"app//x", "{}"}, {"task/a", "one"}, {"zero", std::string("a\0b", 3)}}));
}

TEST(Store, RaisesTheTermAtEachOpenAndKeepsTheCluster) {
  TemporaryFolder directory;
  net::Loop loop;
  auto first = open_store(loop, directory.path() + "/made/on/demand");
  EXPECT_EQ(first->term(), 1u);
  std::string cluster = first->cluster();
  EXPECT_EQ(cluster.size(), 36u);
  first.reset();
  auto second = open_store(loop, directory.path() + "/made/on/demand");
  EXPECT_EQ(second->term(), 2u);
  EXPECT_EQ(second->cluster(), cluster);
}

TEST(Store, AnswersInOrderWithRisingRevisionsWhateverTheGroups) {
  TemporaryFolder directory;
  net::Loop loop;
  auto store = open_store(loop, directory.path());
  std::vector<std::uint64_t> revisions;
  for (int i = 0; i < 300; ++i) {
    store->commit({{"key/" + std::to_string(i), "x"}}, [&](Result<std::uint64_t, Problem> result) {
      ASSERT_TRUE(result);
      revisions.push_back(*result);
    });
  }
  EXPECT_EQ(store->queued(), 300u);
  ASSERT_TRUE(run_until(loop, [&] { return revisions.size() == 300; }));
  for (std::uint64_t i = 0; i < 300; ++i) EXPECT_EQ(revisions[i], i + 1);
  EXPECT_EQ(store->stats().transactions, 300u);
  EXPECT_LE(store->stats().commits, 300u);
  EXPECT_EQ(store->stats().revision, 300u);
  EXPECT_EQ(store->queued(), 0u);
}

TEST(Store, CommitsWhatIsQueuedBeforeItCloses) {
  TemporaryFolder directory;
  {
    net::Loop loop;
    auto store = open_store(loop, directory.path());
    for (int i = 0; i < 50; ++i) {
      store->commit({{"key/" + std::to_string(i), "x"}},
                    [](const auto&) { ADD_FAILURE() << "no answer after the end"; });
    }
  }
  net::Loop loop;
  StoreRecords records;
  open_store(loop, directory.path(), &records);
  EXPECT_EQ(records.size(), 50u);
}

// The child writes pairs of records and says each acknowledged number; it is killed in the middle of that.
[[noreturn]] void write_until_killed(const std::string& directory, int pipe) {
  net::Loop loop;
  auto store = open_store(loop, directory);
  for (std::uint64_t i = 0;; ++i) {
    std::string text = std::to_string(i);
    if (!commit(loop, *store, {{"a/" + text, text}, {"b/" + text, text}})) _exit(1);
    if (write(pipe, &i, sizeof(i)) != sizeof(i)) _exit(1);
  }
}

TEST(Store, KeepsWhatItAcknowledgedWhenTheProcessIsKilled) {
  TemporaryFolder directory;
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) write_until_killed(directory.path(), pipe[1]);
  close(pipe[1]);
  std::uint64_t last = 0;
  while (last < 40) ASSERT_EQ(read(pipe[0], &last, sizeof(last)), static_cast<ssize_t>(sizeof(last)));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  std::uint64_t acknowledged = last;
  while (read(pipe[0], &last, sizeof(last)) == sizeof(last)) acknowledged = last;
  close(pipe[0]);

  net::Loop loop;
  StoreRecords records;
  open_store(loop, directory.path(), &records);
  std::map<std::string, std::string> found(records.begin(), records.end());
  for (std::uint64_t i = 0; i <= acknowledged; ++i) EXPECT_EQ(found["a/" + std::to_string(i)], std::to_string(i));
  std::size_t a = 0, b = 0;
  for (const auto& [key, value] : records) ++(key[0] == 'a' ? a : b);
  EXPECT_EQ(a, b) << "half a transaction";
}

TEST(Store, AFullDiskFailsTheTransactionAndThoseBehindItAndWritesNothingOfThem) {
  TemporaryFolder directory;
  net::Loop loop;
  auto store = open_store(loop, directory.path(), nullptr, 40);
  ASSERT_TRUE(commit(loop, *store, {{"kept", "1"}}));
  std::vector<std::string> problems;
  auto note = [&](const Result<std::uint64_t, Problem>& result) {
    problems.push_back(result ? "" : result.error().text());
  };
  store->commit({{"kept", "2"}, {"large", std::string(1024 * 1024, 'x')}}, note);
  store->commit({{"behind", "1"}}, note);
  ASSERT_TRUE(run_until(loop, [&] { return problems.size() == 2; }));
  for (const std::string& problem : problems) EXPECT_NE(problem.find("full"), std::string::npos) << problem;
  auto records = load(loop, *store);
  ASSERT_TRUE(records);
  EXPECT_EQ(*records, (StoreRecords{{"kept", "1"}}));
  EXPECT_FALSE(commit(loop, *store, {{"later", "1"}})) << "it was made on top of what failed";
  ASSERT_TRUE(probe(loop, *store));
  EXPECT_TRUE(commit(loop, *store, {{"later", "1"}}));
  EXPECT_GE(store->stats().failures, 2u);
}

TEST(Store, SaysWhenTheSystemRefusesToWriteAndGoesOnWhenItNoLongerDoes) {
  TemporaryFolder directory;
  net::Loop loop;
  auto store = open_store(loop, directory.path());
  ASSERT_TRUE(commit(loop, *store, {{"kept", "1"}}));
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 64 * 1024;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto refused = commit(loop, *store, {{"large", std::string(1024 * 1024, 'x')}});
  auto still_refused = probe(loop, *store);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("scheduler.db"), std::string::npos) << refused.error().text();
  EXPECT_FALSE(still_refused);
  auto records = load(loop, *store);
  ASSERT_TRUE(records);
  EXPECT_EQ(*records, (StoreRecords{{"kept", "1"}}));
  ASSERT_TRUE(probe(loop, *store));
  EXPECT_TRUE(commit(loop, *store, {{"large", std::string(1024 * 1024, 'x')}}));
}

TEST(Store, RefusesADirectoryThatAnotherProcessUses) {
  TemporaryFolder directory;
  net::Loop loop;
  auto store = open_store(loop, directory.path());
  EXPECT_NE(problem_of_opening(directory.path()).find("in use by another process"), std::string::npos);
}

TEST(Store, SaysThatTheDirectoryCannotBeMade) {
  TemporaryFolder directory;
  std::ofstream(directory.path() + "/file") << "x";
  std::string problem = problem_of_opening(directory.path() + "/file/data");
  EXPECT_NE(problem.find("cannot be made: Not a directory"), std::string::npos) << problem;
}

TEST(Store, SaysThatTheFileIsNoDatabase) {
  TemporaryFolder directory;
  std::ofstream(directory.path() + "/scheduler.db") << std::string(8192, 'x');
  std::string problem = problem_of_opening(directory.path());
  EXPECT_NE(problem.find("scheduler.db"), std::string::npos) << problem;
  EXPECT_NE(problem.find("not a database"), std::string::npos) << problem;
}

TEST(Store, SaysThatTheDatabaseIsDamaged) {
  TemporaryFolder directory;
  {
    net::Loop loop;
    auto store = open_store(loop, directory.path());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(commit(loop, *store, {{"key/" + std::to_string(i), std::string(1000, 'x')}}));
    }
  }
  {
    std::fstream file(directory.path() + "/scheduler.db", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(3 * 4096);
    file << std::string(6 * 4096, '\x5a');
  }
  std::string problem = problem_of_opening(directory.path());
  EXPECT_TRUE(problem.find("damaged") != std::string::npos || problem.find("malformed") != std::string::npos)
      << problem;
}

TEST(Store, RefusesWhatANewerLotseWrote) {
  TemporaryFolder directory;
  {
    net::Loop loop;
    open_store(loop, directory.path());
  }
  {
    auto database = Database::open(directory.path() + "/scheduler.db");
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->run("PRAGMA user_version=99"));
  }
  std::string problem = problem_of_opening(directory.path());
  EXPECT_NE(problem.find("written by a newer Lotse (schema 99"), std::string::npos) << problem;
}

}  // namespace
}  // namespace lotse::scheduler

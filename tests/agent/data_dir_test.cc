#include "agent/data_dir.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/durable_file.h"
#include "tests/temporary_folder.h"

namespace lotse::agent {
namespace {

class DataDirectory : public ::testing::Test {
 protected:
  Result<DataDir, Problem> open(const std::string& id = "") {
    return DataDir::open(folder.path() + "/data", id, random);
  }
  TemporaryFolder folder;
  Random random{1};
};

TEST_F(DataDirectory, KeepsItsIdentityAndCountsItsLives) {
  std::string data_id;
  for (std::uint64_t life = 1; life <= 3; ++life) {
    auto data = open(life == 1 ? "node-1" : "");
    ASSERT_TRUE(data.has_value()) << data.error().text();
    if (life == 1) data_id = data->data_id();
    EXPECT_EQ(data->data_id(), data_id);
    EXPECT_EQ(data->incarnation(), life);
    EXPECT_EQ(data->id(), "node-1");
  }
}

TEST_F(DataDirectory, IsNamedAfterTheHostWhenNobodySays) {
  auto data = open();
  ASSERT_TRUE(data.has_value());
  EXPECT_FALSE(data->id().empty());
}

TEST_F(DataDirectory, IsHeldByOneAtATime) {
  auto first = open();
  ASSERT_TRUE(first.has_value());
  auto second = open();
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().text().find("another agent"), std::string::npos);
}

TEST_F(DataDirectory, RemembersTheHighestTermAndTheCluster) {
  using Verdict = DataDir::Verdict;
  {
    auto data = open();
    EXPECT_EQ(data->admit(5, "c1").value(), Verdict::accepted);
    EXPECT_EQ(data->admit(5, "c1").value(), Verdict::accepted);
    EXPECT_EQ(data->admit(4, "c1").value(), Verdict::fenced);
    EXPECT_EQ(data->admit(9, "c2").value(), Verdict::other_cluster);
    EXPECT_EQ(data->admit(6, "").value(), Verdict::accepted);
  }
  auto data = open();
  EXPECT_EQ(data->term(), 6u);
  EXPECT_EQ(data->cluster(), "c1");
  EXPECT_EQ(data->admit(5, "c1").value(), Verdict::fenced);
}

TEST_F(DataDirectory, DoesNotObeyATermItCannotStore) {
  auto data = open();
  std::filesystem::create_directory(data->path() + "/identity.json.tmp");  // in the way of the next write
  EXPECT_FALSE(data->admit(5, "c1").has_value());
  EXPECT_EQ(data->term(), 0u);
  EXPECT_EQ(data->cluster(), "");
}

TEST_F(DataDirectory, ADamagedIdentityIsNotReplacedSilently) {
  { ASSERT_TRUE(open().has_value()); }
  std::ofstream(folder.path() + "/data/identity.json") << "{\"dataId\":";
  auto data = open();
  ASSERT_FALSE(data.has_value());
  EXPECT_NE(data.error().text().find("damaged"), std::string::npos);
}

TEST_F(DataDirectory, SaysWhereItCannotWrite) {
  std::ofstream(folder.path() + "/data") << "a file";
  auto data = open();
  ASSERT_FALSE(data.has_value());
  EXPECT_NE(data.error().text().find(folder.path()), std::string::npos);
}

TEST(DurableFile, ReplacesWhollyOrNotAtAll) {
  TemporaryFolder folder;
  std::string path = folder.path() + "/file";
  ASSERT_TRUE(write_durably(path, "one").has_value());
  ASSERT_TRUE(write_durably(path, "two", Sync::no).has_value());
  EXPECT_EQ(read_whole(path)->content, "two");
  std::filesystem::create_directory(path + ".tmp");
  EXPECT_FALSE(write_durably(path, "three").has_value());
  EXPECT_EQ(read_whole(path)->content, "two");
  EXPECT_FALSE(read_whole(folder.path() + "/missing")->exists);
  EXPECT_FALSE(read_whole(path, 2).has_value());  // larger than the bound
}

}  // namespace
}  // namespace lotse::agent

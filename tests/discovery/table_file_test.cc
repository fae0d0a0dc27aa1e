#include "discovery/table_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/discovery/fakes.h"

namespace lotse::discovery {
namespace {

class TableFileTest : public testing::Test {
 protected:
  TableFileTest()
      : folder_(testing::TempDir() + "table_file_" + testing::UnitTest::GetInstance()->current_test_info()->name()),
        path_(folder_ + "/table.jsonl") {
    std::filesystem::create_directories(folder_);
    table_.source = "http://127.0.0.1:8080";
    table_.term = 7;
    for (const model::Endpoint& each : many(3))
      table_.endpoints.push_back(std::make_shared<const model::Endpoint>(each));
  }
  ~TableFileTest() override { std::filesystem::remove_all(folder_); }

  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }

  std::string folder_, path_;
  SavedTable table_;
};

TEST_F(TableFileTest, ComesBackAsItWasSaved) {
  ASSERT_TRUE(save_table(path_, table_));
  ASSERT_TRUE(save_table(path_, table_));  // over the old one
  auto loaded = load_table(path_);
  ASSERT_TRUE(loaded) << loaded.error().text();
  EXPECT_EQ(loaded->source, table_.source);
  EXPECT_EQ(loaded->term, 7u);
  ASSERT_EQ(loaded->endpoints.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(*loaded->endpoints[i], *table_.endpoints[i]);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".new"));
}

TEST_F(TableFileTest, AFileThatIsCutOffAnywhereIsRefused) {
  ASSERT_TRUE(save_table(path_, table_));
  std::string whole = bytes();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path_, std::ios::binary) << whole.substr(0, length);
    EXPECT_FALSE(load_table(path_)) << length;
  }
}

TEST_F(TableFileTest, RefusesWhatIsNoTable) {
  for (const char* text :
       {"\n", "{}\n", "[]\n", "hello\n", "{\"format\":2,\"source\":\"\",\"term\":1,\"endpoints\":0}\n",
        "{\"format\":1,\"source\":\"\",\"term\":-1,\"endpoints\":\"x\"}\n",
        "{\"format\":1,\"source\":\"\",\"term\":1,\"endpoints\":1}\n{}\n"}) {
    std::ofstream(path_, std::ios::binary) << text;
    EXPECT_FALSE(load_table(path_)) << text;
  }
  EXPECT_FALSE(load_table(folder_ + "/none"));
}

TEST_F(TableFileTest, ADirectoryThatIsNotThereIsAProblem) {
  auto saved = save_table(folder_ + "/none/table.jsonl", table_);
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().text().find("No such file or directory"), std::string::npos);
}

}  // namespace
}  // namespace lotse::discovery

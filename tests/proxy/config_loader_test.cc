#include "proxy/config_loader.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <vector>

#include "net/timers.h"

namespace lotse::proxy {
namespace {

class ConfigLoaderTest : public testing::Test {
 protected:
  ConfigLoaderTest() : path_(testing::TempDir() + "loader_" + name() + ".yaml") { write("version: 1\nworkers: 1\n"); }
  ~ConfigLoaderTest() override { std::filesystem::remove(path_); }

  static std::string name() { return testing::UnitTest::GetInstance()->current_test_info()->name(); }

  void write(const std::string& text) {  // as editors and deployments do it: a rename
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }

  ConfigLoader::Apply apply() {
    return [this](std::shared_ptr<const Config> config) -> Result<Unit, Problem> {
      if (refuse_) return fail(Problem{"listeners[0]", "address already in use"});
      applied_.push_back(config->workers);
      loop_.stop();
      return Unit{};
    };
  }

  static std::string metrics_of(const ConfigLoader& loader) {
    std::string text;
    loader.write_metrics(text);
    return text;
  }
  static bool has_success(const ConfigLoader& loader, int value) {
    return metrics_of(loader).find("\nlotse_config_last_reload_success " + std::to_string(value) + "\n") !=
           std::string::npos;
  }

  net::Loop loop_;
  std::string path_;
  std::vector<int> applied_;
  bool refuse_ = false;
};

TEST_F(ConfigLoaderTest, LoadsAndHandsOn) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  EXPECT_EQ(applied_, std::vector<int>{1});
  EXPECT_EQ(loader.current()->workers, 1);
  EXPECT_TRUE(has_success(loader, 1));
}

TEST_F(ConfigLoaderTest, ABrokenFirstFileSaysAllProblems) {
  write("version: 1\nworkrs: 1\nadmn: {}\n");
  ConfigLoader loader(loop_, path_, apply());
  auto loaded = loader.load_first();
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().text().find("did you mean \"workers\""), std::string::npos);
  EXPECT_NE(loaded.error().text().find("did you mean \"admin\""), std::string::npos);
  EXPECT_TRUE(applied_.empty());
}

TEST_F(ConfigLoaderTest, ABrokenEditKeepsTheLastGoodOne) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  write("version: 1\nworkers: [\n");
  EXPECT_FALSE(loader.reload());
  EXPECT_EQ(loader.current()->workers, 1);
  EXPECT_TRUE(has_success(loader, 0));
  write("version: 1\nworkers: 2\n");
  EXPECT_TRUE(loader.reload());
  EXPECT_EQ(applied_, (std::vector<int>{1, 2}));
  EXPECT_TRUE(has_success(loader, 1));
}

TEST_F(ConfigLoaderTest, AConfigurationThatCannotBeAppliedIsAFailedReload) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  write("version: 1\nworkers: 2\n");
  refuse_ = true;
  EXPECT_FALSE(loader.reload());
  EXPECT_EQ(loader.current()->workers, 1);
  EXPECT_TRUE(has_success(loader, 0));
}

TEST_F(ConfigLoaderTest, AFileThatWentAwayKeepsTheLastGoodOne) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  std::filesystem::remove(path_);
  EXPECT_FALSE(loader.reload());
  EXPECT_EQ(loader.current()->workers, 1);
}

TEST_F(ConfigLoaderTest, FollowsTheFile) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  loader.watch();
  loop_.post([this] { write("version: 1\nworkers: 4\n"); });
  net::Timer limit(loop_.timers(), [this] { loop_.stop(); });
  limit.start(std::chrono::seconds(30));
  while (applied_.size() < 2 && limit.is_armed()) loop_.run();
  EXPECT_EQ(applied_, (std::vector<int>{1, 4}));
}

TEST_F(ConfigLoaderTest, LoadsAgainOnSighupEvenWhenTheTextIsTheSame) {
  ConfigLoader loader(loop_, path_, apply());
  ASSERT_TRUE(loader.load_first());
  loader.watch();
  loop_.post([] { std::raise(SIGHUP); });
  net::Timer limit(loop_.timers(), [this] { loop_.stop(); });
  limit.start(std::chrono::seconds(30));
  while (applied_.size() < 2 && limit.is_armed()) loop_.run();
  EXPECT_EQ(applied_, (std::vector<int>{1, 1}));
}

}  // namespace
}  // namespace lotse::proxy

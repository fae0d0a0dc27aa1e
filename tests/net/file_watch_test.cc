#include <filesystem>
#include <fstream>

#include "net/process.h"
#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public NetTest {
 protected:
  void put(const std::string& name, const std::string& content) { std::ofstream(path(name)) << content; }
  std::string path(const std::string& name) const { return folder.path() + "/" + name; }
  void watch(const std::string& name) {
    file_watch = FileWatch::open(loop, path(name), [this] { ++changes; });
  }
  void expect_one_change() {
    run_until([&] { return changes > 0; });
    wait(700ms);  // longer than a round of polling: the same change must not be told twice
    EXPECT_EQ(changes, 1);
    changes = 0;
  }
  void wait(Duration time) {
    bool is_over = false;
    Timer timer(loop.timers(), [&] { is_over = true; });
    timer.start(time);
    run_until([&] { return is_over; });
  }

  TemporaryFolder folder;
  std::unique_ptr<FileWatch> file_watch;
  int changes = 0;
};

TEST_F(FileWatchTest, SeesAnEditOnce) {
  put("proxy.yaml", "one");
  watch("proxy.yaml");
  put("other.yaml", "not ours");
  put("proxy.yaml", "two!");
  put("proxy.yaml", "three");
  expect_one_change();
}

TEST_F(FileWatchTest, SeesAReplacementByRename) {
  put("proxy.yaml", "one");
  watch("proxy.yaml");
  put("proxy.yaml.new", "two");
  fs::rename(path("proxy.yaml.new"), path("proxy.yaml"));
  expect_one_change();
}

TEST_F(FileWatchTest, SeesTheFileGoAndCome) {
  put("proxy.yaml", "one");
  watch("proxy.yaml");
  fs::remove(path("proxy.yaml"));
  expect_one_change();
  put("proxy.yaml", "two");
  expect_one_change();
}

// As Kubernetes and deployment tools do: current -> release-1, then current -> release-2.
TEST_F(FileWatchTest, SeesALinkOnTheWayTurnElsewhere) {
  fs::create_directory(path("release-1"));
  fs::create_directory(path("release-2"));
  put("release-1/proxy.yaml", "one");
  put("release-2/proxy.yaml", "two");
  fs::create_directory_symlink("release-1", path("current"));
  watch("current/proxy.yaml");
  wait(20ms);
  fs::create_directory_symlink("release-2", path("next"));
  fs::rename(path("next"), path("current"));
  expect_one_change();
}

TEST_F(FileWatchTest, SeesAFileInAFolderThatComesLater) {
  watch("later/proxy.yaml");
  fs::create_directory(path("later"));
  put("later/proxy.yaml", "one");
  expect_one_change();
}

TEST_F(FileWatchTest, MayBeDestroyedInItsCallbackAndWhileSomethingIsDue) {
  put("proxy.yaml", "one");
  auto held = std::make_shared<int>(0);
  file_watch = FileWatch::open(loop, path("proxy.yaml"), [this, held] {
    file_watch.reset();
    ++*held;
  });
  put("proxy.yaml", "two!");
  run_until([&] { return *held == 1; });
  EXPECT_EQ(held.use_count(), 1);
  watch("proxy.yaml");
  put("proxy.yaml", "three");
  loop.run_once_ready();
  file_watch.reset();
  wait(60ms);
  EXPECT_EQ(changes, 0);
}

}  // namespace
}  // namespace lotse::net

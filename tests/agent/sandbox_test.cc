#include "agent/sandbox.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/durable_file.h"
#include "agent/fetch_budget.h"
#include "tests/agent/test_archive.h"
#include "tests/temporary_folder.h"

namespace lotse::agent {
namespace {

namespace fs = std::filesystem;

class SandboxTest : public ::testing::Test {
 protected:
  SandboxTest() {
    make_folders(folder.path() + "/files").value();
    make_folders(folder.path() + "/sandboxes").value();
    order.path = folder.path() + "/sandboxes/task";
    order.cache_path = folder.path() + "/cache";
    order.cache_bytes_max = bounds.cache_bytes_max;
  }
  std::string file(const std::string& name, const std::string& content = {}) {
    std::string path = folder.path() + "/files/" + name;
    if (!content.empty()) std::ofstream(path) << content;
    return path;
  }
  std::string archive(const std::string& name, const std::vector<TestEntry>& entries) {
    write_archive(file(name), entries);
    return file(name);
  }
  void fetch(const std::string& path, const std::string& dest = {}) {
    model::Fetch one;
    one.uri = "file://" + path;
    one.dest_path = dest;
    order.fetch.push_back(one);
  }
  std::string problem() {  // "" when all went well
    FetchBudget budget(bounds);
    Done done = fill_sandbox(order, budget);
    return done ? "" : done.error().text();
  }
  std::string content(const std::string& name) const {
    auto read = read_whole(order.path + "/" + name);
    return read && read->exists ? read->content : "(absent)";
  }
  bool nothing_is_left() const { return fs::is_empty(folder.path() + "/sandboxes"); }

  TemporaryFolder folder;
  FetchBounds bounds;
  SandboxOrder order;
};

TEST_F(SandboxTest, AFileKeepsItsNameOrGetsTheOneItIsToHave) {
  fetch(file("a.txt", "one"));
  fetch(file("b.txt", "two"), "conf/deep/c.txt");
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("a.txt"), "one");
  EXPECT_EQ(content("conf/deep/c.txt"), "two");
  struct stat status {};
  ASSERT_EQ(::stat((order.path + "/a.txt").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0111, 0u);
}

TEST_F(SandboxTest, APathWithoutASchemeIsAFileOfThisMachine) {
  fetch(file("a.txt", "one"));
  order.fetch[0].uri = file("a.txt");
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("a.txt"), "one");
}

TEST_F(SandboxTest, NamesComeFromThePathOfTheUri) {
  EXPECT_EQ(file_name_of("http://host/a/b.tgz?token=x/y#z"), "b.tgz");
  EXPECT_EQ(file_name_of("http://host/"), "");
  EXPECT_EQ(file_name_of("http://host"), "");
  EXPECT_EQ(file_name_of("/etc/docker.tar.gz"), "docker.tar.gz");
}

TEST_F(SandboxTest, ArchivesOfEveryKindAreUnpackedAndStay) {
  for (const char* name : {"1.tar", "2.tar.gz", "3.tgz", "4.tar.bz2", "5.tar.xz", "6.zip"}) {
    std::string inner = std::string("bin/") + name + ".txt";
    fetch(archive(name, {{.name = inner, .content = "of " + std::string(name), .mode = 0755}}));
  }
  ASSERT_EQ(problem(), "");
  for (const char* name : {"1.tar", "2.tar.gz", "3.tgz", "4.tar.bz2", "5.tar.xz", "6.zip"}) {
    EXPECT_EQ(content(std::string("bin/") + name + ".txt"), "of " + std::string(name));
    EXPECT_NE(content(name), "(absent)");
  }
  EXPECT_EQ(::access((order.path + "/bin/3.tgz.txt").c_str(), X_OK), 0);
}

TEST_F(SandboxTest, AFileInGzIsUnpackedBesideItself) {
  fetch(archive("dump.sql.gz", {{.name = "-", .content = "select 1"}}));
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("dump.sql"), "select 1");
}

TEST_F(SandboxTest, ExtractFalseAndExecutableLeaveAnArchiveAsItIs) {
  fetch(archive("a.tgz", {{.name = "inner", .content = "x"}}));
  order.fetch[0].extract = false;
  fetch(archive("b.tgz", {{.name = "inner", .content = "x"}}));
  order.fetch[1].executable = true;
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("inner"), "(absent)");
  EXPECT_EQ(::access((order.path + "/b.tgz").c_str(), X_OK), 0);
}

TEST_F(SandboxTest, LinksWithinAnArchiveAreKept) {
  fetch(archive("a.tar", {{.name = "lib/x.1", .content = "x"},
                          {.name = "lib/x", .symlink = "x.1"},
                          {.name = "lib/y", .hardlink = "lib/x.1"}}));
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("lib/x"), "x");
  EXPECT_EQ(content("lib/y"), "x");
}

TEST_F(SandboxTest, WhatLeadsOutOfTheSandboxIsRefusedAndNothingIsLeft) {
  const std::vector<std::vector<TestEntry>> hostile{
      {{.name = "../evil", .content = "x"}},
      {{.name = "a/../../evil", .content = "x"}},
      {{.name = folder.path() + "/evil", .content = "x"}},
      {{.name = "out", .symlink = folder.path()}, {.name = "out/evil", .content = "x"}},
      {{.name = "a/b", .content = "x"}, {.name = "h", .hardlink = "../../files/secret"}},
      {{.name = "h", .hardlink = file("secret", "s")}},
      {{.name = "fifo", .type = AE_IFIFO}},
  };
  for (std::size_t i = 0; i < hostile.size(); ++i) {
    for (const char* suffix : {".tar", ".tar.gz"}) {
      order.fetch.clear();
      fetch(archive("hostile" + std::to_string(i) + suffix, hostile[i]));
      EXPECT_NE(problem(), "") << i;
      EXPECT_TRUE(nothing_is_left()) << i;
      EXPECT_FALSE(fs::exists(folder.path() + "/evil")) << i;
    }
  }
}

TEST_F(SandboxTest, ALinkFromAnArchiveLeadsNoLaterFileOut) {
  fetch(archive("a.tar", {{.name = "out", .symlink = folder.path()}}));
  fetch(file("b.txt", "x"), "out/evil");
  EXPECT_NE(problem().find("outside of the sandbox"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder.path() + "/evil"));
  order.fetch.pop_back();
  order.fetch[0].uri = "file://" + archive("c.tar", {{.name = "b.txt", .symlink = folder.path() + "/evil"}});
  fetch(file("b.txt", "x"));
  EXPECT_EQ(problem(), "");  // takes the link's place
  EXPECT_EQ(content("b.txt"), "x");
  EXPECT_FALSE(fs::exists(folder.path() + "/evil"));
}

TEST_F(SandboxTest, AnArchiveGivesNobodyAnotherUsersRights) {
  fetch(archive("a.tar", {{.name = "su", .content = "x", .mode = 06755}}));
  ASSERT_EQ(problem(), "");
  struct stat status {};
  ASSERT_EQ(::stat((order.path + "/su").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 06000, 0u);
}

TEST_F(SandboxTest, ADamagedArchiveIsRefusedWithItsUri) {
  fetch(file("broken.tgz", "this is no archive"));
  EXPECT_TRUE(problem().starts_with("file://" + file("broken.tgz") + ": ")) << problem();
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(SandboxTest, WhatIsNoFileIsRefusedInWords) {
  fetch(file("absent"));
  EXPECT_EQ(problem(), "file://" + file("absent") + ": cannot be opened on this machine: No such file or directory");
  ASSERT_EQ(::mkfifo(file("fifo").c_str(), 0600), 0);
  order.fetch[0].uri = file("fifo");
  EXPECT_EQ(problem(), file("fifo") + ": is no regular file on this machine");
  order.fetch[0].uri = "s3://bucket/key";
  EXPECT_EQ(problem(), "s3://bucket/key: cannot be fetched: only http://, https:// and file:///absolute/path can");
  order.fetch[0].uri = "http://host/";
  EXPECT_EQ(problem(), "http://host/: names no file; say with destPath what it is to be called");
}

TEST_F(SandboxTest, MoreBytesThanTheBoundAreRefusedEvenWhenTheArchiveIsSmall) {
  bounds.bytes_max = 1 << 20;
  fetch(archive("bomb.tar.gz", {{.name = "zeros", .content = std::string(4 << 20, '\0')}}));
  EXPECT_NE(problem().find("brings more than 1 MiB"), std::string::npos) << problem();
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(SandboxTest, WhatIsCachedIsFetchedOnceAndArchivesLeaveNoCopy) {
  std::string path = archive("a.tgz", {{.name = "inner", .content = "first"}});
  fetch(path);
  order.fetch[0].cache = true;
  fetch(file("plain", "first"));
  order.fetch[1].cache = true;
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("a.tgz"), "(absent)");
  fs::remove(path);
  std::ofstream(file("plain")) << "second";
  std::ofstream(order.path + "/plain") << "changed by the task";
  order.path = folder.path() + "/sandboxes/other";
  ASSERT_EQ(problem(), "");
  EXPECT_EQ(content("inner"), "first");
  EXPECT_EQ(content("plain"), "first");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() + "/sandboxes"), {}), 2);
}

TEST_F(SandboxTest, TheCacheKeepsWithinItsBound) {
  order.cache_bytes_max = 250;
  for (int i = 0; i < 5; ++i) {
    order.path = folder.path() + "/sandboxes/task" + std::to_string(i);
    order.fetch.clear();
    fetch(file("f" + std::to_string(i), std::string(100, 'x')));
    order.fetch[0].cache = true;
    ASSERT_EQ(problem(), "");
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(order.cache_path), {}), 2);
}

TEST_F(SandboxTest, ASandboxThatIsThereIsComplete) {
  fetch(file("a.txt", "one"));
  ASSERT_EQ(problem(), "");
  fs::remove(file("a.txt"));
  EXPECT_EQ(problem(), "");
}

}  // namespace
}  // namespace lotse::agent

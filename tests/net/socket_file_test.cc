#include "net/socket_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "net/listen.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

TEST(SocketFile, GoesWithItsOwner) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/s";
  {
    auto fd = make_listening_socket(*Address::parse("unix:" + path));
    ASSERT_TRUE(fd);
    SocketFile file(local_address(fd->get()));
    SocketFile moved;
    moved = std::move(file);
    file.remove();
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(SocketFile, LeavesAnothersAlone) {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/s";
  auto first = make_listening_socket(*Address::parse("unix:" + path));
  ASSERT_TRUE(first);
  SocketFile file(local_address(first->get()));
  std::filesystem::rename(path, path + ".old");  // as a successor does that binds beside and moves over
  auto second = make_listening_socket(*Address::parse("unix:" + path));
  ASSERT_TRUE(second);
  file.remove();
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(SocketFile, HasNothingToDoForOtherAddresses) {
  SocketFile tcp(*Address::parse("127.0.0.1:80")), gone(*Address::parse("unix:/nowhere/s"));
  tcp.remove();
  gone.remove();
}

}  // namespace
}  // namespace lotse::net

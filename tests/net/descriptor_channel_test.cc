#include "net/descriptor_channel.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {
namespace {

class DescriptorChannelTest : public NetTest {
 protected:
  struct End {
    std::unique_ptr<DescriptorChannel> channel;
    std::vector<std::string> messages;
    std::vector<UniqueFd> descriptors;
    bool is_closed = false;
    DescriptorChannel::Callbacks callbacks() {
      return {[this](std::string_view message, std::vector<UniqueFd> fds) {
                messages.emplace_back(message);
                for (UniqueFd& fd : fds) descriptors.push_back(std::move(fd));
              },
              [this] { is_closed = true; }};
    }
  };
  void open(const std::string& path) {
    auto listening = DescriptorListener::open(loop, path, [this](UniqueFd fd) {
      auto adopted = DescriptorChannel::adopt(loop, std::move(fd), server.callbacks());
      ASSERT_TRUE(adopted);
      server.channel = std::move(*adopted);
    });
    ASSERT_TRUE(listening);
    listener = std::move(*listening);
    auto connected = DescriptorChannel::connect(loop, path, client.callbacks());
    ASSERT_TRUE(connected);
    client.channel = std::move(*connected);
    run_until([&] { return server.channel != nullptr; });
  }
  static std::vector<UniqueFd> pipe_ends() {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    std::vector<UniqueFd> ends;
    ends.emplace_back(fds[0]);
    ends.emplace_back(fds[1]);
    return ends;
  }

  TemporaryFolder folder;
  End client, server;
  std::unique_ptr<DescriptorListener> listener;
};

TEST_F(DescriptorChannelTest, BringsMessagesWholeAndInOrderWithTheirDescriptors) {
  open(folder.path() + "/s");
  client.channel->send("first", {});
  client.channel->send("second", pipe_ends());
  run_until([&] { return server.messages.size() == 2; });
  EXPECT_EQ(server.messages, (std::vector<std::string>{"first", "second"}));
  ASSERT_EQ(server.descriptors.size(), 2U);
  ASSERT_EQ(write(server.descriptors[1].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(server.descriptors[0].get(), &byte, 1), 1);
  EXPECT_EQ(server.channel->peer().pid, getpid());
  EXPECT_EQ(server.channel->peer().uid, geteuid());
}

TEST_F(DescriptorChannelTest, WhatWasSentBeforeTheEndIsHeardBeforeTheEnd) {
  open(folder.path() + "/s");
  for (int i = 0; i < 50; ++i) server.channel->send("never read", {});  // its end is a reset then
  for (int i = 0; i < 50; ++i) client.channel->send("last words", {});
  client.channel.reset();
  run_until([&] { return server.is_closed; });
  EXPECT_EQ(server.messages.size(), 50U);
}

TEST_F(DescriptorChannelTest, WaitsForASlowReaderAndEndsAtItsBounds) {
  open(folder.path() + "/s");
  const std::string large(DescriptorChannel::kMessageBytesMax, 'x');
  for (int i = 0; i < 40; ++i) client.channel->send(large, {});  // more than a socket holds
  run_until([&] { return server.messages.size() == 40; });
  EXPECT_EQ(server.messages.back(), large);
  client.channel->send(large + "x", {});
  run_until([&] { return client.is_closed; });
}

TEST_F(DescriptorChannelTest, ItsFileIsOursAloneIsMovedIntoPlaceAndGoesWithItsOwner) {
  const std::string path = folder.path() + "/" + std::string(120, 'd') + "/s";  // longer than a socket's name may be
  std::filesystem::create_directory(folder.path() + "/" + std::string(120, 'd'));
  open(path);
  struct stat found {};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0600U);
  auto successor = DescriptorListener::open(loop, path, [](UniqueFd) {});
  ASSERT_TRUE(successor);
  listener.reset();
  EXPECT_TRUE(std::filesystem::exists(path)) << "it is another one's by now";
  successor->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace lotse::net

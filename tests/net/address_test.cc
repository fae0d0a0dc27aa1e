#include "net/address.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstddef>
#include <string>

namespace lotse::net {
namespace {

TEST(Address, ReadsBackWhatItWrites) {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80", "[::]:443",
                           "[fe80::1:2]:1", "unix:/run/x.sock", "unix:relative", "unix:@abstract"}) {
    auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
    EXPECT_EQ(*Address::parse(address->to_string()), *address);
    EXPECT_FALSE(address->is_empty());
  }
}

TEST(Address, NormalisesIpv6) {
  EXPECT_EQ(Address::parse("[0:0:0:0:0:0:0:1]:8080")->to_string(), "[::1]:8080");
  EXPECT_EQ(*Address::parse("[0:0::1]:8080"), *Address::parse("[::1]:8080"));
}

TEST(Address, RefusesWhatIsNotOneAndSaysWhy) {
  for (const char* text : {"",
                           ":80",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:+80",
                           "127.0.0.1:80x",
                           "127.0.0.1: 80",
                           "127.1:80",
                           "256.0.0.1:80",
                           "localhost:80",
                           "::1:80",
                           "::1",
                           "[::1]",
                           "[::1]80",
                           "[127.0.0.1]:80",
                           "[]:80",
                           "[::1:80",
                           "::1]:80",
                           "[::g]:80",
                           "[fe80::1%lo]:80",
                           "unix:",
                           "*:80"}) {
    auto address = Address::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().where, text);
    EXPECT_FALSE(address.error().what.empty());
  }
  EXPECT_FALSE(Address::parse(std::string_view("127.0.0.1\0:80", 13)));
  EXPECT_FALSE(Address::parse(std::string_view("unix:/a\0b", 9)));
  EXPECT_FALSE(Address::parse("[" + std::string(1000, '1') + "]:80"));
}

TEST(Address, HoldsAUnixPathOf107BytesAtMost) {
  EXPECT_TRUE(Address::parse("unix:" + std::string(107, 'x')));
  EXPECT_FALSE(Address::parse("unix:" + std::string(108, 'x')));
}

TEST(Address, TakesIpAndPortApart) {
  EXPECT_EQ(Address::parse("10.1.2.3:81")->ip(), "10.1.2.3");
  EXPECT_EQ(Address::parse("10.1.2.3:81")->port(), 81);
  EXPECT_EQ(Address::parse("[::1]:82")->ip(), "::1");
  EXPECT_EQ(Address::parse("unix:/x")->ip(), "");
  EXPECT_EQ(Address::parse("unix:/x")->port(), 0);
  EXPECT_TRUE(Address::parse("unix:/x")->is_unix());
  EXPECT_EQ(Address::from_ip("::1", 9)->to_string(), "[::1]:9");
  EXPECT_FALSE(Address::from_ip("[::1]", 9));
  EXPECT_FALSE(Address::from_ip("", 9));
}

TEST(Address, ComparesByMeaning) {
  EXPECT_NE(*Address::parse("127.0.0.1:1"), *Address::parse("127.0.0.1:2"));
  EXPECT_NE(*Address::parse("127.0.0.1:1"), *Address::parse("127.0.0.2:1"));
  EXPECT_NE(*Address::parse("[::1]:1"), *Address::parse("127.0.0.1:1"));
  EXPECT_NE(*Address::parse("unix:/a"), *Address::parse("unix:/b"));
  EXPECT_NE(*Address::parse("unix:/a"), Address());
  EXPECT_EQ(Address(), Address());
}

TEST(Address, TakesAnUnnamedUnixSocketsName) {
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  auto address = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), offsetof(sockaddr_un, sun_path));
  EXPECT_TRUE(address.is_unix());
  EXPECT_FALSE(address.is_empty());
  EXPECT_EQ(address.to_string(), "unix:");
}

TEST(Address, IsEmptyForASockaddrOfNoLength) {
  EXPECT_TRUE(Address::from_sockaddr(nullptr, 0).is_empty());
  EXPECT_EQ(Address().to_string(), "");
}

}  // namespace
}  // namespace lotse::net

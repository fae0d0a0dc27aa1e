// Which fields go on, and what becomes of what a trusted proxy said.
#include "proxy/forwarding.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lotse::proxy {
namespace {

class ForwardingTest : public ::testing::Test {
 protected:
  ForwardingTest() {
    HttpConfig http;
    http.trusted_proxies.push_back({*net::Address::from_ip("127.0.0.1", 0), 32});
    client = make_client_info(*net::Address::from_ip("127.0.0.1", 5), *net::Address::from_ip("127.0.0.1", 80), http);
  }
  std::string_view sent(std::string_view name) {
    http::RequestHead head;
    head.authority = "shop.test";
    head.fields = received;
    out.clear();
    append_request_fields(head, client, false, arena, out);
    for (const http::Field& field : out) {
      if (field.name == name) return field.value;
    }
    return "(none)";
  }

  ClientInfo client;
  std::vector<http::Field> received, out;
  Arena arena;
};

TEST_F(ForwardingTest, ExtendsWhatATrustedProxySaid) {
  received = {{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=192.0.2.1"}};
  EXPECT_EQ(sent("X-Forwarded-For"), "192.0.2.1, 127.0.0.1");
  EXPECT_EQ(sent("Forwarded"), "for=192.0.2.1, for=127.0.0.1;proto=http;host=\"shop.test\"");
}

TEST_F(ForwardingTest, JoinsRepeatedLinesInTheirOrderAndDropsEmptyOnes) {
  received = {{"X-Forwarded-For", ""},          {"x-forwarded-for", "192.0.2.1"}, {"X-Forwarded-For", ""},
              {"X-Forwarded-For", "192.0.2.2"}, {"Forwarded", "for=a"},           {"Forwarded", "for=b"}};
  EXPECT_EQ(sent("X-Forwarded-For"), "192.0.2.1, 192.0.2.2, 127.0.0.1");
  EXPECT_EQ(sent("Forwarded"), "for=a, for=b, for=127.0.0.1;proto=http;host=\"shop.test\"");
  received = {{"X-Forwarded-For", ""}, {"X-Forwarded-For", ""}};
  EXPECT_EQ(sent("X-Forwarded-For"), "127.0.0.1");
}

// Joined line by line, 2,000 lines would take 16 MB; what is kept is what was sent, once.
TEST_F(ForwardingTest, ManyLinesCostWhatTheyHoldAndNotItsSquare) {
  const std::string address = "192.0.2.255";
  for (int i = 0; i < 2000; ++i) received.push_back({"X-Forwarded-For", address});
  EXPECT_EQ(sent("X-Forwarded-For").size(), 2000 * (address.size() + 2) + 9);
  EXPECT_LE(arena.blocks(), 3U);
}

}  // namespace
}  // namespace lotse::proxy

#include "net/resolver.h"

#include <optional>

#include "tests/net/net_fixture.h"

namespace lotse::net {
namespace {

class ResolverTest : public NetTest {
 protected:
  Result<std::vector<Address>> look_up(const std::string& host, std::uint16_t port = 80) {
    std::optional<Result<std::vector<Address>>> answer;
    auto lookup = resolve(loop, host, port, [&](Result<std::vector<Address>> found) { answer = std::move(found); });
    EXPECT_FALSE(answer) << "called back from inside resolve()";
    run_until([&] { return answer.has_value(); });
    return *answer;
  }
};

TEST_F(ResolverTest, AnswersIpAddressesWithoutALookUp) {
  for (const char* host : {"127.0.0.1", "::1", "[::1]"}) {
    auto found = look_up(host, 8080);
    ASSERT_TRUE(found) << host;
    ASSERT_EQ(found->size(), 1U);
    EXPECT_EQ(found->front().port(), 8080);
  }
  EXPECT_EQ(look_up("[::1]", 1)->front().to_string(), "[::1]:1");
}

TEST_F(ResolverTest, FindsLocalhost) {
  auto found = look_up("localhost", 8080);
  ASSERT_TRUE(found);
  for (const Address& address : *found) {
    EXPECT_TRUE(address.ip() == "127.0.0.1" || address.ip() == "::1") << address.to_string();
    EXPECT_EQ(address.port(), 8080);
  }
}

TEST_F(ResolverTest, FailsForNamesThatCannotBe) {
  std::string with_zero("a\0b", 3);
  for (const std::string& host :
       {std::string(), with_zero, std::string(2000, 'x'), std::string("no spaces.invalid"), std::string("..")}) {
    auto found = look_up(host);
    ASSERT_FALSE(found) << host;
    EXPECT_EQ(found.error().code, Errc::resolve_failed);
    EXPECT_EQ(found.error().retry, Retry::always);
  }
}

TEST_F(ResolverTest, SaysNothingAfterItWasCancelled) {
  bool called = false;
  for (const char* host : {"127.0.0.1", "localhost", "..", ""}) {
    auto lookup = resolve(loop, host, 80, [&](Result<std::vector<Address>>) { called = true; });
    lookup.reset();
  }
  // More than the thread pool has threads: some are cancelled while they wait, some while they are looked up.
  std::vector<std::unique_ptr<Lookup>> many;
  for (int i = 0; i < 40; ++i) {
    many.push_back(resolve(loop, "localhost", 80, [&](Result<std::vector<Address>>) { called = true; }));
  }
  many.clear();
  for (int i = 0; i < 50; ++i) loop.run_once_ready();
  EXPECT_FALSE(called);
}  // the loop closes only when the last of them has ended

TEST_F(ResolverTest, MayBeDestroyedInItsCallback) {
  for (const char* host : {"127.0.0.1", "localhost", ""}) {
    auto held = std::make_shared<int>(0);
    std::unique_ptr<Lookup> lookup;
    lookup = resolve(loop, host, 80, [&lookup, held](const Result<std::vector<Address>>&) {
      lookup.reset();
      ++*held;
    });
    run_until([&] { return *held == 1; });
    EXPECT_EQ(held.use_count(), 1);
  }
}

}  // namespace
}  // namespace lotse::net

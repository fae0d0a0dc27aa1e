// Changes under load: configurations and endpoints come and go, and no request fails.
#include <filesystem>

#include "tests/proxy/load.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";

class ReloadTest : public ::testing::Test {
 protected:
  void SetUp() override { harness.start(); }
  Harness harness;
};

RouteConfig route(const std::string& host, const std::string& path, std::vector<WeightedTarget> to) {
  RouteConfig one;
  one.match.host.text = host;
  one.match.path = path;
  one.to = std::move(to);
  one.where = "routes of the test";
  return one;
}

TEST_F(ReloadTest, AHundredReloadsUnderLoadFailNoRequest) {
  Backend a(harness.loop, "a"), b(harness.loop, "b");
  harness.apply({Harness::endpoint("/app", a), Harness::endpoint("/other", b)});
  Load load(harness, 16, kGet);
  for (int i = 0; i < 100; ++i) {
    harness.config.routes.clear();
    if (i % 2 == 0) harness.config.routes.push_back(route("", "/app", {{{"/other", ""}, 1}}));
    if (i % 3 == 0)
      harness.config.routes.push_back(route("y" + std::to_string(i), "/", {{{"/new" + std::to_string(i), ""}, 1}}));
    harness.config.listeners.resize(1);
    if (i % 5 == 0) harness.config.listeners.push_back(Harness::listener("extra"));
    if (harness.config.listeners.size() > 1) harness.config.listeners[1].address = "127.0.0.1:0#" + std::to_string(i);
    auto applied = harness.reload();
    ASSERT_TRUE(applied) << applied.error().text();
    std::uint64_t before = load.answered;
    ASSERT_TRUE(load.run_until([&] { return harness.proxy->is_ready() && load.answered >= before + 20; }));
  }
  EXPECT_TRUE(load.finish());
  EXPECT_EQ(load.failed, 0U) << load.last_failure;
  EXPECT_GT(a.requests, 0U);
  EXPECT_GT(b.requests, 0U);
}

TEST_F(ReloadTest, EndpointsThatComeAndGoUnderLoadFailNoRequest) {
  std::vector<std::unique_ptr<Backend>> backends;
  for (int i = 0; i < 2; ++i) backends.push_back(std::make_unique<Backend>(harness.loop, "t" + std::to_string(i)));
  auto endpoint = [&](std::size_t i, model::EndpointState state) {
    model::Endpoint one = Harness::endpoint("/app", *backends[i]);
    one.state = state;
    return one;
  };
  harness.apply({endpoint(0, model::EndpointState::up), endpoint(1, model::EndpointState::up)});
  Load load(harness, 16, kGet);
  for (std::size_t round = 0; round < 40; ++round) {
    // A rolling restart, as the route barrier does it: the new one in, the old one draining, 0 in flight, killed.
    std::size_t leaving = round, coming = round + 2;
    backends.push_back(std::make_unique<Backend>(harness.loop, "t" + std::to_string(coming)));
    bool is_applied = false;
    harness.proxy->apply_endpoints(
        {{endpoint(coming, model::EndpointState::up), endpoint(leaving, model::EndpointState::draining)}, {}},
        [&] { is_applied = true; });
    const std::string task = backends[leaving]->name();
    ASSERT_TRUE(load.run_until([&] { return is_applied && harness.proxy->in_flight(task) == 0; }));
    backends[leaving]->die();
    harness.proxy->apply_endpoints({{}, {endpoint(leaving, model::EndpointState::up)}}, nullptr);
    std::uint64_t before = load.answered;
    ASSERT_TRUE(load.run_until([&] { return load.answered >= before + 50; }));
  }
  EXPECT_TRUE(load.finish());
  EXPECT_EQ(load.failed, 0U) << load.last_failure;
}

TEST_F(ReloadTest, AKilledEndpointUnderLoadLosesNoGet) {
  Backend a(harness.loop, "a"), b(harness.loop, "b"), c(harness.loop, "c");
  harness.apply({Harness::endpoint("/app", a), Harness::endpoint("/app", b), Harness::endpoint("/app", c)});
  Load load(harness, 32, kGet);
  ASSERT_TRUE(load.run_until([&] { return load.answered > 500; }));
  b.die();  // nobody tells the proxy
  std::uint64_t before = load.answered;
  ASSERT_TRUE(load.run_until([&] { return load.answered > before + 2000; }));
  EXPECT_TRUE(load.finish());
  EXPECT_EQ(load.failed, 0U) << load.last_failure;
}

TEST_F(ReloadTest, AnUnchangedListenerKeepsItsSocketAndARemovedOneDrains) {
  Backend a(harness.loop, "a");
  harness.apply({Harness::endpoint("/app", a)});
  harness.config.listeners.push_back(Harness::listener("second", "127.0.0.1:0"));
  harness.config.listeners[1].address = "second";
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->is_ready(); }));
  net::Address first = harness.address(0);
  auto on_first = harness.connect(0), on_second = harness.connect(1);
  harness.ask(*on_first, kGet);
  harness.ask(*on_second, kGet);
  harness.config.listeners.pop_back();
  ASSERT_TRUE(harness.reload());
  EXPECT_TRUE(harness.address(0) == first);
  std::string last = harness.ask(*on_second, kGet);
  EXPECT_TRUE(last.starts_with("HTTP/1.1 200 ")) << last;
  EXPECT_NE(last.find("Connection: close\r\n"), std::string::npos);
  ASSERT_TRUE(harness.run_until([&] { return on_second->is_over(); }));
  EXPECT_TRUE(harness.ask(*on_first, kGet).ends_with("\r\n\r\na"));
  EXPECT_EQ(on_first->received.find("Connection: close"), std::string::npos);
}

TEST_F(ReloadTest, AListenerThatCannotBeBoundRefusesTheWholeReload) {
  Backend a(harness.loop, "a");
  harness.apply({Harness::endpoint("/app", a)});
  net::Address taken = harness.address(0);
  Config good = harness.config;
  harness.config.routes.push_back(route("", "/app", {{{"/nobody", ""}, 1}}));
  harness.config.listeners.push_back(Harness::listener("clash", "127.0.0.1:" + std::to_string(a.port())));
  auto refused = harness.reload();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("clash"), std::string::npos) << refused.error().text();
  EXPECT_TRUE(harness.get("/app").ends_with("\r\n\r\na"));
  EXPECT_EQ(harness.proxy->listen_addresses().size(), 1U);
  EXPECT_TRUE(harness.address(0) == taken);
}

TEST_F(ReloadTest, RoutesByHostPathAndWeight) {
  Backend a(harness.loop, "a"), b(harness.loop, "b");
  harness.apply({Harness::endpoint("/a", a), Harness::endpoint("/b", b)});
  harness.config.routes = {route("shop.example", "/", {{{"/a", ""}, 1}}),
                           route("shop.example", "/api", {{{"/b", ""}, 1}}),
                           route("", "/split", {{{"/a", ""}, 50}, {{"/b", ""}, 50}, {{"/unknown", ""}, 1000}}),
                           route("", "/nobody", {{{"/unknown", ""}, 1}})};
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->is_ready(); }));
  EXPECT_TRUE(harness.get("/x", "SHOP.example:8080").ends_with("\r\n\r\na"));
  EXPECT_TRUE(harness.get("/api/y", "shop.example").ends_with("\r\n\r\nb"));
  EXPECT_TRUE(b.last_request.starts_with("GET /api/y HTTP/1.1\r\n"));  // a route strips nothing
  EXPECT_TRUE(harness.get("/apis", "shop.example").ends_with("\r\n\r\na"));
  std::size_t before = a.requests;
  for (int i = 0; i < 60; ++i) EXPECT_TRUE(harness.get("/split").starts_with("HTTP/1.1 200 "));
  EXPECT_GT(a.requests - before, 10U);
  EXPECT_LT(a.requests - before, 50U);
  EXPECT_NE(harness.get("/nobody").find("app /unknown has no endpoints"), std::string::npos);
  EXPECT_NE(harness.proxy->explain("http://shop.example/api").find("\"decision\": \"route\""), std::string::npos);
}

TEST_F(ReloadTest, ChangesThatComeBeforeTheFirstConfigurationAreApplied) {
  Backend a(harness.loop, "a");
  harness.proxy = std::make_unique<Proxy>(harness.loop, harness.confirmer);
  bool is_applied = false;
  harness.proxy->apply_endpoints({{Harness::endpoint("/app", a)}, {}}, [&] { is_applied = true; });
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return is_applied && harness.proxy->is_ready(); }));
  EXPECT_TRUE(harness.get("/app").ends_with("\r\n\r\na"));
}

TEST_F(ReloadTest, TheFileOfARemovedUnixListenerGoesAndThatOfAKeptOneStays) {
  TemporaryFolder folder;
  const std::string first = folder.path() + "/first", second = folder.path() + "/second";
  for (const std::string& path : {first, second}) {
    harness.config.listeners.push_back(Harness::listener(path, "unix:" + path));
  }
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->is_ready(); }));
  EXPECT_TRUE(std::filesystem::exists(first) && std::filesystem::exists(second));
  harness.config.listeners.erase(harness.config.listeners.begin() + 1);
  ASSERT_TRUE(harness.reload());
  EXPECT_FALSE(std::filesystem::exists(first));
  EXPECT_TRUE(std::filesystem::exists(second));
  bool is_over = false;
  harness.proxy->drain(1s, [&] { is_over = true; });
  EXPECT_FALSE(std::filesystem::exists(second));
  EXPECT_TRUE(harness.run_until([&] { return is_over; }));
}

}  // namespace
}  // namespace lotse::proxy::test

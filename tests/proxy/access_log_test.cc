// The access log end to end: fields, escaping, reopening. And a counting allocator's word on the kept-alive path.
#include "proxy/access_log.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

#include "tests/proxy/harness.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define LOTSE_COUNTS_ALLOCATIONS 1
namespace {
std::atomic<std::uint64_t> allocations_of_workers{0};
bool is_worker_thread() {
  thread_local const bool is_worker = [] {
    char name[16] = {};
    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
           std::string_view(name).starts_with("lotse-worker");
  }();
  return is_worker;
}
}  // namespace
void* operator new(std::size_t bytes) {
  if (is_worker_thread()) allocations_of_workers.fetch_add(1, std::memory_order_relaxed);
  if (void* place = std::malloc(bytes != 0 ? bytes : 1)) return place;
  throw std::bad_alloc();
}
void operator delete(void* place) noexcept { std::free(place); }
void operator delete(void* place, std::size_t) noexcept { std::free(place); }
#endif

namespace lotse::proxy::test {
namespace {

class AccessLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path = ::testing::TempDir() + "access_log_" + std::to_string(getpid()) + ".json";
    std::remove(path.c_str());
    harness.config.access_log = AccessLogConfig{path};
    harness.config.workers = 1;
    harness.start();
  }
  void TearDown() override { std::remove(path.c_str()); }
  std::vector<nlohmann::json> lines(const std::string& from) {
    std::vector<nlohmann::json> all;
    std::ifstream file(from);
    for (std::string line; std::getline(file, line);) {
      all.push_back(nlohmann::json::parse(line, nullptr, false));
      EXPECT_FALSE(all.back().is_discarded()) << line;
    }
    return all;
  }
  bool wait_for(const std::string& from, std::size_t count) {
    return harness.run_until([&] { return lines(from).size() >= count; });
  }
  Harness harness;
  std::string path;
};

TEST_F(AccessLogTest, WritesALineForEachRequest) {
  Backend backend(harness.loop, "task-a");
  harness.apply({Harness::endpoint("/app", backend)});
  auto client = harness.connect();
  harness.ask(*client, "POST /app/x\"y?secret=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  harness.get("/nowhere");
  client->send("BAD\r\n\r\n");
  ASSERT_TRUE(wait_for(path, 3));
  auto all = lines(path);
  EXPECT_EQ(all[0]["method"], "POST");
  EXPECT_EQ(all[0]["host"], "x");
  EXPECT_EQ(all[0]["path"], "/app/x\"y");
  EXPECT_EQ(all[0]["status"], 200);
  EXPECT_EQ(all[0]["bytes_in"], 4);
  EXPECT_EQ(all[0]["bytes_out"], 6);
  EXPECT_EQ(all[0]["app"], "/app");
  EXPECT_EQ(all[0]["task"], "task-a");
  EXPECT_EQ(all[0]["endpoint"], "127.0.0.1:" + std::to_string(backend.port()));
  EXPECT_EQ(all[0]["attempts"], 1);
  EXPECT_EQ(all[0]["client"], "127.0.0.1");
  EXPECT_TRUE(all[0]["duration_ms"].is_number());
  EXPECT_LE(all[0]["first_byte_ms"].get<double>(), all[0]["duration_ms"].get<double>());
  EXPECT_FALSE(all[0].contains("error"));
  EXPECT_EQ(all[1]["status"], 404);
  EXPECT_NE(all[1]["error"].get<std::string>().find("no route"), std::string::npos);
  EXPECT_EQ(all[2]["status"], 400);
}

TEST_F(AccessLogTest, AClientThatWentIsWrittenAs499) {
  Backend backend(harness.loop, "task-a");
  harness.apply({Harness::endpoint("/app", backend)});
  backend.script = [](Peer&) {};
  auto whole = harness.connect(), half = harness.connect();
  whole->send("GET /app HTTP/1.1\r\nHost: x\r\n\r\n");
  half->send("POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo");
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->in_flight("task-a") == 2 && backend.peers.size() == 2; }));
  whole->reset();
  half->half_close();
  ASSERT_TRUE(wait_for(path, 2));
  for (const auto& line : lines(path)) {
    EXPECT_EQ(line["status"], 499);
    EXPECT_EQ(line["task"], "task-a");
    EXPECT_EQ(line["error"], "the client closed the connection");
  }
}

TEST_F(AccessLogTest, OpensItsFileAgainOnAReload) {
  harness.get("/one");
  ASSERT_TRUE(wait_for(path, 1));
  const std::string rotated = path + ".1";
  std::rename(path.c_str(), rotated.c_str());
  ASSERT_TRUE(harness.reload());
  ASSERT_TRUE(harness.run_until([&] { return harness.proxy->is_ready(); }));
  harness.get("/two");
  ASSERT_TRUE(wait_for(path, 1));
  EXPECT_EQ(lines(rotated).size(), 1U);
  std::remove(rotated.c_str());
}

TEST_F(AccessLogTest, OpensItsFileAgainWithoutAReload) {
  harness.get("/one");
  ASSERT_TRUE(wait_for(path, 1));
  const std::string rotated = path + ".1";
  std::rename(path.c_str(), rotated.c_str());
  harness.proxy->reopen_access_log();
  harness.get("/two");
  ASSERT_TRUE(wait_for(path, 1));
  EXPECT_EQ(lines(rotated).size(), 1U);
  std::remove(rotated.c_str());
}

TEST_F(AccessLogTest, AFileThatCannotBeOpenedRefusesTheReload) {
  harness.config.access_log = AccessLogConfig{"/nonexistent/folder/log"};
  auto refused = harness.reload();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("/nonexistent/folder/log"), std::string::npos);
}

TEST(AccessLog, DropsWholeBuffersAndCountsThemWhenNobodyReads) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    AccessLog log;
    ASSERT_TRUE(log.open("/proc/self/fd/" + std::to_string(ends[1])));
    const std::string block(64 * 1024, 'x');
    LogBlock lines;
    for (int i = 0; i < 200; ++i) {
      char* out = lines.reserve(block.size());
      lines.commit(std::copy(block.begin(), block.end(), out));
      lines.lines = 10;
      log.submit(lines);
      EXPECT_EQ(lines.size, 0U);
    }
    EXPECT_GT(log.dropped(), 0U);
    EXPECT_EQ(log.dropped() % 10, 0U);
  }  // ends although nobody reads
  close(ends[0]);
  close(ends[1]);
}

#ifdef LOTSE_COUNTS_ALLOCATIONS
TEST(KeptAlivePath, AllocatesNothingAfterWarmUp) {
  Harness harness;
  harness.config.workers = 1;
  harness.start();
  Backend backend(harness.loop, "a");
  harness.apply({Harness::endpoint("/app", backend)});
  auto client = harness.connect();
  const std::string request =
      "GET /app/some/path?query=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: test\r\nAccept: */*\r\nCookie: "
      "a=b\r\n\r\n";
  for (int i = 0; i < 100; ++i) harness.ask(*client, request);
  std::uint64_t before = allocations_of_workers;
  for (int i = 0; i < 1000; ++i) harness.ask(*client, request);
  EXPECT_EQ(allocations_of_workers - before, 0U);
}
#endif

}  // namespace
}  // namespace lotse::proxy::test

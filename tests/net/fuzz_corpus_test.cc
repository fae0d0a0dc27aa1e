// The corpora of net's parsers: every input and every beginning of it, as an ordinary test.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" {
int fuzz_client_hello(const std::uint8_t* data, std::size_t size);
int fuzz_proxy_header(const std::uint8_t* data, std::size_t size);
}

namespace {

void replay(const std::string& name, int (*target)(const std::uint8_t*, std::size_t)) {
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOTSE_FUZZ_CORPUS "/" + name)) {
    SCOPED_TRACE(entry.path().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    for (std::size_t size = 0; size <= bytes.size(); ++size)
      EXPECT_EQ(target(reinterpret_cast<const std::uint8_t*>(bytes.data()), size), 0);
    ++inputs;
  }
  EXPECT_GT(inputs, 3);
}

TEST(NetFuzzCorpus, ClientHellos) { replay("client_hello", fuzz_client_hello); }
TEST(NetFuzzCorpus, HeadersOfTheProxyProtocol) { replay("proxy_header", fuzz_proxy_header); }

}  // namespace

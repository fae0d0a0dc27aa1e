// Replays the corpus of the fuzz target: each file whole, every prefix of it, and with every byte overwritten.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int fuzz_dns_query(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& bytes) {
  fuzz_dns_query(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

TEST(FuzzCorpus, DnsQueriesNeverCrash) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOTSE_FUZZ_CORPUS "/dns_query")) {
    SCOPED_TRACE(entry.path().filename().string());
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    run(bytes);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      run(bytes.substr(0, at));
      for (char value : {'\0', '\1', '\x3f', '\x40', '\xc0', '\xff'}) {
        std::string changed = bytes;
        changed[at] = value;
        run(changed);
      }
    }
    ++files;
  }
  EXPECT_GE(files, 20U);
}

}  // namespace

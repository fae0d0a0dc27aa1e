#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int fuzz_config(const std::uint8_t* data, std::size_t size);  // tests/fuzz/config_fuzz.cc

namespace lotse::proxy {
namespace {

TEST(ConfigFuzzCorpus, IsReplayed) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOTSE_SOURCE_DIR "/tests/fuzz/corpus/config")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    fuzz_config(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    for (std::size_t cut = 0; cut < text.size() && text.size() < 4096; ++cut) {  // and with one byte gone or odd
      std::string damaged = text;
      damaged[cut] = static_cast<char>(damaged[cut] ^ 0x15);
      fuzz_config(reinterpret_cast<const std::uint8_t*>(damaged.data()), damaged.size());
    }
    ++count;
  }
  EXPECT_GT(count, 3);
}

}  // namespace
}  // namespace lotse::proxy

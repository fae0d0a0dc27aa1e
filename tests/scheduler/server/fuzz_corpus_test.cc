// Replays the corpus of the fuzz target, each file whole and every prefix of it.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int fuzz_marathon_query(const std::uint8_t* data, std::size_t size);

namespace lotse::scheduler {
namespace {

TEST(FuzzCorpus, MarathonQueriesNeverCrash) {
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LOTSE_FUZZ_CORPUS "/marathon_query")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    for (std::size_t length = 0; length <= text.size(); ++length) {
      fuzz_marathon_query(reinterpret_cast<const std::uint8_t*>(text.data()), length);
    }
    ++files;
  }
  EXPECT_GE(files, 5u);
}

}  // namespace
}  // namespace lotse::scheduler

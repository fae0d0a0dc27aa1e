// Replays the corpora of the fuzz targets of this room; CMake renames their entry points.
#include <gtest/gtest.h>

#include <cstdint>

#include "tests/model/test_data.h"

extern "C" int fuzz_app_json(const std::uint8_t* data, std::size_t size);
extern "C" int fuzz_routes_json(const std::uint8_t* data, std::size_t size);
extern "C" int fuzz_agent_protocol(const std::uint8_t* data, std::size_t size);

namespace lotse::model {
namespace {

using Target = int (*)(const std::uint8_t*, std::size_t);

void run(Target target, const std::string& text) {
  target(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

// Each file whole, cut off after every byte, and with every byte overwritten by one that means something to JSON; every
// `stride`-th byte where a file is long and the target slow.
void replay(Target target, const std::vector<std::filesystem::path>& files, std::size_t stride = 1) {
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file.filename().string());
    const std::string text = read_file(file);
    run(target, text);
    for (std::size_t at = 0; at < text.size(); at += stride) {
      run(target, text.substr(0, at));
      std::string changed = text;
      changed[at] = "{}[]\":,0-\\n\xff"[at % 12];
      run(target, changed);
    }
  }
}

TEST(FuzzCorpus, AppJsonHoldsForEveryFile) { replay(fuzz_app_json, files_of("tests/fuzz/corpus/app_json")); }
TEST(FuzzCorpus, AppJsonHoldsForRealDefinitions) { replay(fuzz_app_json, real_definitions(), 7); }
TEST(FuzzCorpus, RoutesJsonHoldsForEveryFile) { replay(fuzz_routes_json, files_of("tests/fuzz/corpus/routes_json")); }
TEST(FuzzCorpus, AgentProtocolHoldsForEveryFile) {
  replay(fuzz_agent_protocol, files_of("tests/fuzz/corpus/agent_protocol"));
}

}  // namespace
}  // namespace lotse::model

#include <gtest/gtest.h>

#include "tests/fuzz_corpus.h"

extern "C" int fuzz_config(const std::uint8_t* data, std::size_t size);  // tests/fuzz/config_fuzz.cc

namespace lotse::proxy {
namespace {

TEST(ConfigFuzzCorpus, IsReplayed) {
  const auto inputs = corpus_in(LOTSE_SOURCE_DIR "/tests/fuzz/corpus/config");
  for (const auto& [file, text] : inputs) {
    SCOPED_TRACE(file);
    fuzz_config(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
    for (std::size_t cut = 0; cut < text.size() && text.size() < 4096; ++cut) {  // and with one byte gone or odd
      std::string damaged = text;
      damaged[cut] = static_cast<char>(damaged[cut] ^ 0x15);
      fuzz_config(reinterpret_cast<const std::uint8_t*>(damaged.data()), damaged.size());
    }
  }
  EXPECT_GE(inputs.size(), 4U);
}

}  // namespace
}  // namespace lotse::proxy

// Replays the corpus of the fuzz target: each file whole, every prefix of it, and with every byte overwritten.
#include "tests/fuzz_corpus.h"

#include <gtest/gtest.h>

extern "C" int fuzz_dns_query(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& bytes) {
  fuzz_dns_query(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

TEST(FuzzCorpus, DnsQueriesNeverCrash) {
  const auto inputs = lotse::corpus_in(LOTSE_FUZZ_CORPUS "/dns_query");
  for (const auto& [file, bytes] : inputs) {
    SCOPED_TRACE(file);
    run(bytes);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      run(bytes.substr(0, at));
      for (char value : {'\0', '\1', '\x3f', '\x40', '\xc0', '\xff'}) {
        std::string changed = bytes;
        changed[at] = value;
        run(changed);
      }
    }
  }
  EXPECT_GE(inputs.size(), 20U);
}

}  // namespace

// Replays the corpus of the fuzz target, each file whole and every prefix of it.
#include "tests/fuzz_corpus.h"

#include <gtest/gtest.h>

extern "C" int fuzz_marathon_query(const std::uint8_t* data, std::size_t size);

namespace lotse::scheduler {
namespace {

TEST(FuzzCorpus, MarathonQueriesNeverCrash) {
  replay_corpus(LOTSE_FUZZ_CORPUS "/marathon_query", fuzz_marathon_query, 5);
}

}  // namespace
}  // namespace lotse::scheduler

// The corpora of what goes through the proxy: every input and every beginning of it, as an ordinary test.
#include <gtest/gtest.h>

#include "tests/fuzz_corpus.h"

extern "C" {
int fuzz_h1_round_trip(const std::uint8_t* data, std::size_t size);
int fuzz_forwarded(const std::uint8_t* data, std::size_t size);
int fuzz_log_line(const std::uint8_t* data, std::size_t size);
}

namespace {

void replay(const std::string& name, lotse::FuzzTarget target) {
  lotse::replay_corpus(LOTSE_SOURCE_DIR "/tests/fuzz/corpus/" + name, target, 4);
}

TEST(MessageFuzzCorpus, WhatIsWrittenIsReadAsTheSame) {
  replay("h1_round_trip", fuzz_h1_round_trip);
  replay("h1_response", fuzz_h1_round_trip);
}
TEST(MessageFuzzCorpus, ForwardedFields) { replay("forwarded", fuzz_forwarded); }
TEST(MessageFuzzCorpus, StringsOfTheAccessLog) { replay("log_line", fuzz_log_line); }

}  // namespace

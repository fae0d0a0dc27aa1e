// Every input of the fuzzers' corpora, also those that once broke something, runs as an ordinary test.
#include "tests/fuzz_corpus.h"

#include <gtest/gtest.h>

// Each fuzz target defines LLVMFuzzerTestOneInput; here CMake gives each a name of its own.
extern "C" {
int fuzz_h1_request(const std::uint8_t* data, std::size_t size);
int fuzz_h1_response(const std::uint8_t* data, std::size_t size);
int fuzz_h1_agreement(const std::uint8_t* data, std::size_t size);
int fuzz_h1_differential(const std::uint8_t* data, std::size_t size);
int fuzz_chunked_body(const std::uint8_t* data, std::size_t size);
int fuzz_sse(const std::uint8_t* data, std::size_t size);
int fuzz_url(const std::uint8_t* data, std::size_t size);
int fuzz_h2_session(const std::uint8_t* data, std::size_t size);
int fuzz_h2_answer(const std::uint8_t* data, std::size_t size);
}

namespace {

void replay(const std::string& name, lotse::FuzzTarget target) {
  lotse::replay_corpus(LOTSE_FUZZ_CORPUS "/" + name, target, 1);
}

TEST(FuzzCorpus, RequestParser) { replay("h1_request", fuzz_h1_request); }
TEST(FuzzCorpus, ResponseParser) { replay("h1_response", fuzz_h1_response); }
TEST(FuzzCorpus, ParserAgreesWithLlhttp) {
  replay("h1_request", fuzz_h1_agreement);
  replay("h1_response", fuzz_h1_agreement);
}
// The answers' corpus has the byte that says what was asked; the requests' loses its first one, and is odd instead.
TEST(FuzzCorpus, OneReadingHoweverTheBytesAreCut) {
  replay("h1_differential", fuzz_h1_differential);
  replay("h1_request", fuzz_h1_differential);
  replay("h1_response", fuzz_h1_differential);
}
TEST(FuzzCorpus, ChunkedBodies) { replay("chunked_body", fuzz_chunked_body); }
TEST(FuzzCorpus, SseParser) { replay("sse", fuzz_sse); }
TEST(FuzzCorpus, Url) { replay("url", fuzz_url); }
TEST(FuzzCorpus, H2Session) { replay("h2_session", fuzz_h2_session); }
TEST(FuzzCorpus, H2Answer) { replay("h2_answer", fuzz_h2_answer); }

}  // namespace

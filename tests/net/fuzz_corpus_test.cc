// The corpora of net's parsers: every input and every beginning of it, as an ordinary test.
#include "tests/fuzz_corpus.h"

#include <gtest/gtest.h>

extern "C" {
int fuzz_client_hello(const std::uint8_t* data, std::size_t size);
int fuzz_proxy_header(const std::uint8_t* data, std::size_t size);
}

namespace {

void replay(const std::string& name, lotse::FuzzTarget target) {
  lotse::replay_corpus(LOTSE_FUZZ_CORPUS "/" + name, target, 4);
}

TEST(NetFuzzCorpus, ClientHellos) { replay("client_hello", fuzz_client_hello); }
TEST(NetFuzzCorpus, HeadersOfTheProxyProtocol) { replay("proxy_header", fuzz_proxy_header); }

}  // namespace

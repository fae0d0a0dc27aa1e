// The request parser: never crashes, and says the same however its bytes are cut. Each input is parsed whole, byte by
// byte, and cut at a place that the input itself chooses.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/http/recorder.h"

namespace {

using lotse::http::FeedResult;
using lotse::http::Limits;

// Small, so that the fuzzer meets them.
const Limits kLimits{.head_bytes_max = 512,
                     .fields_max = 8,
                     .request_line_bytes_max = 128,
                     .chunk_extension_line_bytes_max = 16,
                     .chunk_extensions_bytes_max = 32,
                     .trailer_bytes_max = 64};

std::string run(std::string_view input, std::size_t first_cut, std::size_t step) {
  lotse::http::Recorder recorder;
  lotse::http::RequestParser parser(recorder, kLimits);
  std::size_t size = first_cut;
  while (!input.empty()) {
    std::string_view piece = input.substr(0, size);
    input.remove_prefix(piece.size());
    size = step;
    while (!piece.empty()) {
      const FeedResult result = parser.feed(piece);
      if (result.error) return recorder.text + fmt::format("error {}", result.error.status);
      if (result.consumed == 0) std::abort();
      piece.remove_prefix(result.consumed);
    }
  }
  return recorder.text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(input, size + 1, 1);
  if (run(input, 1, 1) != whole) std::abort();
  if (size > 0 && run(input, 1 + data[size / 2] % size, size) != whole) std::abort();
  return 0;
}

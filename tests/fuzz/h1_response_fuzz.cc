// The response parser, like h1_request_fuzz.cc. The first byte says what was asked for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/http/recorder.h"

namespace {

using lotse::http::FeedResult;
using lotse::http::Limits;
using lotse::http::Method;

const Limits kLimits{.head_bytes_max = 512,
                     .fields_max = 8,
                     .chunk_extension_line_bytes_max = 16,
                     .chunk_extensions_bytes_max = 32,
                     .trailer_bytes_max = 64};

std::string run(std::string_view input, std::uint8_t asked, std::size_t first_cut, std::size_t step) {
  lotse::http::Recorder recorder;
  lotse::http::ResponseParser parser(recorder, kLimits);
  const auto expect = [&] {
    parser.expect((asked & 1) != 0 ? Method::head : Method::get, (asked & 2) != 0 ? "websocket" : "");
  };
  expect();
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
      if (result.upgraded) return recorder.text + "upgraded";
      if (result.message_complete && (asked & 4) != 0) expect();
    }
  }
  return recorder.text + (parser.finish() ? "end" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = run(input, data[0], size, 1);
  if (run(input, data[0], 1, 1) != whole) std::abort();
  if (run(input, data[0], 1 + data[size / 2] % size, size) != whole) std::abort();
  return 0;
}

// The same bytes, however they are cut, are the same messages: read whole, a byte at a time, and in two pieces at every
// place, as requests and as answers. The first byte says what an answer is to.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/http/recorder.h"

namespace {

using lotse::http::FeedResult;
using lotse::http::Limits;
using lotse::http::Method;
using lotse::http::Recorder;

// Small, so that the fuzzer meets them.
const Limits kLimits{.head_bytes_max = 400,
                     .fields_max = 6,
                     .request_line_bytes_max = 100,
                     .chunk_extension_line_bytes_max = 12,
                     .chunk_extensions_bytes_max = 20,
                     .trailer_bytes_max = 50};
constexpr std::size_t kInputBytesMax = 1024;  // the work grows with its square

struct Requests {
  explicit Requests(std::uint8_t) {}
  bool feed(std::string_view piece) {
    while (!piece.empty()) {
      const FeedResult result = parser.feed(piece);
      if (result.error) {
        // The reason as well: it goes into the answer and the log.
        recorder.text += fmt::format("error {} {}", result.error.status, result.error.reason);
        return false;
      }
      if (result.consumed == 0) std::abort();
      if (result.upgraded) recorder.text += "upgraded\n";
      piece.remove_prefix(result.consumed);
    }
    return true;
  }
  void end() {
    recorder.text += parser.is_between_messages() ? "between" : parser.has_partial_head() ? "in head" : "in body";
  }
  Recorder recorder;
  lotse::http::RequestParser parser{recorder, kLimits};
};

struct Responses {
  explicit Responses(std::uint8_t how) : asked(how) { expect(); }
  void expect() { parser.expect((asked & 1) != 0 ? Method::head : Method::get, (asked & 2) != 0 ? "a, b/1" : ""); }
  bool feed(std::string_view piece) {
    while (!piece.empty()) {
      const FeedResult result = parser.feed(piece);
      if (result.error) {
        recorder.text += fmt::format("error {} {}", result.error.status, result.error.reason);
        return false;
      }
      if (result.consumed == 0) std::abort();
      piece.remove_prefix(result.consumed);
      if (result.upgraded) {
        recorder.text += "upgraded";
        return false;
      }
      if (result.message_complete && (asked & 4) != 0) expect();
    }
    return true;
  }
  void end() {
    const bool was_between = parser.is_between_messages();
    recorder.text += parser.finish() ? "whole by its end" : was_between ? "between" : "truncated";
  }
  std::uint8_t asked;
  Recorder recorder;
  lotse::http::ResponseParser parser{recorder, kLimits};
};

template <typename Reader>
std::string read(std::uint8_t how, std::string_view input, std::size_t first, std::size_t then) {
  Reader reader(how);
  for (std::size_t size = first; !input.empty(); size = then) {
    const std::string_view piece = input.substr(0, size);
    input.remove_prefix(piece.size());
    if (!reader.feed(piece)) return reader.recorder.text;
  }
  reader.end();
  return reader.recorder.text;
}

template <typename Reader>
void demand_one_reading(std::uint8_t how, std::string_view input) {
  const std::string whole = read<Reader>(how, input, input.size(), input.size());
  if (read<Reader>(how, input, 1, 1) != whole) std::abort();
  for (std::size_t cut = 1; cut < input.size(); ++cut) {
    if (read<Reader>(how, input, cut, input.size()) != whole) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kInputBytesMax) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  demand_one_reading<Requests>(data[0], input);
  demand_one_reading<Responses>(data[0], input);
  return 0;
}

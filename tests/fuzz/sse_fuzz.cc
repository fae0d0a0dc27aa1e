// The event stream parser: never crashes, says the same however its bytes are cut, and reads what our writer wrote.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/sse.h"

namespace {

std::string run(std::string_view input, std::size_t first_cut, std::size_t step) {
  lotse::http::SseParser parser(256);
  std::string out;
  std::size_t size = first_cut;
  while (!input.empty()) {
    const std::string_view piece = input.substr(0, size);
    input.remove_prefix(piece.size());
    size = step;
    const bool fits = parser.feed(piece, [&](const lotse::http::SseEvent& event) {
      out += event.type + '\0' + event.data + '\0' + event.id + '\0';
    });
    if (!fits) return out + "too large";
  }
  return out + parser.last_id();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(input, size + 1, 1);
  if (run(input, 1, 1) != whole) std::abort();
  if (size > 0 && run(input, 1 + data[size / 2] % size, size) != whole) std::abort();

  std::string written;
  lotse::http::append_sse_event(written, "t", input, "1");
  lotse::http::SseParser parser;
  int events = 0;
  const bool fits = parser.feed(written, [&](const lotse::http::SseEvent& event) { events += event.type == "t"; });
  if (!fits || events != 1) std::abort();
  return 0;
}

#include "http/chunk_line.h"

#include "http/text.h"

namespace lotse::http {

namespace {
// 2^63-1 has 16 hex digits. Longer ones are either too large or padded with zeros to confuse someone.
constexpr std::size_t kSizeDigitsMax = 16;
}  // namespace

ChunkLine::Step ChunkLine::scan(std::span<const char> bytes, const Limits& limits, std::size_t& extension_bytes) {
  std::size_t at = 0;
  for (; at < bytes.size(); ++at) {
    const char c = bytes[at];
    switch (place_) {
      case Place::size:
        if (hex_value(c) >= 0) {
          if (++digits_ > kSizeDigitsMax) return {at, false, {400, "chunk size too long"}};
        } else if (digits_ == 0) {
          return {at, false, {400, "chunk without a size"}};
        } else if (c == '\r') {
          place_ = Place::after_cr;
        } else if (c == ';') {
          place_ = Place::extension;
        } else {
          return {at, false, {400, "unexpected byte after a chunk size"}};
        }
        break;
      case Place::extension:
        if (c == '\r') {
          place_ = Place::after_cr;
          break;
        }
        if (is_control(c)) return {at, false, {400, "control character in a chunk extension"}};
        if (++line_extension_bytes_ > limits.chunk_extension_line_bytes_max ||
            ++extension_bytes > limits.chunk_extensions_bytes_max) {
          return {at, false, {400, "chunk extensions larger than allowed"}};
        }
        break;
      case Place::after_cr:
        if (c != '\n') return {at, false, {400, "CR without LF in a chunk line"}};
        return {at + 1, true, {}};
    }
  }
  return {at, false, {}};
}

}  // namespace lotse::http

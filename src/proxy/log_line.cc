#include "proxy/log_line.h"

namespace lotse::proxy {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;

// A byte of `word` is zero, found by the borrow out of it (may also report a byte above one that is; all we ask is
// whether there is any).
constexpr std::uint64_t zeros_in(std::uint64_t word) { return (word - kOnes) & ~word & kHighs; }

// Control characters, quotes, backslashes, DEL and everything above ASCII.
bool needs_a_look(std::uint64_t word) {
  std::uint64_t controls = (word - kOnes * 0x20) & ~word;
  std::uint64_t quotes =
      zeros_in(word ^ (kOnes * '"')) | zeros_in(word ^ (kOnes * '\\')) | zeros_in(word ^ (kOnes * 0x7f));
  return ((controls | quotes | word) & kHighs) != 0;
}

std::uint8_t byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<std::uint8_t>(text[at]) : 0;
}

// How long the UTF-8 sequence at the front is (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), or
// 0.
std::size_t sequence_bytes(std::string_view text) {
  std::uint8_t first = byte_at(text, 0), second = byte_at(text, 1);
  auto follows = [&](std::size_t at) { return (byte_at(text, at) & 0xc0) == 0x80; };
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    std::uint8_t low = first == 0xe0 ? 0xa0 : 0x80, high = first == 0xed ? 0x9f : 0xbf;
    return second >= low && second <= high && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    std::uint8_t low = first == 0xf0 ? 0x90 : 0x80, high = first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

char* put_escaped(char* out, std::uint8_t byte) {
  constexpr char kHex[] = "0123456789abcdef";
  if (byte == '"' || byte == '\\') {
    *out++ = '\\';
    *out++ = static_cast<char>(byte);
    return out;
  }
  out = put(out, "\\u00");
  *out++ = kHex[byte >> 4];
  *out++ = kHex[byte & 15];
  return out;
}

}  // namespace

char* put_string(char* out, std::string_view text) {
  *out++ = '"';
  while (!text.empty()) {
    if (text.size() >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data(), 8);
      if (!needs_a_look(word)) {
        std::memcpy(out, &word, 8);
        out += 8;
        text.remove_prefix(8);
        continue;
      }
    }
    auto byte = static_cast<std::uint8_t>(text.front());
    std::size_t bytes = 1;
    if (byte >= 0x80) bytes = sequence_bytes(text);
    if (bytes > 1 || (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\')) {
      out = put(out, text.substr(0, bytes));
    } else {
      out = put_escaped(out, byte);
      bytes = 1;
    }
    text.remove_prefix(bytes);
  }
  *out++ = '"';
  return out;
}

}  // namespace lotse::proxy

// Puts the pieces of a JSON line into memory whose size was asked for before: no growth checks, no format strings, and
// eight bytes of text at a time as long as none needs escaping. Every line is valid JSON whatever a client sent: what
// is not UTF-8 appears as \u00xx. Pure functions; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace lotse::proxy {

// Room that put_string() may need: quotes, and six characters for every byte.
constexpr std::size_t json_string_bytes_max(std::string_view text) { return 6 * text.size() + 2; }
constexpr std::size_t kNumberBytesMax = 20;

inline char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}
inline char* put_number(char* out, std::uint64_t number) {
  return std::to_chars(out, out + kNumberBytesMax, number).ptr;
}
char* put_string(char* out, std::string_view text);  // with its quotes

}  // namespace lotse::proxy

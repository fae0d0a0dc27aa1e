// Character classes of HTTP and URIs, and the small text operations the parsers share: tokens (RFC 9110 section 5.6.2),
// optional white space, hex digits. Pure, no allocation; locale never matters here, which is why <cctype> is not used.
#pragma once

#include <array>
#include <string_view>

namespace lotse::http {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
constexpr int hex_value(char c) {  // -1: not a hex digit
  if (is_digit(c)) return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}
constexpr bool is_unreserved(char c) {  // RFC 3986 section 2.3
  return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}
constexpr bool is_control(char c) {  // what no field value or reason may hold; HTAB may be there
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

inline constexpr std::array<bool, 256> kTokenCharacters = [] {
  std::array<bool, 256> table{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    table[static_cast<std::size_t>(i)] =
        i < 0x80 &&
        (is_alpha(c) || is_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
  }
  return table;
}();
constexpr bool is_token_character(char c) { return kTokenCharacters[static_cast<unsigned char>(c)]; }
constexpr bool is_token(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!is_token_character(c)) return false;
  }
  return true;
}

inline constexpr std::array<bool, 256> kHostNameCharacters = [] {
  std::array<bool, 256> table{};
  for (int i = 0; i < 128; ++i) table[static_cast<std::size_t>(i)] = is_unreserved(static_cast<char>(i));
  return table;
}();
constexpr bool is_host_name_character(char c) { return kHostNameCharacters[static_cast<unsigned char>(c)]; }

constexpr std::string_view trim(std::string_view text) {  // optional white space: SP and HTAB
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace lotse::http

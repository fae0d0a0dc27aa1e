#include "http/field_line.h"

#include "http/text.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lotse::http {

namespace {

// The length of a name of letters, digits and dashes before a colon, as nearly all are; 0: another kind, or too close
// to `readable_end`.
std::size_t plain_name_bytes(const char* begin, const char* readable_end) {
#if defined(__SSE2__)
  constexpr std::size_t kBlock = 16;
  for (const char* place = begin; static_cast<std::size_t>(readable_end - place) >= kBlock; place += kBlock) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(place));
    const __m128i small = _mm_or_si128(bytes, _mm_set1_epi8(0x20));  // signed comparisons: obs-text is below all
    const auto between = [](__m128i what, char first, char last) {
      return _mm_and_si128(_mm_cmpgt_epi8(what, _mm_set1_epi8(static_cast<char>(first - 1))),
                           _mm_cmplt_epi8(what, _mm_set1_epi8(static_cast<char>(last + 1))));
    };
    const __m128i good = _mm_or_si128(_mm_or_si128(between(small, 'a', 'z'), between(bytes, '0', '9')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
    const auto other = static_cast<unsigned>(_mm_movemask_epi8(good)) ^ 0xffffU;
    if (other == 0) continue;
    const char* const stop = place + __builtin_ctz(other);
    return *stop == ':' ? static_cast<std::size_t>(stop - begin) : 0;
  }
#else
  static_cast<void>(begin);
  static_cast<void>(readable_end);
#endif
  return 0;
}

}  // namespace

ParseError read_field_line(std::string_view line, const char* readable_end, Field& field) {
  const char* const begin = line.data();
  const char* const end = begin + line.size();
  std::size_t length = plain_name_bytes(begin, readable_end);
  if (length > 0) {
    field.name = {begin, length};
    field.read_id = field_id_of_plain(field.name);
  } else {
    while (length < line.size() && is_token_character(begin[length])) ++length;
    if (length == 0) return {400, "field without a name"};
    if (length == line.size() || begin[length] != ':') return {400, "bad character in a field name"};
    field.name = {begin, length};
    field.read_id = field_id_of(field.name);
  }
  field.value = trim({begin + length + 1, static_cast<std::size_t>(end - begin) - length - 1});
  return {};
}

}  // namespace lotse::http

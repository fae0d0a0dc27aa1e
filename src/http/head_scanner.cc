#include "http/head_scanner.h"

#include <algorithm>

#include "http/text.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace lotse::http {

void HeadScanner::start(const Bounds& bounds) {
  bounds_ = bounds;
  bytes_ = 0;
  lines_ = 0;
  place_ = Place::line_start;
  in_start_line_ = bounds.has_start_line;
  line_is_empty_ = true;
}

HeadScanner::Step HeadScanner::scan(std::span<const char> bytes) {
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* place = begin;
  const auto step = [&](bool complete, ParseError error) {
    return Step{static_cast<std::size_t>(place - begin), complete, error};
  };
  while (place != end) {
    // The bounds are checked at the byte that breaks them, so that a cut anywhere gives the same answer.
    const std::size_t bytes_left = bounds_.bytes_max - bytes_;
    if (bytes_left == 0) return step(false, {431, "head larger than allowed"});
    switch (place_) {
      case Place::line_start:
        line_is_empty_ = *place == '\r';
        if (line_is_empty_) {
          place_ = Place::after_cr;
          ++place;
          ++bytes_;
          break;
        }
        if (ParseError error = begin_line(*place)) return step(false, error);
        place_ = Place::in_line;
        [[fallthrough]];
      case Place::in_line: {
        std::size_t room = bytes_left;
        if (in_start_line_) room = std::min(room, bounds_.start_line_bytes_max - bytes_);
        const char* const limit = place + std::min(room, static_cast<std::size_t>(end - place));
        const char* const found = find_control(place, limit);
        bytes_ += static_cast<std::size_t>(found - place);
        place = found;
        if (found == end || bytes_ == bounds_.bytes_max) break;  // the latter: refused by the check above
        if (*found == '\r') {
          place_ = Place::after_cr;
          ++place;
          ++bytes_;
          break;
        }
        if (found == limit) return step(false, {414, "request line longer than allowed"});
        if (*found == '\n') return step(false, {400, "LF without CR"});
        return step(false, {400, *found == '\0' ? "NUL in head" : "control character in head"});
      }
      case Place::after_cr:
        if (*place != '\n') return step(false, {400, "CR without LF"});
        place_ = Place::line_start;
        in_start_line_ = false;
        ++place;
        ++bytes_;
        if (line_is_empty_) return step(true, {});
        break;
    }
  }
  return step(false, {});
}

ParseError HeadScanner::begin_line(char first) {
  if (first == ' ' || first == '\t') return {400, in_start_line_ ? "white space before the start line" : "folded line"};
  if (in_start_line_) return {};
  if (lines_ == bounds_.lines_max) return {431, "more fields than allowed"};
  ++lines_;
  return {};
}

const char* find_control(const char* begin, const char* end) {
  const char* place = begin;
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - place >= 16; place += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(place));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);  // unsigned <= 0x1f
    const __m128i bad = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    const int mask = _mm_movemask_epi8(bad);
    if (mask != 0) return place + __builtin_ctz(static_cast<unsigned>(mask));
  }
#endif
  while (place != end && !is_control(*place)) ++place;
  return place;
}

}  // namespace lotse::http

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

namespace {

// The control characters but HTAB among 16 bytes, a bit each.
unsigned controls_in(const char* place) {
#if defined(__SSE2__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(place));
  const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);  // unsigned <= 0x1f
  const __m128i tab = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
  const __m128i del = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tab, low), del)));
#else
  unsigned mask = 0;
  for (unsigned i = 0; i < 16; ++i) mask |= static_cast<unsigned>(is_control(place[i])) << i;
  return mask;
#endif
}

}  // namespace

std::size_t index_head(std::span<const char> bytes, std::vector<std::uint32_t>& line_ends) {
  line_ends.clear();
  const char* const begin = bytes.data();
  const std::size_t size = bytes.size();
  if (size == 0 || *begin == ' ' || *begin == '\t') return 0;
  std::size_t line_start = 0;
  unsigned line_feed = 0;  // 1: the first byte of the next block is the LF of a pair already seen
  for (std::size_t at = 0; at < size; at += 16) {
    char tail[16];
    const char* block = begin + at;
    if (size - at < sizeof tail) {
      std::fill(std::copy(block, begin + size, tail), std::end(tail), 'x');
      block = tail;
    }
    unsigned mask = controls_in(block) & ~line_feed;
    line_feed = 0;
    while (mask != 0) {
      const auto bit = static_cast<unsigned>(__builtin_ctz(mask));
      const std::size_t place = at + bit;
      if (begin[place] != '\r' || place + 1 == size || begin[place + 1] != '\n') return 0;
      if (place == line_start) return line_ends.empty() ? 0 : place + 2;
      line_ends.push_back(static_cast<std::uint32_t>(place));
      line_start = place + 2;
      if (line_start < size && (begin[line_start] == ' ' || begin[line_start] == '\t')) return 0;
      if (bit == 15) line_feed = 1;
      mask &= ~(3U << bit);
    }
  }
  return 0;
}

const char* find_control(const char* begin, const char* end) {
  const char* place = begin;
  for (; end - place >= 16; place += 16) {
    if (const unsigned mask = controls_in(place); mask != 0) return place + __builtin_ctz(mask);
  }
  while (place != end && !is_control(*place)) ++place;
  return place;
}

}  // namespace lotse::http

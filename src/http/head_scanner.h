// Finds the end of a head or trailer section in bytes that come in pieces, and refuses on the way what llhttp would let
// through (PROXY.md "Posture" 2): LF without CR, CR without LF, NUL and other control characters, a line that starts
// with white space (obs-fold), too many lines or bytes. Keeps no bytes. Its verdict depends on the bytes alone, not on
// how they were cut. Internal to the parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "http/h1_parser.h"

namespace lotse::http {

class HeadScanner {
 public:
  struct Bounds {
    std::size_t start_line_bytes_max = 0;
    std::size_t bytes_max = 0;
    std::size_t lines_max = 0;   // without the start line and the empty one
    bool has_start_line = true;  // false: a trailer section
  };
  struct Step {
    std::size_t consumed = 0;
    bool complete = false;  // the empty line is among what was consumed
    ParseError error;
  };

  void start(const Bounds& bounds);
  Step scan(std::span<const char> bytes);

 private:
  enum class Place : unsigned char { line_start, in_line, after_cr };
  ParseError begin_line(char first);

  Bounds bounds_;
  std::size_t bytes_ = 0;  // seen in this section
  std::size_t lines_ = 0;  // begun, without the start line
  Place place_ = Place::line_start;
  bool in_start_line_ = false;
  bool line_is_empty_ = true;
};

// Looks for a whole head in front of `bytes` with nothing in it that HeadScanner would refuse but for its bounds, in
// one pass of 16 bytes a step. Its size with the empty line, and in `line_ends` where each line's CR is, without the
// empty one. 0: there is no whole head, or it has something that HeadScanner will find words for.
std::size_t index_head(std::span<const char> bytes, std::vector<std::uint32_t>& line_ends);

// The first control character but HTAB in [begin, end), or end.
const char* find_control(const char* begin, const char* end);

}  // namespace lotse::http

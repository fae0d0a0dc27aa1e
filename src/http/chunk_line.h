// The line before each chunk (RFC 9112 section 7.1), byte by byte: hex digits, extensions within their bounds, CR LF.
// It only says where the line ends and whether it is clean; the size itself is llhttp's. Internal to the parser.
#pragma once

#include <cstddef>
#include <span>

#include "http/h1_parser.h"

namespace lotse::http {

class ChunkLine {
 public:
  struct Step {
    std::size_t consumed = 0;
    bool complete = false;
    ParseError error;
  };

  void start() { *this = ChunkLine{}; }
  // `extension_bytes` counts on over the lines of one body.
  Step scan(std::span<const char> bytes, const Limits& limits, std::size_t& extension_bytes);

 private:
  enum class Place : unsigned char { size, extension, after_cr };
  Place place_ = Place::size;
  std::size_t digits_ = 0;
  std::size_t line_extension_bytes_ = 0;
};

}  // namespace lotse::http

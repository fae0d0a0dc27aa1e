// The field block of one HEADERS frame and its CONTINUATIONs, decoded: names and values stand side by side as HTTP/1.1
// would write them ("name: value\r\n"), so that a writer of h1 copies them as one piece. Bounded; keeps its memory from
// one block to the next. Knows nothing of what the fields mean. One loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace lotse::http {

class H2Block {
 public:
  static constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2

  void clear();
  // Counts all, keeps what is within the bounds. False: far beyond them, decoding the rest is a waste.
  bool add(std::string_view name, std::string_view value, std::size_t bytes_max, std::size_t fields_max);
  // After the last add(): views that stay until clear().
  std::span<const Field> fields();
  bool is_too_large() const { return is_too_large_; }
  std::size_t held_bytes() const { return text_.capacity() + places_.capacity() * sizeof(Place); }
  std::size_t size_in_bytes() const { return bytes_; }  // as RFC 9113 section 6.5.2 counts

 private:
  struct Place {
    std::uint32_t start = 0, name_bytes = 0, value_bytes = 0;
  };
  std::string text_;
  std::vector<Place> places_;
  std::vector<Field> fields_;
  std::size_t bytes_ = 0, count_ = 0;
  bool is_too_large_ = false;
};

}  // namespace lotse::http

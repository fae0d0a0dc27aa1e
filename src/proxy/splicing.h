// When the body of a message is passed on inside the kernel rather than copied (net::Stream::splice_to): both sides are
// plain HTTP/1.1 connections, the length is known, so the end is found without looking, and enough is left that it
// pays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace lotse::proxy {

// Two calls more than copying needs, against two copies less. Estimated from the cost of a call, not measured by size.
inline constexpr std::uint64_t kSplicedBytesMin = 16 * 1024;

// Where a large body is expected, a read this short takes the head and leaves the body to be spliced.
inline constexpr std::size_t kHeadReadBytes = 2 * 1024;

// For splice_to(): as long as both sides last.
inline constexpr std::uint64_t kSplicedToTheEnd = std::numeric_limits<std::uint64_t>::max();

// One direction of a tunnel, whose end nobody knows before: is it bulk or chatter? Chatter is cheaper to copy, as a
// pipe costs two calls more. A large read says bulk, small pieces in a row say chatter.
class SpliceChoice {
 public:
  bool is_bulk(std::size_t bytes_read) const { return bytes_read >= kSplicedBytesMin; }
  bool is_chatter(std::size_t bytes_spliced) {
    small_in_a_row_ = bytes_spliced < kSmallBytes ? small_in_a_row_ + 1 : 0;
    return small_in_a_row_ >= kSmallInARow;
  }
  void begin() { small_in_a_row_ = 0; }

 private:
  static constexpr std::size_t kSmallBytes = 4 * 1024;
  static constexpr int kSmallInARow = 8;
  int small_in_a_row_ = 0;
};

}  // namespace lotse::proxy

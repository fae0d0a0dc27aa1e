// A worker's share of limits.memory_bytes_max: what its connections and exchanges hold of bytes that others sent and
// nobody has taken yet (heads, pipelined requests, bodies to be sent or replayed). Holders say what they hold when it
// changes, so a request that is read and passed on at once costs a comparison. What streams have queued is counted by
// the loop. Counts only: Worker decides what goes when it is full. One loop thread; held() any thread.
#pragma once

#include <cstddef>
#include <string>

#include "proxy/counter.h"

namespace lotse::proxy {

class MemoryShare {
 public:
  void set_max(std::size_t bytes) { max_ = bytes; }
  bool is_full(std::size_t queued_bytes) const { return held_.get() + queued_bytes > max_; }
  std::size_t held() const { return held_.get(); }

 private:
  friend class HeldBytes;
  Counter held_;
  std::size_t max_ = static_cast<std::size_t>(-1);
};

// One holder's part of it, given back with the holder.
class HeldBytes {
 public:
  explicit HeldBytes(MemoryShare& share) : share_(share) {}
  ~HeldBytes() { set(0); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  void set(std::size_t bytes) {
    if (bytes == bytes_) return;
    share_.held_.add(bytes - bytes_);  // unsigned: less is more by wrapping round
    bytes_ = bytes;
  }
  std::size_t get() const { return bytes_; }

 private:
  MemoryShare& share_;
  std::size_t bytes_ = 0;
};

// What a string has on the heap, and how to give it back: assigning `{}` would keep it.
inline std::size_t heap_bytes(const std::string& text) {
  return text.capacity() > std::string().capacity() ? text.capacity() : 0;
}
inline void give_back(std::string& text) { std::string().swap(text); }

// limits.memory_bytes_max `auto`: a quarter of what this process may use, by the machine and its control groups.
std::size_t memory_bytes_max_by_machine();

}  // namespace lotse::proxy

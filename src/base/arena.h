// Bump allocation for what lives exactly as long as one exchange: parsed heads, rewritten fields, small tables.
// Owned by its exchange (or test). reset() keeps the first block, so a kept-alive connection allocates nothing after
// warm-up. Never runs destructors: trivially destructible contents only. One thread.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace lotse {

class Arena {
 public:
  explicit Arena(std::size_t first_block_bytes = 4096) : first_block_bytes_(first_block_bytes) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  void* allocate(std::size_t bytes, std::size_t alignment = alignof(std::max_align_t)) {
    std::size_t start = (used_ + alignment - 1) & ~(alignment - 1);
    if (current_ == nullptr || start + bytes > capacity_) return allocate_in_new_block(bytes, alignment);
    used_ = start + bytes;
    return current_ + start;
  }

  template <typename T>
  T* array(std::size_t count) {  // uninitialised
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
  }

  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* place = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(place, text.data(), text.size());
    return {place, text.size()};
  }

  void reset();    // invalidates every view; keeps the first block
  void release();  // gives the first block back too (an idle connection owns none)
  std::size_t blocks() const { return blocks_.size(); }  // for tests and metrics
  std::size_t bytes() const { return bytes_; }           // of all blocks

 private:
  void* allocate_in_new_block(std::size_t bytes, std::size_t alignment);

  std::size_t first_block_bytes_;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* current_ = nullptr;
  std::size_t capacity_ = 0, used_ = 0;
  std::size_t first_capacity_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace lotse

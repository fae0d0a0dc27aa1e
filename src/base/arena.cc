#include "base/arena.h"

#include <algorithm>

namespace lotse {

void* Arena::allocate_in_new_block(std::size_t bytes, std::size_t alignment) {
  std::size_t wanted = std::max(blocks_.empty() ? first_block_bytes_ : capacity_ * 2, bytes + alignment);
  blocks_.push_back(std::make_unique_for_overwrite<char[]>(wanted));
  current_ = blocks_.back().get();
  capacity_ = wanted;
  bytes_ += wanted;
  used_ = 0;
  if (blocks_.size() == 1) first_capacity_ = wanted;
  return allocate(bytes, alignment);
}

void Arena::reset() {
  if (blocks_.empty()) return;
  blocks_.resize(1);
  current_ = blocks_.front().get();
  capacity_ = bytes_ = first_capacity_;
  used_ = 0;
}

void Arena::release() {
  blocks_.clear();
  current_ = nullptr;
  capacity_ = used_ = bytes_ = 0;
}

}  // namespace lotse

#include "http/h2_memory.h"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace lotse::http {

namespace {

constexpr std::size_t kClasses = 8;  // 32, 64, ... 4096 bytes
constexpr std::size_t kSmallest = 32;
constexpr std::size_t kFreeBytesMax = 64 * 1024;  // of each class and thread
constexpr std::uint32_t kNoClass = kClasses;

struct alignas(std::max_align_t) Header {
  std::uint32_t size_class = kNoClass;
  std::uint32_t bytes = 0;  // that may be used
};

struct FreeBlock {
  FreeBlock* next;
};

// Of the thread; gives everything back when it ends.
struct FreeLists {
  std::array<FreeBlock*, kClasses> first{};
  std::array<std::size_t, kClasses> bytes{};
  ~FreeLists() {
    for (FreeBlock* block : first) {
      while (block != nullptr) std::free(std::exchange(block, block->next));
    }
  }
};
thread_local FreeLists free_lists;

std::uint32_t class_of(std::size_t bytes) {
  std::uint32_t found = 0;
  for (std::size_t size = kSmallest; found < kClasses && size < bytes; size *= 2) ++found;
  return found;
}
std::size_t bytes_of(std::uint32_t size_class) { return kSmallest << size_class; }

Header* header_of(void* block) { return static_cast<Header*>(block) - 1; }

}  // namespace

void* h2_allocate(std::size_t bytes, void* memory) {
  if (bytes > UINT32_MAX) return nullptr;
  const std::uint32_t size_class = class_of(bytes);
  const std::size_t usable = size_class < kClasses ? bytes_of(size_class) : bytes;
  void* place = nullptr;
  if (size_class < kClasses && free_lists.first[size_class] != nullptr) {
    FreeBlock* block = free_lists.first[size_class];
    free_lists.first[size_class] = block->next;
    free_lists.bytes[size_class] -= usable;
    place = block;
  } else {
    place = std::malloc(sizeof(Header) + usable);
    if (place == nullptr) return nullptr;
  }
  auto* header = new (place) Header{size_class, static_cast<std::uint32_t>(usable)};
  static_cast<H2Memory*>(memory)->held_bytes += usable;
  return header + 1;
}

void* h2_allocate_zeroed(std::size_t count, std::size_t bytes, void* memory) {
  if (bytes != 0 && count > UINT32_MAX / bytes) return nullptr;
  void* block = h2_allocate(count * bytes, memory);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

void* h2_reallocate(void* block, std::size_t bytes, void* memory) {
  if (block == nullptr) return h2_allocate(bytes, memory);
  const std::size_t usable = header_of(block)->bytes;
  if (bytes <= usable) return block;
  void* larger = h2_allocate(bytes, memory);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, usable);
  h2_free(block, memory);
  return larger;
}

void h2_free(void* block, void* memory) {
  if (block == nullptr) return;
  Header* header = header_of(block);
  const std::uint32_t size_class = header->size_class;
  const std::size_t usable = header->bytes;
  static_cast<H2Memory*>(memory)->held_bytes -= usable;
  if (size_class >= kClasses || free_lists.bytes[size_class] + usable > kFreeBytesMax) return std::free(header);
  auto* free_block = new (header) FreeBlock{free_lists.first[size_class]};
  free_lists.first[size_class] = free_block;
  free_lists.bytes[size_class] += usable;
}

}  // namespace lotse::http

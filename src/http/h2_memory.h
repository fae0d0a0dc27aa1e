// Where nghttp2 gets its memory: small blocks come from free lists of the thread, so that a connection that is warm
// costs malloc nothing, and every session knows how much it holds. For h2_session.cc. One loop thread.
#pragma once

#include <cstddef>

namespace lotse::http {

struct H2Memory {  // one session's; its address goes to the functions below as their last argument
  std::size_t held_bytes = 0;
};

void* h2_allocate(std::size_t bytes, void* memory);
void* h2_allocate_zeroed(std::size_t count, std::size_t bytes, void* memory);
void* h2_reallocate(void* block, std::size_t bytes, void* memory);
void h2_free(void* block, void* memory);

}  // namespace lotse::http

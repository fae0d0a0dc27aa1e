// When the body of a message is passed on inside the kernel rather than copied (net::Stream::splice_to): both sides are
// plain HTTP/1.1 connections, the length is known, so the end is found without looking, and enough is left that it
// pays.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lotse::proxy {

// Two calls more than copying needs, against two copies less. Estimated from the cost of a call, not measured by size.
inline constexpr std::uint64_t kSplicedBytesMin = 16 * 1024;

// Where a large body is expected, a read this short takes the head and leaves the body to be spliced.
inline constexpr std::size_t kHeadReadBytes = 2 * 1024;

}  // namespace lotse::proxy

// What can go wrong, as values. `Error` is what the program decides on (502 or 504? retry? whose fault?) and fits the
// request path; `Problem` is what a person reads (config, command line, API answers). Nothing here throws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace lotse {

enum class Errc : std::uint8_t {
  internal,          // a state we did not expect, reported instead of aborting
  cancelled,         // the caller or a shutdown ended it
  end_of_stream,     // the peer closed in the middle of something
  connection_reset,  // RST, EPIPE
  refused,           // nobody listens there
  unreachable,       // no route, host down
  timed_out,
  resolve_failed,  // the name has no address
  address_in_use,
  permission_denied,
  protocol,    // bytes that break the protocol
  too_large,   // a bound of ours: head, body, line, queue
  overloaded,  // a bound of ours: connections, subscribers, requests waiting
  not_found,
  conflict,
  invalid_argument,
  io,           // disk: full, unreadable, not writable
  unavailable,  // the other side says it cannot serve now (a 5xx of a peer, store read-only)
};

enum class Origin : std::uint8_t { local, downstream, upstream };         // who caused it
enum class Retry : std::uint8_t { never, on_reused_connection, always };  // may another endpoint be tried?

struct Error {
  Errc code = Errc::internal;
  Origin origin = Origin::local;
  Retry retry = Retry::never;
  int uv_code = 0;  // libuv's or -errno; 0: none
};
static_assert(sizeof(Error) == 8);

struct Problem {
  std::string where, what;  // `where` may be empty; text() joins them as "where: what"
  std::string text() const { return where.empty() ? what : where + ": " + what; }
};

struct Unit {};  // Result<Unit>: done, nothing to say

template <typename T, typename E = Error>
class [[nodiscard]] Result : public tl::expected<T, E> {
 public:
  using tl::expected<T, E>::expected;
};

template <typename E>
tl::unexpected<std::decay_t<E>> fail(E&& error) {
  return tl::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

std::string_view to_string(Errc code);
std::string describe(const Error& error);  // "refused (connection refused)"; for logs and people

}  // namespace lotse

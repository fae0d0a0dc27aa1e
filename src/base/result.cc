#include "base/result.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace lotse {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::internal:
      return "internal error";
    case Errc::cancelled:
      return "cancelled";
    case Errc::end_of_stream:
      return "connection closed by the peer";
    case Errc::connection_reset:
      return "connection reset by the peer";
    case Errc::refused:
      return "connection refused";
    case Errc::unreachable:
      return "host unreachable";
    case Errc::timed_out:
      return "timed out";
    case Errc::resolve_failed:
      return "name does not resolve";
    case Errc::address_in_use:
      return "address already in use";
    case Errc::permission_denied:
      return "permission denied";
    case Errc::protocol:
      return "protocol error";
    case Errc::too_large:
      return "too large";
    case Errc::overloaded:
      return "overloaded";
    case Errc::not_found:
      return "not found";
    case Errc::conflict:
      return "conflict";
    case Errc::invalid_argument:
      return "invalid argument";
    case Errc::io:
      return "input/output error";
    case Errc::unavailable:
      return "unavailable";
  }
  return "unknown error";
}

std::string describe(const Error& error) {
  std::string text(to_string(error.code));
  if (error.uv_code < 0 && error.uv_code > -4095) {  // libuv uses -errno on Unix; its own codes start below
    if (error.uv_code > -1000) text += std::string(" (") + std::strerror(-error.uv_code) + ")";
  }
  return text;
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "CHECK failed: %s at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace lotse

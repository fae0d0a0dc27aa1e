#include "net/uv_error.h"

#include <uv.h>

#include <cerrno>

namespace lotse::net {
namespace {

Error local(Errc code, Retry retry, int uv_code) {
  return {.code = code, .origin = Origin::local, .retry = retry, .uv_code = uv_code};
}

}  // namespace

Error error_from_uv(int code) {
  switch (code) {
    case UV_ECONNREFUSED:
    case UV_ENOENT:  // the path of a unix socket that is not there: nobody listens
      return local(Errc::refused, Retry::always, code);
    case UV_ECONNRESET:
    case UV_EPIPE:
    case UV_ECONNABORTED:
    case UV_ENOTCONN:  // the peer reset before we could shut down or ask for its name
      return local(Errc::connection_reset, Retry::on_reused_connection, code);
    case UV_EOF:
      return local(Errc::end_of_stream, Retry::on_reused_connection, code);
    case UV_ETIMEDOUT:
      return local(Errc::timed_out, Retry::on_reused_connection, code);
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL:
      return local(Errc::unreachable, Retry::always, code);
    case UV_EADDRINUSE:
      return local(Errc::address_in_use, Retry::never, code);
    case UV_EACCES:
    case UV_EPERM:
      return local(Errc::permission_denied, Retry::never, code);
    case UV_EMFILE:
    case UV_ENFILE:
    case UV_ENOBUFS:
    case UV_ENOMEM:
    case UV_EAGAIN:  // a unix socket whose backlog is full, a process table that is full
      return local(Errc::overloaded, Retry::never, code);
    case UV_ECANCELED:
      return local(Errc::cancelled, Retry::never, code);
    case UV_EINVAL:
    case UV_EAFNOSUPPORT:
    case UV_ENOTSOCK:
    case UV_ENAMETOOLONG:
    case UV_ENOTDIR:
      return local(Errc::invalid_argument, Retry::never, code);
    case UV_EIO:
    case UV_ENOSPC:
    case UV_EROFS:
      return local(Errc::io, Retry::never, code);
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_NODATA:
    case UV_EAI_NONAME:
    case UV_EAI_ADDRFAMILY:
    case UV_EAI_FAMILY:
    case UV_EAI_SERVICE:
    case UV_EAI_SOCKTYPE:
      return local(Errc::resolve_failed, Retry::always, code);
    case UV_EAI_CANCELED:
      return local(Errc::cancelled, Retry::never, code);
    case UV_EAI_MEMORY:
      return local(Errc::overloaded, Retry::never, code);
    default:
      return local(Errc::internal, Retry::never, code);
  }
}

Error error_from_errno() { return error_from_uv(uv_translate_sys_error(errno)); }

}  // namespace lotse::net

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "net/listen.h"
#include "net/uv_error.h"

namespace lotse::net {
namespace {

void set_option(int fd, int level, int option) {
  int on = 1;
  setsockopt(fd, level, option, &on, sizeof on);
}

// A socket file stays behind when its process dies. Only a refused connection proves that nobody listens there.
bool remove_abandoned_socket(const Address& address) {
  std::string path = address.to_string().substr(5);
  struct stat found {};
  if (path.starts_with('@') || lstat(path.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
  UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe || ::connect(probe.get(), address.raw(), address.length()) == 0 || errno != ECONNREFUSED) return false;
  return unlink(path.c_str()) == 0;
}

}  // namespace

void UniqueFd::close() {
  if (int fd = release(); fd >= 0) ::close(fd);
}

Result<UniqueFd> make_listening_socket(const Address& address, ListenOptions options) {
  int family = address.raw()->sa_family;
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail(error_from_errno());
  if (!address.is_unix()) {
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);  // a restart does not wait for TIME_WAIT
    if (options.reuse_port) set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT);
    if (family == AF_INET6)
      set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);  // so that [::] and 0.0.0.0 can both be had
  }
  int code = ::bind(fd.get(), address.raw(), address.length());
  if (code != 0 && errno == EADDRINUSE && address.is_unix()) {
    errno = remove_abandoned_socket(address) ? 0 : EADDRINUSE;
    if (errno == 0) code = ::bind(fd.get(), address.raw(), address.length());
  }
  if (code != 0 || ::listen(fd.get(), options.backlog) != 0) return fail(error_from_errno());
  return fd;
}

Address local_address(int fd) {
  sockaddr_storage raw{};
  socklen_t length = sizeof raw;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&raw), &length) != 0) return {};
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), length);
}

}  // namespace lotse::net

#include "net/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

namespace lotse::net {
namespace {

constexpr std::size_t kUnixPathAt = offsetof(sockaddr_un, sun_path);

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Problem not_an_address(std::string_view text, std::string_view why) { return {std::string(text), std::string(why)}; }

std::string_view unix_path(const sockaddr_storage& storage, socklen_t length) {
  const char* path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
  std::size_t bytes = length > kUnixPathAt ? length - kUnixPathAt : 0;
  if (bytes > 0 && path[0] != '\0') bytes = strnlen(path, bytes);  // the kernel counts the final zero or does not
  return {path, bytes};
}

Result<std::string_view, Problem> check_unix_path(std::string_view text, std::string_view path) {
  if (path.empty()) return fail(not_an_address(text, "the path of the unix socket is missing"));
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(not_an_address(text, "a unix socket's path may have at most 107 bytes"));
  }
  if (path.find('\0') != path.npos) return fail(not_an_address(text, "a path must not hold a zero byte"));
  return path;
}

}  // namespace

Result<Address, Problem> Address::parse(std::string_view text) {
  if (text.starts_with("unix:")) {
    auto path = check_unix_path(text, text.substr(5));
    if (!path) return fail(path.error());
    Address address;
    auto& raw = reinterpret_cast<sockaddr_un&>(address.storage_);
    raw.sun_family = AF_UNIX;
    std::memcpy(raw.sun_path, path->data(), path->size());
    bool is_abstract = path->front() == '@';  // Linux's namespace without files, written as in ss and systemd
    if (is_abstract) raw.sun_path[0] = '\0';
    address.length_ = static_cast<socklen_t>(kUnixPathAt + path->size() + (is_abstract ? 0 : 1));
    return address;
  }
  std::size_t colon = text.rfind(':');
  if (colon == text.npos || text.ends_with(']'))
    return fail(not_an_address(text, "a port is missing, as in \"127.0.0.1:80\""));
  auto port = parse_port(text.substr(colon + 1));
  if (!port) return fail(not_an_address(text, "the port must be a number from 0 to 65535"));
  std::string_view ip = text.substr(0, colon);
  bool is_bracketed = ip.size() >= 2 && ip.front() == '[' && ip.back() == ']';
  if (is_bracketed) ip = ip.substr(1, ip.size() - 2);
  if (is_bracketed != (ip.find(':') != ip.npos)) {
    return fail(not_an_address(text, "an IPv6 address stands in brackets, as in \"[::1]:80\""));
  }
  auto address = from_ip(ip, *port);
  if (!address) return fail(not_an_address(text, address.error().what));
  return address;
}

Result<Address, Problem> Address::from_ip(std::string_view ip, std::uint16_t port) {
  Address address;
  char text[INET6_ADDRSTRLEN + 1] = {};
  if (ip.size() < sizeof text && ip.find('\0') == ip.npos) {
    std::copy(ip.begin(), ip.end(), text);
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage_);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      address.length_ = sizeof v4;
      return address;
    }
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage_);
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      address.length_ = sizeof v6;
      return address;
    }
  }
  return fail(not_an_address(ip, "not an IP address"));
}

Address Address::from_sockaddr(const sockaddr* raw, socklen_t length) {
  Address address;
  if (raw == nullptr || length < sizeof(sa_family_t) || length > sizeof address.storage_) return address;
  std::memcpy(&address.storage_, raw, length);
  address.length_ = length;
  return address;
}

std::uint16_t Address::port() const {
  if (storage_.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(storage_).sin_port);
  if (storage_.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(storage_).sin6_port);
  return 0;
}

std::string Address::ip() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (storage_.ss_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage_).sin_addr, text, sizeof text);
  } else if (storage_.ss_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage_).sin6_addr, text, sizeof text);
  }
  return text;
}

std::string Address::to_string() const {
  if (is_empty()) return {};
  if (is_unix()) {
    std::string path(unix_path(storage_, length_));
    if (!path.empty() && path.front() == '\0') path.front() = '@';
    return "unix:" + path;
  }
  if (storage_.ss_family == AF_INET6) return fmt::format("[{}]:{}", ip(), port());
  return fmt::format("{}:{}", ip(), port());
}

bool Address::operator==(const Address& other) const {
  if (storage_.ss_family != other.storage_.ss_family) return false;
  if (is_unix()) return unix_path(storage_, length_) == unix_path(other.storage_, other.length_);
  if (storage_.ss_family == AF_INET6) {
    auto& a = reinterpret_cast<const sockaddr_in6&>(storage_);
    auto& b = reinterpret_cast<const sockaddr_in6&>(other.storage_);
    return a.sin6_port == b.sin6_port && a.sin6_scope_id == b.sin6_scope_id &&
           std::memcmp(&a.sin6_addr, &b.sin6_addr, sizeof a.sin6_addr) == 0;
  }
  if (storage_.ss_family == AF_INET) {
    auto& a = reinterpret_cast<const sockaddr_in&>(storage_);
    auto& b = reinterpret_cast<const sockaddr_in&>(other.storage_);
    return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
  }
  return true;  // both empty
}

}  // namespace lotse::net

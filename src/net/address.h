// An IPv4 or IPv6 address and port, or the path of a unix socket. A value; parsing only, no look-ups.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lotse::net {

class Address {
 public:
  Address() = default;
  static Result<Address, Problem> parse(std::string_view text);  // "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"
  static Result<Address, Problem> from_ip(std::string_view ip, std::uint16_t port);  // no brackets
  static Address from_sockaddr(const sockaddr* address, socklen_t length);

  bool is_unix() const { return storage_.ss_family == AF_UNIX; }
  bool is_empty() const { return length_ == 0; }
  std::uint16_t port() const;
  std::string ip() const;         // without port; empty for unix
  std::string to_string() const;  // what parse() takes
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  bool operator==(const Address& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

}  // namespace lotse::net

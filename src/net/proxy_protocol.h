// The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): what a balancer in front of us says of a
// connection before its first byte. Bytes in, addresses out, and the other way round; no I/O. Whom to believe is the
// caller's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "net/address.h"

namespace lotse::net {

enum class ProxyVersion : std::uint8_t { v1, v2 };

// Strict: what does not follow the specification to the letter is refused. It is told of no byte behind the header:
// feed() takes at most wanted() bytes, which are the header's for certain, so whoever reads no more than that leaves
// what follows for others.
class ProxyHeaderReader {
 public:
  enum class State : std::uint8_t { wants_more, done, refused };

  // Of a header of version 2, which may carry up to 64 KiB of extras; one of version 1 has at most 107 bytes.
  explicit ProxyHeaderReader(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  std::size_t wanted() const { return wanted_; }  // more than 0 while it wants more
  State feed(std::span<const char> bytes);

  // Once done. False: the connection speaks for itself (a health check of the balancer, or addresses of a kind that
  // means nothing here), and its own addresses are the client's.
  bool has_addresses() const { return has_addresses_; }
  const Address& source() const { return source_; }  // the client
  const Address& destination() const { return destination_; }
  const char* reason() const { return reason_; }  // why it was refused; static text

 private:
  State refuse(const char* reason);
  State look();
  State look_at_version_1();
  State look_at_version_2();
  State read_addresses_1(std::string_view line);
  State read_addresses_2();
  State read_extras(std::size_t begin);
  std::size_t least_rest_1() const;

  std::size_t bytes_max_;
  std::string header_;
  std::size_t wanted_ = 12;  // both signatures are at least so long, and a whole header is longer
  bool has_addresses_ = false;
  Address source_, destination_;
  const char* reason_ = "";
};

// The header that says so. Addresses of different families, or none, are told as unknown.
std::string proxy_header(ProxyVersion version, const Address& source, const Address& destination);

}  // namespace lotse::net

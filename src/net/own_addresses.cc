#include "net/own_addresses.h"

#include <uv.h>

#include "net/address.h"

namespace lotse::net {

std::vector<std::string> own_addresses(bool wants_ipv6) {
  std::vector<std::string> found;
  uv_interface_address_t* interfaces = nullptr;
  int count = 0;
  if (uv_interface_addresses(&interfaces, &count) == 0) {
    for (int i = 0; i < count; ++i) {
      const uv_interface_address_t& one = interfaces[i];
      if (one.is_internal != 0 || (one.address.address4.sin_family == AF_INET6) != wants_ipv6) continue;
      const auto* raw = reinterpret_cast<const sockaddr*>(&one.address);
      const std::string ip = Address::from_sockaddr(raw, sizeof one.address).ip();
      if (!ip.starts_with("fe80:") && !ip.starts_with("169.254.")) found.push_back(ip);
    }
    uv_free_interface_addresses(interfaces, count);
  }
  if (found.empty()) found.push_back(wants_ipv6 ? "::1" : "127.0.0.1");
  return found;
}

}  // namespace lotse::net

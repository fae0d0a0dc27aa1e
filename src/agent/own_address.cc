#include "agent/own_address.h"

#include <netdb.h>
#include <sys/socket.h>

#include <memory>

#include "net/address.h"
#include "net/listen.h"

namespace lotse::agent {

std::string own_address_towards(const http::Endpoint& scheduler) {
  constexpr const char* kLoopback = "127.0.0.1";
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  if (::getaddrinfo(scheduler.host.c_str(), std::to_string(scheduler.port).c_str(), &hints, &found) != 0)
    return kLoopback;
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    // A connected UDP socket has a local address: the kernel's choice of interface, without a word on the wire.
    net::UniqueFd fd(::socket(entry->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd || ::connect(fd.get(), entry->ai_addr, entry->ai_addrlen) != 0) continue;
    std::string ip = net::local_address(fd.get()).ip();
    if (ip == "::1") return kLoopback;  // container ports are published on IPv4
    if (!ip.empty()) return ip;
  }
  return kLoopback;
}

}  // namespace lotse::agent

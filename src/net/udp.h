// A bound UDP socket: datagrams in, datagrams out, each whole. Nothing is queued: what the kernel does not take now is
// lost, as datagrams may be. One loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "net/address.h"

namespace lotse::net {

class Loop;

class UdpSocket {
 public:
  // `on_datagram` gets bytes that are valid during the call; those cut off by the kernel do not come. It must not
  // destroy the socket.
  using OnDatagram = std::function<void(std::span<const char> bytes, const Address& from)>;
  static Result<std::unique_ptr<UdpSocket>> open(Loop& loop, const Address& address, OnDatagram on_datagram);
  virtual ~UdpSocket() = default;
  virtual bool send(const Address& to, std::string_view bytes) = 0;  // false: the kernel did not take it
  virtual Address address() const = 0;
};

}  // namespace lotse::net

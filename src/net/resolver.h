// Name look-ups off the loop (uv_getaddrinfo on libuv's thread pool). IP addresses are answered without one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"

namespace lotse::net {

class Loop;

class Lookup {  // destroying it cancels: the callback does not come
 public:
  virtual ~Lookup() = default;
};

// The callback comes from the loop, never from inside this call. At least one address, or Errc::resolve_failed.
std::unique_ptr<Lookup> resolve(Loop& loop, const std::string& host, std::uint16_t port,
                                std::function<void(Result<std::vector<Address>>)> on_resolved);

}  // namespace lotse::net

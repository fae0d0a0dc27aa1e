// The key of a WebSocket handshake over HTTP/1.1 and what must come back for it (RFC 6455 sections 4.1 and 4.2.2), made
// by us where a client has asked in HTTP/2, which has no keys (RFC 8441 section 5). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace lotse::proxy {

class WebSocketKey {
 public:
  void make(std::uint64_t first, std::uint64_t second);  // random numbers
  void set(std::string_view key);                        // somebody else's, of 24 characters
  std::string_view text() const { return {key_.data(), key_.size()}; }
  std::string_view accept() const { return {accept_.data(), accept_.size()}; }

 private:
  std::array<char, 24> key_{};     // of 16 bytes, in base64
  std::array<char, 28> accept_{};  // of 20
};

}  // namespace lotse::proxy

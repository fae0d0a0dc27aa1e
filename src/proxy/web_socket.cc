#include "proxy/web_socket.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <span>

namespace lotse::proxy {

namespace {

void write_base64(std::span<const std::uint8_t> bytes, char* out) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const std::uint32_t word = static_cast<std::uint32_t>(bytes[i]) << 16 |
                               (left > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8 : 0U) |
                               (left > 2 ? static_cast<std::uint32_t>(bytes[i + 2]) : 0U);
    *out++ = kDigits[word >> 18 & 63];
    *out++ = kDigits[word >> 12 & 63];
    *out++ = left > 1 ? kDigits[word >> 6 & 63] : '=';
    *out++ = left > 2 ? kDigits[word & 63] : '=';
  }
}

struct Sha1State {
  std::array<std::uint32_t, 5> h{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};

  void take(const std::uint8_t* block) {  // 64 bytes; RFC 3174 section 6.1
    std::array<std::uint32_t, 80> w{};
    for (std::size_t i = 0; i < 16; ++i) {
      w[i] = static_cast<std::uint32_t>(block[4 * i]) << 24 | static_cast<std::uint32_t>(block[4 * i + 1]) << 16 |
             static_cast<std::uint32_t>(block[4 * i + 2]) << 8 | block[4 * i + 3];
    }
    for (std::size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = h;
    for (std::size_t i = 0; i < 80; ++i) {
      const std::uint32_t mix = i < 20   ? ((b & c) | (~b & d)) + 0x5A827999
                                : i < 40 ? (b ^ c ^ d) + 0x6ED9EBA1
                                : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC
                                         : (b ^ c ^ d) + 0xCA62C1D6;
      const std::uint32_t next = std::rotl(a, 5) + mix + e + w[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
};

}  // namespace

// SHA-1 keeps no secret here: it only shows that the endpoint speaks WebSocket. Hence no library for sixty bytes.
void WebSocketKey::make(std::uint64_t first, std::uint64_t second) {
  std::array<std::uint8_t, 16> random{};
  std::memcpy(random.data(), &first, 8);
  std::memcpy(random.data() + 8, &second, 8);
  write_base64(random, key_.data());
  set(text());
}

void WebSocketKey::set(std::string_view key) {
  std::copy_n(key.data(), std::min(key.size(), key_.size()), key_.data());
  static constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  constexpr std::size_t kBytes = 24 + 36;
  std::array<std::uint8_t, 128> padded{};
  std::memcpy(padded.data(), key_.data(), key_.size());
  std::memcpy(padded.data() + key_.size(), kGuid.data(), kGuid.size());
  padded[kBytes] = 0x80;
  padded[126] = static_cast<std::uint8_t>(kBytes * 8 >> 8);
  padded[127] = static_cast<std::uint8_t>(kBytes * 8 & 0xff);
  Sha1State state;
  state.take(padded.data());
  state.take(padded.data() + 64);
  std::array<std::uint8_t, 20> digest{};
  for (std::size_t i = 0; i < 20; ++i) digest[i] = static_cast<std::uint8_t>(state.h[i / 4] >> (24 - 8 * (i % 4)));
  write_base64(digest, accept_.data());
}

}  // namespace lotse::proxy

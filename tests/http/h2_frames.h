// Frames of HTTP/2 as bytes, right and wrong ones, written by hand: what a test sends must not depend on a library that
// would refuse to send it. Field blocks are literals without indexing, so they can be cut and repeated at will.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lotse::http::h2 {

inline constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum Type : std::uint8_t {
  data = 0,
  headers = 1,
  priority = 2,
  rst_stream = 3,
  settings = 4,
  push_promise = 5,
  ping = 6,
  goaway = 7,
  window_update = 8,
  continuation = 9
};
enum Flag : std::uint8_t { none = 0, end_stream = 1, ack = 1, end_headers = 4, padded = 8, has_priority = 0x20 };

inline std::string number(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

inline std::string frame(std::uint8_t type, int flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string out = number(payload.size(), 3) + static_cast<char>(type) + static_cast<char>(flags) + number(stream, 4);
  return out.append(payload);
}

struct Fields : std::vector<std::pair<std::string, std::string>> {  // a type of its own, for operator+
  using vector::vector;
};

inline std::string text(std::string_view text) {  // RFC 7541 section 5.2, without Huffman
  std::string out;
  if (text.size() < 127) return out += static_cast<char>(text.size()), out.append(text);
  out += '\x7f';
  std::size_t rest = text.size() - 127;
  for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
  out += static_cast<char>(rest);
  return out.append(text);
}

inline std::string block(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += '\0' + text(name) + text(value);
  return out;
}

inline Fields get(std::string_view path = "/", std::string_view method = "GET") {
  return {
      {":method", std::string(method)}, {":scheme", "http"}, {":path", std::string(path)}, {":authority", "a.test"}};
}
inline Fields operator+(Fields left, const Fields& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

inline std::string headers_frame(std::uint32_t stream, const Fields& fields, int flags = end_stream | end_headers) {
  return frame(headers, flags, stream, block(fields));
}
inline std::string data_frame(std::uint32_t stream, std::string_view bytes, int flags = none) {
  return frame(data, flags, stream, bytes);
}
inline std::string setting(std::uint16_t id, std::uint32_t value) { return number(id, 2) + number(value, 4); }
inline std::string hello() { return std::string(kPreface) + frame(settings, none, 0); }

struct Frame {
  std::uint8_t type = 0, flags = 0;
  std::uint32_t stream = 0;
  std::string payload;
  std::uint32_t error() const {  // of RST_STREAM and GOAWAY
    const std::size_t at = type == goaway ? 4 : 0;
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4 && i < payload.size(); ++i)
      value = value << 8 | static_cast<unsigned char>(payload[i]);
    return value;
  }
  std::uint32_t word() const {  // of WINDOW_UPDATE; GOAWAY's last stream
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4 && i < payload.size(); ++i)
      value = value << 8 | static_cast<unsigned char>(payload[i]);
    return value & 0x7fffffff;
  }
};

// Whole frames are taken off the front of `bytes`.
inline std::vector<Frame> take_frames(std::string& bytes) {
  std::vector<Frame> frames;
  const auto byte = [&](std::size_t at) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])); };
  while (bytes.size() >= 9) {
    const std::size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < 9 + size) break;
    Frame one{static_cast<std::uint8_t>(byte(3)), static_cast<std::uint8_t>(byte(4)),
              (byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)) & 0x7fffffff, bytes.substr(9, size)};
    frames.push_back(std::move(one));
    bytes.erase(0, 9 + size);
  }
  return frames;
}

}  // namespace lotse::http::h2

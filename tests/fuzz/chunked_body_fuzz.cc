// A chunked body as our parser reads it against the plainest decoder of RFC 9112 section 7.1 that can be written: what
// we take, that one takes as well, with the same payload and the same end. We may refuse more: odd sizes, long
// extensions.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "http/h1_parser.h"

namespace {

using lotse::http::Field;
using lotse::http::Limits;

struct Decoded {
  std::string payload;
  std::size_t consumed = 0;
};

bool is_line_clean(std::string_view line) {
  for (const char c : line) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

// nullopt: not a whole and clean chunked body.
std::optional<Decoded> decode_plainly(std::string_view input) {
  Decoded out;
  const auto take_line = [&]() -> std::optional<std::string_view> {
    const std::size_t end = input.find("\r\n", out.consumed);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view line = input.substr(out.consumed, end - out.consumed);
    out.consumed = end + 2;
    if (!is_line_clean(line)) return std::nullopt;
    return line;
  };
  for (;;) {
    const auto line = take_line();
    if (!line) return std::nullopt;
    const std::string digits(line->substr(0, line->find(';')));
    if (digits.empty() || digits.size() > 16 || digits.find_first_not_of("0123456789abcdefABCDEF") != std::string::npos)
      return std::nullopt;
    const std::uint64_t size = std::stoull(digits, nullptr, 16);
    if (size == 0) break;
    if (input.size() - out.consumed < 2 || size > input.size() - out.consumed - 2) return std::nullopt;
    out.payload += input.substr(out.consumed, size);
    out.consumed += size;
    if (input.substr(out.consumed, 2) != "\r\n") return std::nullopt;
    out.consumed += 2;
  }
  for (;;) {  // trailers
    const auto line = take_line();
    if (!line) return std::nullopt;
    if (line->empty()) return out;
    const std::size_t colon = line->find(':');
    if (colon == 0 || colon == std::string_view::npos || line->find_first_of(" \t") < colon) return std::nullopt;
  }
}

struct Body final : lotse::http::RequestListener {
  void on_request_head(const lotse::http::RequestHead&) override {}
  void on_request_body(std::span<const char> bytes) override { payload.append(bytes.data(), bytes.size()); }
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override { is_complete = true; }
  std::string payload;
  bool is_complete = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const Limits limits;
  Body body;
  lotse::http::RequestParser parser(body, limits);
  if (parser.feed(std::string_view("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")).error)
    std::abort();
  const lotse::http::FeedResult ours = parser.feed(input);
  if (!body.is_complete) return 0;
  const auto plain = decode_plainly(input);
  if (!plain || plain->payload != body.payload || plain->consumed != ours.consumed) std::abort();
  return 0;
}

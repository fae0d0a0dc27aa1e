// Heads on their way out, in no wire format: what an Exchange hands to the connection that will write them (h1 now, h2
// later). Views: into the parser's head buffer, the exchange's arena or static text; valid until the exchange is over.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/message.h"

namespace lotse::proxy {

struct RequestOut {
  http::Method method = http::Method::get;
  std::string_view method_text, target, authority;
  std::span<const http::Field> fields;  // without Host, framing and hop-by-hop fields
  bool is_chunked = false;              // the body has no known length
  std::optional<std::uint64_t> content_length;
  std::string_view upgrade;       // not empty: asks for this protocol
  bool accepts_trailers = false;  // `TE: trailers`, which says so hop by hop
};

struct ResponseOut {
  int status = 200;
  std::string_view reason;
  std::span<const http::Field> fields;          // without framing and hop-by-hop fields
  bool is_bodiless = false;                     // HEAD, 204, 304, 1xx: nothing follows, whatever the length says
  std::optional<std::uint64_t> content_length;  // nullopt with a body: chunked or until the connection ends
  std::string_view upgrade;                     // of a 101
  bool closes = false;                          // nothing more is read from this client: its request was refused
};

}  // namespace lotse::proxy

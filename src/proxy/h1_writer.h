// HTTP/1.1 heads and chunk framing, written in one pass into the worker's outbox. Knows what to write, not when.
#pragma once

#include <string_view>

#include "proxy/message_out.h"
#include "proxy/outbox.h"

namespace lotse::proxy {

void write_request_head(Outbox& outbox, const RequestOut& head);

enum class ConnectionSays : std::uint8_t { nothing, close, keep_alive };
struct ResponseFraming {
  bool is_chunked = false;
  ConnectionSays connection = ConnectionSays::nothing;
};
void write_response_head(Outbox& outbox, const ResponseOut& head, ResponseFraming framing);

void write_chunk(Outbox& outbox, std::string_view bytes);  // not empty: that would be the last one
void write_last_chunk(Outbox& outbox, std::span<const http::Field> trailers);

}  // namespace lotse::proxy

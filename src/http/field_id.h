// Which of the fields that HTTP or the proxy treats specially a name is. Read once per field, when a head is parsed, so
// that nobody downstream of the parser compares names again. Pure, no allocation.
#pragma once

#include <cstdint>
#include <string_view>

namespace lotse::http {

enum class FieldId : std::uint8_t {
  unread,  // nobody has looked at the name yet
  other,
  with_underscore,  // "x_y": what CGI-like servers confuse with "x-y"
  connection,
  content_length,
  expect,
  forwarded,
  host,
  http2_settings,
  keep_alive,
  proxy,
  proxy_authorization,
  proxy_connection,
  te,
  trailer,
  transfer_encoding,
  upgrade,
  x_forwarded_client_cert,
  x_forwarded_for,
  x_forwarded_host,
  x_forwarded_port,
  x_forwarded_proto,
};

// Ignores case. `name` is a token (RFC 9110 section 5.6.2): with control characters in it the answer means nothing.
FieldId field_id_of(std::string_view name);
FieldId field_id_of_plain(std::string_view name);  // the same for a name without underscores

}  // namespace lotse::http

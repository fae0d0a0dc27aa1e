// Heads of HTTP messages as the proxy's path sees them: views into an arena or buffer that the holder names, no wire
// format (h1 and h2 both produce and consume these). Field names keep the case they arrived in; look-ups ignore it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "http/field_id.h"

namespace lotse::http {

struct Field {
  std::string_view name, value;  // value without surrounding white space
  FieldId read_id = FieldId::unread;
  FieldId id() const { return read_id != FieldId::unread ? read_id : field_id_of(name); }
};

enum class Method : std::uint8_t { get, head, post, put, del, patch, options, connect, trace, other };
bool is_idempotent(Method method);  // RFC 9110 section 9.2.2
Method method_from(std::string_view text);

bool equals_ignoring_case(std::string_view a, std::string_view b);
// Does a comma-separated list value hold `token`?
bool list_has_token(std::string_view value, std::string_view token);

struct RequestHead {
  Method method = Method::get;
  std::string_view method_text;
  std::string_view target;  // as received
  std::string_view path;    // target without query; an absolute-form target is already taken apart
  std::string_view query;   // without "?"; has_query tells "" from absent
  bool has_query = false;
  std::string_view authority;     // Host, or the absolute form's; as received, with port
  int major_version = 1;          // 2: the fields have no framing, and Connection does not exist
  int minor_version = 1;          // of HTTP/1.x
  std::span<const Field> fields;  // all, Host and framing included, in order
  // Framing, already checked (RFC 9112 section 6):
  bool is_chunked = false;
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
  bool expects_continue = false;
  std::string_view upgrade;  // the Upgrade field when Connection names it; else empty

  bool accepts_trailers() const;  // TE names them (RFC 9110 section 10.1.4)
  bool has_body() const { return is_chunked || content_length.value_or(0) > 0; }
  std::optional<std::string_view> find(std::string_view name) const;  // the first
};

struct ResponseHead {
  int status = 200;
  std::string_view reason;
  int minor_version = 1;
  std::span<const Field> fields;
  bool is_chunked = false;
  std::optional<std::uint64_t> content_length;
  bool keep_alive = true;
  bool is_bodiless = false;           // 1xx, 204, 304, or the answer to HEAD
  bool ends_with_connection = false;  // neither length nor chunked: the body ends where the connection does
  std::optional<std::string_view> find(std::string_view name) const;
};

std::string_view reason_of(int status);  // "Not Found"; "" for unknown

}  // namespace lotse::http

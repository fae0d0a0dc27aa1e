#include "http/field_id.h"

#include <cstring>

namespace lotse::http {

namespace {

// Compares a name with a lower-case constant of letters, digits and dashes, eight bytes at a time. Setting bit 5 makes
// capital letters small and leaves digits and dashes alone; beside them only control characters would turn into one of
// those, and no token has any.
template <std::size_t N>
bool is(const char* name, const char (&known)[N]) {
  constexpr std::size_t kLength = N - 1;
  constexpr std::uint64_t kSmall = 0x2020202020202020U;
  const auto load = [](const char* place, std::size_t bytes) {
    std::uint64_t word = 0;
    std::memcpy(&word, place, bytes);
    return word;
  };
  std::size_t at = 0;
  for (; at + 8 <= kLength; at += 8) {
    if ((load(name + at, 8) | kSmall) != load(known + at, 8)) return false;
  }
  constexpr std::size_t kRest = kLength % 8;
  if constexpr (kRest > 0) {
    constexpr std::uint64_t kRestSmall = kSmall >> (64 - 8 * kRest);
    return (load(name + at, kRest) | kRestSmall) == load(known + at, kRest);
  }
  return true;
}

}  // namespace

FieldId field_id_of_plain(std::string_view text) {
  const char* const name = text.data();
  switch (text.size()) {
    case 2:
      return is(name, "te") ? FieldId::te : FieldId::other;
    case 4:
      return is(name, "host") ? FieldId::host : FieldId::other;
    case 5:
      return is(name, "proxy") ? FieldId::proxy : FieldId::other;
    case 6:
      return is(name, "expect") ? FieldId::expect : FieldId::other;
    case 7:
      if (is(name, "upgrade")) return FieldId::upgrade;
      return is(name, "trailer") ? FieldId::trailer : FieldId::other;
    case 9:
      return is(name, "forwarded") ? FieldId::forwarded : FieldId::other;
    case 10:
      if (is(name, "connection")) return FieldId::connection;
      return is(name, "keep-alive") ? FieldId::keep_alive : FieldId::other;
    case 14:
      if (is(name, "content-length")) return FieldId::content_length;
      return is(name, "http2-settings") ? FieldId::http2_settings : FieldId::other;
    case 15:
      return is(name, "x-forwarded-for") ? FieldId::x_forwarded_for : FieldId::other;
    case 16:
      if (is(name, "x-forwarded-host")) return FieldId::x_forwarded_host;
      if (is(name, "x-forwarded-port")) return FieldId::x_forwarded_port;
      return is(name, "proxy-connection") ? FieldId::proxy_connection : FieldId::other;
    case 17:
      if (is(name, "transfer-encoding")) return FieldId::transfer_encoding;
      return is(name, "x-forwarded-proto") ? FieldId::x_forwarded_proto : FieldId::other;
    case 19:
      return is(name, "proxy-authorization") ? FieldId::proxy_authorization : FieldId::other;
    case 23:
      return is(name, "x-forwarded-client-cert") ? FieldId::x_forwarded_client_cert : FieldId::other;
    default:
      return FieldId::other;
  }
}

FieldId field_id_of(std::string_view name) {
  const FieldId known = field_id_of_plain(name);
  if (known != FieldId::other) return known;
  return name.find('_') == std::string_view::npos ? FieldId::other : FieldId::with_underscore;
}

}  // namespace lotse::http

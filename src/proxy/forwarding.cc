#include "proxy/forwarding.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <iterator>

#include "http/text.h"

namespace lotse::proxy {

namespace {

using http::equals_ignoring_case;
using http::FieldId;

// Never forwarded: it speaks of the connection, or of the framing that we write ourselves.
bool is_hop_by_hop(FieldId id) {
  switch (id) {
    case FieldId::connection:
    case FieldId::content_length:
    case FieldId::http2_settings:
    case FieldId::keep_alive:
    case FieldId::proxy_authorization:
    case FieldId::proxy_connection:
    case FieldId::te:
    case FieldId::trailer:
    case FieldId::transfer_encoding:
    case FieldId::upgrade:
      return true;
    default:
      return false;
  }
}

// Most Connection fields say keep-alive, close or upgrade, which name no field that would get through anyway.
bool names_others(std::string_view value) {
  return !equals_ignoring_case(value, "keep-alive") && !equals_ignoring_case(value, "close") &&
         !equals_ignoring_case(value, "upgrade");
}

// Which fields the Connection fields name. Those that we set, and Host, cannot be taken away from us that way: they are
// never looked up here. The lists are gone through once, for all fields: a head full of Connection fields would cost
// their product otherwise.
class Nominations {
 public:
  explicit Nominations(std::span<const http::Field> fields) {
    for (const http::Field& field : fields) {
      if (field.id() != FieldId::connection || !names_others(field.value)) continue;
      if (is_named_.empty()) prepare(fields);
      read(field.value, fields);
    }
  }
  bool contains(std::size_t index) const { return !is_named_.empty() && is_named_[index]; }

 private:
  static std::uint64_t bit_of(std::string_view name) {
    return std::uint64_t{1} << ((name.size() * 7 + (static_cast<unsigned char>(name[0]) | 0x20U)) % 64);
  }
  void prepare(std::span<const http::Field> fields) {
    is_named_.resize(fields.size());
    for (const http::Field& field : fields) bits_ |= bit_of(field.name);
  }
  void read(std::string_view list, std::span<const http::Field> fields) {
    while (!list.empty()) {
      std::size_t comma = std::min(list.find(','), list.size());
      std::string_view name = http::trim(list.substr(0, comma));
      list.remove_prefix(std::min(comma + 1, list.size()));
      if (name.empty() || (bits_ & bit_of(name)) == 0) continue;
      for (std::size_t i = 0; i < fields.size(); ++i) {
        if (!is_named_[i] && equals_ignoring_case(fields[i].name, name)) is_named_[i] = 1;
      }
    }
  }

  std::vector<char> is_named_;  // empty: none is
  std::uint64_t bits_ = 0;      // of all names: most of what is named is not there at all
};

// The lines of one list field, seen so far. They are joined once, when all are known: line by line would cost the
// square of what a client behind a trusted proxy cares to send. Empty lines say nothing (RFC 9110 section 5.6.1).
struct Repeated {
  std::string_view first;
  std::size_t count = 0, bytes = 0;  // with ", " before each
  void add(std::string_view value) {
    if (value.empty()) return;
    if (count++ == 0) first = value;
    bytes += value.size() + 2;
  }
};

// What a trusted peer said, to be kept or extended. Repeated fields are one list.
struct Said {
  Repeated for_, forwarded;
  std::string_view proto, host, port, certificate;
};

std::string_view joined(Arena& arena, const http::RequestHead& head, FieldId id, const Repeated& lines) {
  if (lines.count < 2) return lines.first;
  char* const place = arena.array<char>(lines.bytes);
  char* end = place;
  for (const http::Field& field : head.fields) {
    if (field.value.empty() || field.id() != id) continue;
    if (end != place) {
      *end++ = ',';
      *end++ = ' ';
    }
    end = std::copy(field.value.begin(), field.value.end(), end);
  }
  return {place, static_cast<std::size_t>(end - place)};
}

std::string_view last_of_list(std::string_view list) {
  std::size_t comma = list.rfind(',');
  return http::trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
}

// CGI-like servers read "x_y" as "x-y": what we set must not come in by the other spelling.
bool is_ours_with_underscores(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 32;
  if (name.size() > kNameBytesMax) return false;
  std::array<char, kNameBytesMax> dashed;
  std::replace_copy(name.begin(), name.end(), dashed.begin(), '_', '-');
  switch (http::field_id_of_plain({dashed.data(), name.size()})) {
    case FieldId::x_forwarded_client_cert:
    case FieldId::x_forwarded_for:
    case FieldId::x_forwarded_host:
    case FieldId::x_forwarded_port:
    case FieldId::x_forwarded_proto:
      return true;
    default:
      return false;
  }
}

// Composes lines side by side as they will stand in the head, so that the writer copies them as one block.
class Lines {
 public:
  Lines(Arena& arena, std::size_t bytes_max, std::vector<http::Field>& fields)
      : place_(arena.array<char>(bytes_max)), fields_(fields) {}

  template <std::size_t N>
  void add(const char (&name)[N], std::initializer_list<std::string_view> value_parts) {
    const char* const start = place_;
    put({name, N - 1});
    put(": ");
    const char* const value = place_;
    for (std::string_view part : value_parts) put(part);
    fields_.push_back({{start, N - 1}, {value, static_cast<std::size_t>(place_ - value)}, FieldId::other});
    put("\r\n");
  }

 private:
  void put(std::string_view text) { place_ = std::copy(text.begin(), text.end(), place_); }

  char* place_;
  std::vector<http::Field>& fields_;
};

void append_forwarded(const http::RequestHead& head, const ClientInfo& client, const Said& said, Arena& arena,
                      std::vector<http::Field>& fields) {
  const std::string_view said_for = joined(arena, head, FieldId::x_forwarded_for, said.for_);
  const std::string_view said_forwarded = joined(arena, head, FieldId::forwarded, said.forwarded);
  constexpr std::size_t kNamesAndSeparators = 160;
  const auto comma = [](std::string_view said_before) { return said_before.empty() ? "" : std::string_view(", "); };
  std::string_view proto = said.proto.empty() ? client.scheme : said.proto;
  std::string_view host = said.host.empty() ? head.authority : said.host;
  std::string_view port = said.port.empty() ? std::string_view(client.port) : said.port;
  // Of whom we have seen ourselves; else what a trusted peer says of whom it has seen.
  std::string_view certificate = client.certificate.empty() ? said.certificate : std::string_view(client.certificate);
  Lines lines(arena,
              kNamesAndSeparators + said_for.size() + client.ip.size() + proto.size() + host.size() + port.size() +
                  said_forwarded.size() + client.forwarded.size() + head.authority.size() + certificate.size(),
              fields);
  lines.add("X-Forwarded-For", {said_for, comma(said_for), client.ip});
  lines.add("X-Forwarded-Proto", {proto});
  if (!host.empty()) lines.add("X-Forwarded-Host", {host});  // an HTTP/1.0 request may have no Host
  lines.add("X-Forwarded-Port", {port});
  if (!certificate.empty()) lines.add("X-Forwarded-Client-Cert", {certificate});
  // The authority has passed the grammar of Host: it needs no escapes inside the quotes.
  lines.add("Forwarded", {said_forwarded, comma(said_forwarded), client.forwarded, head.authority, "\""});
}

}  // namespace

ClientInfo make_client_info(const net::Address& peer, const net::Address& local, const HttpConfig& http,
                            bool is_encrypted) {
  ClientInfo info;
  if (is_encrypted) info.scheme = "https";
  info.ip = peer.is_unix() || peer.is_empty() ? "unix" : peer.ip();
  if (info.ip.starts_with("::ffff:")) info.ip.erase(0, 7);  // IPv4 that came over a dual-stack socket
  bool is_v6 = info.ip.find(':') != std::string::npos;
  info.forwarded =
      (is_v6 ? "for=\"[" + info.ip + "]\"" : "for=" + info.ip) + ";proto=" + std::string(info.scheme) + ";host=\"";
  info.port = local.is_unix() ? "" : std::to_string(local.port());
  info.is_trusted = std::any_of(http.trusted_proxies.begin(), http.trusted_proxies.end(),
                                [&](const Cidr& range) { return range.contains(peer); });
  return info;
}

std::string describe_certificate(const net::TlsStream& stream) {
  const std::string fingerprint = stream.peer_fingerprint();
  if (fingerprint.empty()) return {};
  std::string text = "Hash=" + fingerprint + ";Subject=\"";
  for (char c : stream.peer_subject()) {
    if (c == '"' || c == '\\') text += '\\';
    text += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? ' ' : c;
  }
  return text + '"';
}

void append_request_fields(const http::RequestHead& head, const ClientInfo& client, bool keep_underscore_fields,
                           Arena& arena, std::vector<http::Field>& fields) {
  const Nominations nominations(head.fields);
  bool expects_continue = head.expects_continue && head.has_body();
  Said said;
  for (std::size_t i = 0; i < head.fields.size(); ++i) {
    const http::Field& field = head.fields[i];
    const FieldId id = field.id();
    switch (id) {
      case FieldId::with_underscore:
        if (keep_underscore_fields && !nominations.contains(i) && !is_ours_with_underscores(field.name))
          fields.push_back(field);
        break;
      case FieldId::expect:
        // Forwarded once, as what it was understood to be (the parser refuses any other), when there is a body to wait
        // for.
        if (expects_continue && !nominations.contains(i)) fields.push_back({"Expect", "100-continue"});
        expects_continue = false;
        break;
      case FieldId::x_forwarded_for:
        if (client.is_trusted) said.for_.add(field.value);
        break;
      case FieldId::x_forwarded_proto:
        if (client.is_trusted) said.proto = field.value;
        break;
      case FieldId::x_forwarded_host:
        if (client.is_trusted) said.host = field.value;
        break;
      case FieldId::x_forwarded_port:
        if (client.is_trusted) said.port = field.value;
        break;
      case FieldId::x_forwarded_client_cert:
        if (client.is_trusted) said.certificate = field.value;
        break;
      case FieldId::forwarded:
        if (client.is_trusted) said.forwarded.add(field.value);
        break;
      case FieldId::host:  // from the parsed authority
        break;
      case FieldId::proxy:  // no field of HTTP, but CGI programs take it for the variable HTTP_PROXY (CVE-2016-5385)
        break;
      default:
        if (!is_hop_by_hop(id) && !nominations.contains(i)) fields.push_back(field);
    }
  }
  append_forwarded(head, client, said, arena, fields);
}

std::string_view tunnelled_protocol(const http::RequestHead& head) {
  return http::list_has_token(head.upgrade, "h2c") ? std::string_view() : head.upgrade;
}

void append_response_fields(const http::ResponseHead& head, std::vector<http::Field>& fields) {
  const Nominations nominations(head.fields);
  for (std::size_t i = 0; i < head.fields.size(); ++i) {
    if (!is_hop_by_hop(head.fields[i].id()) && !nominations.contains(i)) fields.push_back(head.fields[i]);
  }
}

void append_trailers(std::span<const http::Field> trailers, Arena* arena, std::vector<http::Field>& fields) {
  static constexpr std::string_view kNever[] = {"authorization", "cookie",        "set-cookie",  "content-type",
                                                "content-range", "cache-control", "max-forwards"};
  for (const http::Field& field : trailers) {
    if (field.id() != FieldId::other) continue;
    if (std::any_of(std::begin(kNever), std::end(kNever),
                    [&](std::string_view name) { return equals_ignoring_case(field.name, name); }))
      continue;
    fields.push_back(arena != nullptr ? http::Field{arena->copy(field.name), arena->copy(field.value), FieldId::other}
                                      : field);
  }
}

std::string_view client_address(const http::RequestHead& head, const ClientInfo& client, const HttpConfig& http) {
  if (!client.is_trusted) return client.ip;
  // From the right: each address vouches for the one before it as long as it is trusted itself.
  std::string_view outermost = client.ip;
  for (auto field = head.fields.rbegin(); field != head.fields.rend(); ++field) {
    if (field->id() != FieldId::x_forwarded_for) continue;
    std::string_view list = field->value;
    while (!list.empty()) {
      std::string_view last = last_of_list(list);
      auto address = net::Address::from_ip(last, 0);
      if (!address) return outermost;
      outermost = last;
      bool is_trusted = std::any_of(http.trusted_proxies.begin(), http.trusted_proxies.end(),
                                    [&](const Cidr& range) { return range.contains(*address); });
      if (!is_trusted) return outermost;
      std::size_t comma = list.rfind(',');
      list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
    }
  }
  return outermost;
}

}  // namespace lotse::proxy

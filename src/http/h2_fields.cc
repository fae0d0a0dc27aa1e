#include "http/h2_fields.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "http/text.h"
#include "http/url.h"

namespace lotse::http {

namespace {

constexpr ParseError malformed(const char* reason) { return {kH2Malformed, reason}; }

constexpr std::array<bool, 256> kValueCharacters = [] {
  std::array<bool, 256> table{};
  for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = !is_control(static_cast<char>(i));
  return table;
}();
constexpr std::array<bool, 256> kNameCharacters = [] {
  std::array<bool, 256> table = kTokenCharacters;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = false;
  return table;
}();

bool has_only(const std::array<bool, 256>& table, std::string_view text) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return table[static_cast<unsigned char>(c)]; });
}

constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }

// RFC 9113 section 8.2.1; of control characters HTAB alone may stand inside a value, as in HTTP/1.1.
bool is_clean_value(std::string_view value) {
  if (!value.empty() && (is_blank(value.front()) || is_blank(value.back()))) return false;
  return has_only(kValueCharacters, value);
}

// 1*DIGIT up to 2^63-1, as the h1 parser takes it.
std::optional<std::uint64_t> length_of(std::string_view text) {
  constexpr std::uint64_t kMax = (std::uint64_t{1} << 63) - 1;
  if (text.empty()) return std::nullopt;
  std::uint64_t length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (length > (kMax - digit) / 10) return std::nullopt;
    length = length * 10 + digit;
  }
  return length;
}

bool is_clean_target(std::string_view target) {
  return std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}

// The pseudo-fields of a request; nullopt: not there (an empty one is).
struct Pseudo {
  std::optional<std::string_view> method, scheme, authority, path, protocol;

  std::optional<std::string_view>* place_of(std::string_view name) {
    if (name == ":method") return &method;
    if (name == ":scheme") return &scheme;
    if (name == ":authority") return &authority;
    if (name == ":path") return &path;
    if (name == ":protocol") return &protocol;
    return nullptr;
  }
};

// They stand first, each once, and nobody has heard of others (RFC 9113 section 8.3). Takes them off the block.
ParseError read_pseudo(std::span<const Field>& block, Pseudo& pseudo) {
  while (!block.empty() && block.front().name.starts_with(':')) {
    const Field& field = block.front();
    std::optional<std::string_view>* const place = pseudo.place_of(field.name);
    if (place == nullptr) return malformed("unknown pseudo-field");
    if (place->has_value()) return malformed("a pseudo-field twice");
    if (!is_clean_value(field.value)) return malformed("bad character in a pseudo-field");
    *place = field.value;
    block = block.subspan(1);
  }
  return {};
}

// Sets target, path and query.
ParseError read_path(std::string_view target, const Limits& limits, RequestHead& head) {
  if (target.empty()) return malformed("empty :path");
  if (target.size() > limits.request_line_bytes_max) return {414, ":path is too long"};
  head.target = target;
  if (target == "*") {
    if (head.method != Method::options) return malformed(":path * without OPTIONS");
    head.path = target;
    return {};
  }
  if (target.front() != '/') return malformed(":path does not begin with a slash");
  if (!is_clean_target(target)) return malformed("bad character in :path");
  const std::size_t question = target.find('?');
  head.path = target.substr(0, question);
  if (question != std::string_view::npos) {
    head.has_query = true;
    head.query = target.substr(question + 1);
  }
  return {};
}

// RFC 9113 section 8.3.1; of CONNECT section 8.5 and RFC 8441 section 4.
ParseError read_line(const Pseudo& pseudo, const Limits& limits, RequestHead& head) {
  if (!pseudo.method || !is_token(*pseudo.method)) return malformed("no :method, or a bad one");
  head.method_text = *pseudo.method;
  head.method = method_from(head.method_text);
  if (head.method == Method::connect && !pseudo.protocol) {
    if (pseudo.scheme || pseudo.path || !pseudo.authority) return malformed("CONNECT with :scheme or :path");
    return {405, "CONNECT and TRACE are refused"};
  }
  if (pseudo.protocol && head.method != Method::connect) return malformed(":protocol without CONNECT");
  if (!pseudo.scheme) return malformed("no :scheme");
  if (*pseudo.scheme != "http" && *pseudo.scheme != "https") return malformed("unknown :scheme");
  if (!pseudo.path) return malformed("no :path");
  if (ParseError error = read_path(*pseudo.path, limits, head)) return error;
  if (head.method == Method::trace) return {405, "CONNECT and TRACE are refused"};
  if (!pseudo.protocol) return {};
  if (!equals_ignoring_case(*pseudo.protocol, "websocket")) return {501, "a :protocol other than websocket"};
  head.method = Method::get;
  head.method_text = "GET";
  head.upgrade = *pseudo.protocol;
  return {};
}

}  // namespace

struct H2HeadReader::Facts {
  std::optional<std::string_view> host;
  std::optional<std::uint64_t> content_length;
  int cookies = 0;
  bool expects_continue = false, expects_other = false;
};

// Everything behind the pseudo-fields: names, values, and what may not be there at all (RFC 9113 section 8.2).
ParseError H2HeadReader::read_fields(std::span<const Field> block, bool is_request, Facts& facts) {
  fields_.clear();
  fields_.reserve(block.size());
  for (const Field& given : block) {
    if (given.name.empty()) return malformed("empty field name");
    if (given.name.front() == ':') return malformed("a pseudo-field behind fields, or in trailers");
    if (!has_only(kNameCharacters, given.name)) return malformed("a field name is no lower-case token");
    if (!is_clean_value(given.value)) return malformed("bad character or white space around a field value");
    const Field field{given.name, given.value, field_id_of(given.name)};
    switch (field.read_id) {
      case FieldId::connection:
      case FieldId::keep_alive:
      case FieldId::proxy_connection:
      case FieldId::transfer_encoding:
      case FieldId::upgrade:
      case FieldId::http2_settings:
        return malformed("a field that speaks of the connection");
      case FieldId::te:
        if (!is_request || !equals_ignoring_case(field.value, "trailers")) return malformed("TE other than trailers");
        break;
      case FieldId::host:
        if (facts.host) return malformed("more than one host");
        facts.host = field.value;
        break;
      case FieldId::content_length:
        if (facts.content_length) return malformed("more than one content-length");
        facts.content_length = length_of(field.value);
        if (!facts.content_length) return malformed("bad content-length");
        break;
      case FieldId::expect:
        (equals_ignoring_case(field.value, "100-continue") ? facts.expects_continue : facts.expects_other) = true;
        break;
      case FieldId::other:
        if (field.name == "cookie") ++facts.cookies;
        break;
      default:
        break;
    }
    fields_.push_back(field);
  }
  return {};
}

// Clients cut cookies into crumbs; HTTP/1.1 has one line (RFC 9113 section 8.2.3).
void H2HeadReader::join_cookies() {
  cookie_.clear();
  for (const Field& field : fields_) {
    if (field.name != "cookie") continue;
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_ += field.value;
  }
  const auto is_cookie = [](const Field& field) { return field.name == "cookie"; };
  const auto first = std::find_if(fields_.begin(), fields_.end(), is_cookie);
  first->value = cookie_;
  fields_.erase(std::remove_if(first + 1, fields_.end(), is_cookie), fields_.end());
}

ParseError H2HeadReader::read_request(std::span<const Field> block, bool ends, const Limits& limits,
                                      RequestHead& head) {
  head = RequestHead{};
  head.major_version = 2;
  Pseudo pseudo;
  if (ParseError error = read_pseudo(block, pseudo)) return error;
  Facts facts;
  if (ParseError error = read_fields(block, true, facts)) return error;
  if (ParseError error = read_line(pseudo, limits, head); error.status == kH2Malformed) {
    return error;
  } else if (error) {
    head.authority = pseudo.authority.value_or("");
    return error;
  }
  if (pseudo.authority && facts.host && !equals_ignoring_case(*pseudo.authority, *facts.host))
    return malformed("host and :authority differ");
  head.authority = pseudo.authority ? *pseudo.authority : facts.host.value_or("");
  if (!is_valid_authority(head.authority)) return malformed("no authority, or a bad one");
  if (facts.cookies > 1) join_cookies();
  head.fields = fields_;
  head.content_length = facts.content_length;
  head.expects_continue = facts.expects_continue;
  if (!head.upgrade.empty()) {
    if (facts.content_length || ends) return malformed("an extended CONNECT with a body, or at its end");
  } else if (ends) {
    if (facts.content_length.value_or(0) > 0) return malformed("content-length without a body");
  } else {
    head.is_chunked = !facts.content_length;
  }
  if (facts.expects_other) return {417, "an expectation other than 100-continue"};
  return {};
}

ParseError H2HeadReader::read_response(std::span<const Field> block, bool ends, Method asked, ResponseHead& head) {
  head = ResponseHead{};
  if (block.empty() || block.front().name != ":status") return malformed("no :status");
  const std::string_view status = block.front().value;
  if (status.size() != 3 || !std::all_of(status.begin(), status.end(), is_digit) || status < "100")
    return malformed("bad :status");
  head.status = (status[0] - '0') * 100 + (status[1] - '0') * 10 + (status[2] - '0');
  if (head.status == 101) return malformed("101 does not exist in HTTP/2");
  Facts facts;
  if (ParseError error = read_fields(block.subspan(1), false, facts)) return error;
  if (head.status < 200 && ends) return malformed("an interim answer that ends the stream");
  head.fields = fields_;
  head.content_length = facts.content_length;
  head.is_bodiless = head.status < 200 || head.status == 204 || head.status == 304 || asked == Method::head;
  if (ends && !head.is_bodiless && facts.content_length.value_or(0) > 0)
    return malformed("content-length without a body");
  if (!head.is_bodiless && ends) head.content_length = 0;
  head.is_chunked = !head.is_bodiless && !head.content_length;
  return {};
}

ParseError H2HeadReader::read_trailers(std::span<const Field> block, std::span<const Field>& trailers) {
  Facts facts;
  if (ParseError error = read_fields(block, true, facts)) return error;
  trailers = fields_;
  return {};
}

void H2HeadReader::release() {
  std::vector<Field>().swap(fields_);
  std::string().swap(cookie_);
}

}  // namespace lotse::http

#include "http/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include "http/message.h"
#include "http/text.h"

namespace lotse::http {

namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

// "%XX" at `at`; -1: no valid escape there.
int escape_at(std::string_view text, std::size_t at) {
  if (at + 2 >= text.size()) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

void append_escape(std::string& out, unsigned char byte) {
  out += '%';
  out += kHexDigits[byte >> 4];
  out += kHexDigits[byte & 15];
}

bool is_valid_port(std::string_view port) {  // empty is allowed by the grammar and means the default
  if (port.size() > 5) return false;
  int value = 0;
  for (const char c : port) {
    if (!is_digit(c)) return false;
    value = value * 10 + (c - '0');
  }
  return value <= 65535;
}

bool is_ipv6(std::string_view text) {
  char copy[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof copy) return false;
  *std::copy(text.begin(), text.end(), copy) = '\0';
  in6_addr address;
  return inet_pton(AF_INET6, copy, &address) == 1;
}

// Labels of unreserved characters, a last dot at most. RFC 3986's reg-name would allow sub-delims and escapes as well:
// no DNS name has them, and "a,b" or "a%2fb" is one host to some programs and another to others.
bool is_host_name(std::string_view name) {
  char previous = '.';
  for (const char c : name) {
    if (!is_host_name_character(c) || (c == '.' && previous == '.')) return false;
    previous = c;
  }
  return !name.empty();
}

}  // namespace

std::string Endpoint::authority() const {
  if (!unix_path.empty()) return "localhost";
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != 80) text += fmt::format(":{}", port);
  return text;
}

Result<Url, Problem> parse_url(std::string_view text) {
  const auto problem = [&](std::string_view what) { return fail(Problem{std::string(text), std::string(what)}); };
  for (const char c : text) {
    if (is_control(c) || c == '\t' || c == ' ') return problem("a URL has no spaces or control characters");
  }
  Url url;
  if (text.starts_with("unix:")) {
    url.endpoint.unix_path = text.substr(5);
    if (!url.endpoint.unix_path.starts_with('/')) return problem("expected an absolute path after unix:");
    return url;
  }
  if (!text.starts_with("http://")) {
    return problem(text.starts_with("https://") ? "https is not supported here"
                                                : "expected http://host:port or unix:/path");
  }
  const std::string_view rest = text.substr(7);
  const std::size_t authority_end = std::min(rest.find_first_of("/?#"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  if (!is_valid_authority(authority)) return problem("bad host or port");
  std::string_view host = host_of(authority);
  const std::string_view port = authority.size() > host.size() ? authority.substr(host.size() + 1) : std::string_view{};
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  url.endpoint.host = host;
  if (!port.empty()) {
    int number = 0;
    for (const char c : port) number = number * 10 + (c - '0');
    if (number == 0) return problem("port 0");
    url.endpoint.port = static_cast<std::uint16_t>(number);
  }
  std::string_view target = rest.substr(authority_end);
  target = target.substr(0, target.find('#'));
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int byte = escape_at(text, i);
      if (byte < 0) return std::nullopt;
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      append_escape(out, static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> parameters;
  const auto decoded = [](std::string_view text) {
    auto result = percent_decode(text, true);
    return result ? std::move(*result) : std::string(text);  // a bad escape is taken as it stands, as browsers do
  };
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (item.empty()) continue;
    const std::size_t equals = item.find('=');
    const bool has_value = equals != std::string_view::npos;
    parameters.emplace_back(decoded(item.substr(0, equals)),
                            has_value ? decoded(item.substr(equals + 1)) : std::string());
  }
  return parameters;
}

bool is_valid_authority(std::string_view authority) {
  const std::string_view host = host_of(authority);
  if (authority.size() > host.size()) {
    if (authority[host.size()] != ':' || !is_valid_port(authority.substr(host.size() + 1))) return false;
  }
  if (!host.starts_with('[')) return is_host_name(host);
  return host.size() > 2 && host.ends_with(']') && is_ipv6(host.substr(1, host.size() - 2));
}

std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    return bracket == std::string_view::npos ? authority : authority.substr(0, bracket + 1);
  }
  return authority.substr(0, authority.find(':'));
}

namespace {

// Is the last segment of `path` one or two dots, escaped or not? Servlet containers cut parameters off a segment before
// they look for dots, so "/..;/" climbs there and nowhere else.
bool is_dots_to_some(std::string_view path) {
  int dots = 0;
  while (!path.empty() && path.back() != '/') {
    const bool is_escaped = path.size() >= 3 && path[path.size() - 3] == '%' && escape_at(path, path.size() - 3) == '.';
    if (!is_escaped && path.back() != '.') return false;
    path.remove_suffix(is_escaped ? 3 : 1);
    ++dots;
  }
  return dots == 1 || dots == 2;
}

}  // namespace

bool is_acceptable_path(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    const char c = path[i];
    if (c <= ' ' || c >= 0x7f || c == '\\') return false;
    if (c == ';' && is_dots_to_some(path.substr(0, i))) return false;
    if (c != '%') continue;
    const int byte = escape_at(path, i);
    if (byte <= 0 || byte == '/' || byte == '\\') return false;
    if (byte == ';' && is_dots_to_some(path.substr(0, i))) return false;
    i += 2;
  }
  return true;
}

namespace {

// Can normalise_path() change anything? Most paths of most clients are normal already, and then nothing is copied.
bool is_normal(std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%') return false;
    if (path[i] == '/' && i + 1 < path.size() && (path[i + 1] == '/' || path[i + 1] == '.')) return false;
  }
  return true;
}

// Escapes of unreserved characters say nothing that the character would not (RFC 3986 section 6.2.2.2).
void append_normal_segment(std::string& out, std::string_view segment) {
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const int byte = segment[i] == '%' ? escape_at(segment, i) : -1;
    if (byte < 0) {
      out += segment[i];
      continue;
    }
    if (is_unreserved(static_cast<char>(byte))) {
      out += static_cast<char>(byte);
    } else {
      append_escape(out, static_cast<unsigned char>(byte));
    }
    i += 2;
  }
}

}  // namespace

std::optional<std::string_view> normalise_path(std::string_view path, std::string& buffer) {
  if (!path.starts_with('/')) return path == "*" ? std::optional(path) : std::nullopt;
  if (is_normal(path)) return path;
  buffer.clear();
  bool ends_with_slash = false;
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    const bool is_last = end == path.size();
    start = end + 1;
    if (segment.empty()) {
      ends_with_slash = is_last;
      continue;
    }
    const std::size_t mark = buffer.size();
    buffer += '/';
    append_normal_segment(buffer, segment);
    const std::string_view added = std::string_view(buffer).substr(mark + 1);
    if (added == "." || added == "..") {
      const bool is_up = added == "..";
      buffer.resize(mark);
      if (is_up) {
        if (mark == 0) return std::nullopt;
        buffer.resize(buffer.rfind('/'));
      }
      ends_with_slash = is_last;
    } else {
      ends_with_slash = false;
    }
  }
  if (ends_with_slash || buffer.empty()) buffer += '/';
  return std::string_view(buffer);
}

}  // namespace lotse::http

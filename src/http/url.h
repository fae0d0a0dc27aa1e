// URLs and paths: taking apart, percent decoding, normalising. Pure text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lotse::http {

// Where a client connects: "http://host:port", or "unix:/var/run/docker.sock".
struct Endpoint {
  std::string host;  // name or IP; empty for unix
  std::uint16_t port = 80;
  std::string unix_path;          // empty for TCP
  std::string authority() const;  // for Host: "host:port", the port left out when 80; "localhost" for unix
  bool operator==(const Endpoint&) const = default;
  auto operator<=>(const Endpoint&) const = default;
};
struct Url {
  Endpoint endpoint;
  std::string target = "/";  // path and query
};
Result<Url, Problem> parse_url(std::string_view text);  // http:// and unix: only

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);  // nullopt: bad escape
std::string percent_encode(std::string_view text);                                             // all but unreserved
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

// "host", "host:port", "[v6]:port": the grammar of Host (RFC 9110 section 7.2), names as DNS has them.
bool is_valid_authority(std::string_view authority);
std::string_view host_of(std::string_view authority);  // without port; brackets kept

// May the proxy route this path? Refuses what hosts read differently (PROXY.md "Posture" 5): bad escapes, %00, an
// escaped slash or backslash, a plain backslash, dots with parameters ("..;x"), and bytes that are not visible ASCII.
// APIs of ours do not ask: app ids come as %2F.
bool is_acceptable_path(std::string_view path);

// For matching routes: dot segments removed, repeated slashes merged, escapes of unreserved characters decoded, a
// trailing slash kept. The answer is `path` itself when nothing had to change (no copy), else a view of `buffer`.
// nullopt: the path climbs above its root. "*" stays.
std::optional<std::string_view> normalise_path(std::string_view path, std::string& buffer);

}  // namespace lotse::http

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
  std::string host;       // name or IP; empty for unix
  std::uint16_t port = 80;
  std::string unix_path;  // empty for TCP
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
std::string percent_encode(std::string_view text);  // all but unreserved
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view query);

// "host", "host:port", "[v6]:port": the grammar of Host (RFC 9110 section 7.2).
bool is_valid_authority(std::string_view authority);
std::string_view host_of(std::string_view authority);  // without port; brackets kept

}  // namespace lotse::http

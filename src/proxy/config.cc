#include "proxy/config.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>

namespace lotse::proxy {
namespace {

// Every address as 16 bytes, IPv4 mapped into ::ffff:0:0/96, so that one comparison serves all.
std::optional<std::array<unsigned char, 16>> bytes_of(const net::Address& address) {
  std::array<unsigned char, 16> bytes{};
  if (address.is_empty()) return std::nullopt;
  if (address.raw()->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, address.raw(), sizeof v4);
    bytes[10] = bytes[11] = 0xff;
    std::memcpy(&bytes[12], &v4.sin_addr, 4);
    return bytes;
  }
  if (address.raw()->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address.raw(), sizeof v6);
    std::memcpy(bytes.data(), &v6.sin6_addr, 16);
    return bytes;
  }
  return std::nullopt;
}

}  // namespace

bool Cidr::contains(const net::Address& address) const {
  auto ours = bytes_of(network), theirs = bytes_of(address);
  if (!ours || !theirs) return false;
  int bits = prefix_bits + (network.raw()->sa_family == AF_INET ? 96 : 0);
  for (std::size_t i = 0; i < 16 && bits > 0; ++i, bits -= 8) {
    auto mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff << (8 - bits));
    if (((*ours)[i] & mask) != ((*theirs)[i] & mask)) return false;
  }
  return true;
}

const AppConfig& Config::app(const model::AppId& id) const {
  static const AppConfig kDefaults;
  auto found = apps.find(id);
  return found == apps.end() ? kDefaults : found->second;
}

std::string_view Config::first_http_listener() const {
  auto found = std::find_if(listeners.begin(), listeners.end(), [](const auto& one) { return !one.is_tcp(); });
  return found == listeners.end() ? std::string_view() : std::string_view(found->name);
}

std::string exposed_host(const std::string& pattern, const model::AppId& app) {
  std::string name;  // "/shop/api" -> "api.shop"
  for (std::size_t end = app.size(); end > 0;) {
    std::size_t slash = app.rfind('/', end - 1);
    std::size_t start = slash == std::string::npos ? 0 : slash + 1;
    if (start < end) {
      if (!name.empty()) name += '.';
      name.append(app, start, end - start);
    }
    end = slash == std::string::npos ? 0 : slash;
  }
  std::string host = pattern;
  constexpr std::string_view kPlaceholder = "{app}";
  if (auto at = host.find(kPlaceholder); at != std::string::npos) host.replace(at, kPlaceholder.size(), name);
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
  return host;
}

}  // namespace lotse::proxy

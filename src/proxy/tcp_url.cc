#include "proxy/tcp_url.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace lotse::proxy {
namespace {

constexpr std::string_view kTcp = "tcp://", kTls = "tls://";

Problem no_such(std::string what) { return {"url", std::move(what)}; }

Result<TcpQuestion, Problem> find_listener(const Config& config, std::string_view wanted) {
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.name != wanted && listener.address != wanted) continue;
    if (!listener.is_tcp()) return fail(no_such(fmt::format("listener {} speaks HTTP: ask for a URL", listener.name)));
    return TcpQuestion{&listener, ""};
  }
  return fail(no_such(fmt::format("no listener has the name or the address \"{}\"", wanted)));
}

Result<TcpQuestion, Problem> find_passthrough(const Config& config, std::string_view wanted) {
  const std::size_t colon = wanted.find(':');
  std::string name(wanted.substr(0, colon));
  const std::string port(colon == wanted.npos ? "" : wanted.substr(colon));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const ListenerConfig& listener : config.listeners) {
    if (listener.tls_passthrough && listener.address.ends_with(port)) return TcpQuestion{&listener, name};
  }
  return fail(no_such("no listener passes TLS through" + (port.empty() ? "" : " on port " + port.substr(1))));
}

}  // namespace

bool is_tcp_url(std::string_view url) { return url.starts_with(kTcp) || url.starts_with(kTls); }

Result<TcpQuestion, Problem> parse_tcp_url(const Config& config, std::string_view url) {
  const bool is_tls = url.starts_with(kTls);
  url.remove_prefix(kTcp.size());
  if (url.ends_with('/')) url.remove_suffix(1);
  return is_tls ? find_passthrough(config, url) : find_listener(config, url);
}

}  // namespace lotse::proxy

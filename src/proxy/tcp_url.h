// How people ask for a TCP listener where requests have URLs (explain, `tests:`): tcp://NAME or tcp://ADDRESS is a
// listener by its name or address; tls://HOST or tls://HOST:PORT is what passes that server name through.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "proxy/config.h"

namespace lotse::proxy {

struct TcpQuestion {
  const ListenerConfig* listener = nullptr;  // the configuration's
  std::string server_name;                   // empty: none
};

bool is_tcp_url(std::string_view url);
Result<TcpQuestion, Problem> parse_tcp_url(const Config& config, std::string_view url);

}  // namespace lotse::proxy

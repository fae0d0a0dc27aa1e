#include "proxy/config_tcp.h"

#include <fmt/core.h>

#include <algorithm>

#include "proxy/config_schema.h"
#include "proxy/config_validate.h"

namespace lotse::proxy {
namespace {

void read_to(ConfigReader& reader, const Located& at, TcpConfig& into) { read_targets(reader, at, into.to); }

constexpr Key<TcpConfig> kTcpKeys[] = {
    {"to", read_to, true},
};

// By name, or by "*." and a suffix.
void read_names(ConfigReader& reader, const Located& at, TlsPassthroughConfig& into) {
  for (const Located& entry : reader.entries(at, nullptr)) {
    TlsPassthroughConfig::Name name;
    name.host = parse_host_pattern(ConfigReader::last_name(entry.key, at.key));
    std::string_view host = name.host.text;
    if (name.host.is_wildcard) host.remove_prefix(1);
    if (!is_host_name(host) || host.starts_with('['))
      reader.report().problem(entry.key, "must be a host name, or \"*.\" and a host name");
    const bool is_known = std::any_of(into.names.begin(), into.names.end(),
                                      [&](const TlsPassthroughConfig::Name& other) { return other.host == name.host; });
    if (is_known) reader.report().problem(entry.key, "the same name in other letters stands above");
    read_targets(reader, entry, name.to);
    into.names.push_back(std::move(name));
  }
}

void read_default(ConfigReader& reader, const Located& at, TlsPassthroughConfig& into) {
  read_targets(reader, at, into.other);
}

constexpr Key<TlsPassthroughConfig> kTlsPassthroughKeys[] = {
    {"names", read_names},
    {"default", read_default},
};

void validate_tls_passthrough(const ListenerConfig& listener, const std::string& key, ConfigReport& report) {
  const std::string here = key + ".tls_passthrough";
  if (listener.tls) report.problem(here, "TLS that ends here (tls) cannot be passed through as well");
  if (listener.tcp) report.problem(here, "beside tcp: either all connections go to one place, or by their names");
  if (listener.tls_passthrough->names.empty() && listener.tls_passthrough->other.empty())
    report.problem(here, "has neither names nor a default: nobody would get a connection");
  listener.for_each_target_list([&](const auto& to, const std::string& its_key) {
    if (!to.empty()) validate_targets(to, key + "." + its_key, report);
  });
}

void read_from(ConfigReader& reader, const Located& at, ProxyProtocolConfig& into) {
  read_networks(reader, at, into.from);
}

constexpr Key<ProxyProtocolConfig> kProxyProtocolKeys[] = {
    {"from", read_from, true},
};

}  // namespace

void read_tcp(ConfigReader& reader, const Located& at, ListenerConfig& into) {
  map_field<&ListenerConfig::tcp, kTcpKeys>(reader, at, into);
}

void read_tls_passthrough(ConfigReader& reader, const Located& at, ListenerConfig& into) {
  map_field<&ListenerConfig::tls_passthrough, kTlsPassthroughKeys>(reader, at, into);
}

void read_proxy_protocol(ConfigReader& reader, const Located& at, ListenerConfig& into) {
  map_field<&ListenerConfig::proxy_protocol, kProxyProtocolKeys>(reader, at, into);
}

void read_app_proxy_protocol(ConfigReader& reader, const Located& at, AppConfig& into) {
  if (auto choice = reader.one_of(at, {"v1", "v2"})) into.proxy_protocol = static_cast<net::ProxyVersion>(*choice);
}

void validate_tcp(const Config& config, ConfigReport& report) {
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    const std::string key = fmt::format("listeners[{}]", i);
    if (listener.proxy_protocol && listener.proxy_protocol->from.empty())
      report.problem(key + ".proxy_protocol.from", "names nobody: no connection could be taken");
    if (listener.tcp) validate_targets(listener.tcp->to, key + ".tcp.to", report);
    if (listener.tls_passthrough) validate_tls_passthrough(listener, key, report);
  }
  for (const auto& [id, app] : config.apps) {
    if (app.proxy_protocol && app.preconnect > 0)
      report.problem("apps." + id + ".preconnect",
                     "a connection that says whose it is cannot be made before somebody asks");
  }
}

}  // namespace lotse::proxy

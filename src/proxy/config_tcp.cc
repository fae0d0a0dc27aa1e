#include "proxy/config_tcp.h"

#include <fmt/core.h>

#include "proxy/config_schema.h"
#include "proxy/config_validate.h"

namespace lotse::proxy {
namespace {

void read_to(ConfigReader& reader, const Located& at, TcpConfig& into) { read_targets(reader, at, into.to); }

constexpr Key<TcpConfig> kTcpKeys[] = {
    {"to", read_to, true},
};

}  // namespace

void read_tcp(ConfigReader& reader, const Located& at, ListenerConfig& into) {
  into.tcp.emplace();
  reader.map<TcpConfig>(at, *into.tcp, kTcpKeys);
}

void validate_tcp(const Config& config, ConfigReport& report) {
  for (std::size_t i = 0; i < config.listeners.size(); ++i) {
    const ListenerConfig& listener = config.listeners[i];
    const std::string key = fmt::format("listeners[{}]", i);
    if (listener.tcp) validate_targets(listener.tcp->to, key + ".tcp", report);
  }
}

}  // namespace lotse::proxy

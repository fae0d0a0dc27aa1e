// The keys of listeners that are about TCP (bytes as they come, who the client is) for the tables of config_schema.cc,
// and what must hold for them.
#pragma once

#include "proxy/config.h"
#include "proxy/config_reader.h"

namespace lotse::proxy {

void read_tcp(ConfigReader& reader, const Located& at, ListenerConfig& into);
void read_tls_passthrough(ConfigReader& reader, const Located& at, ListenerConfig& into);
void read_proxy_protocol(ConfigReader& reader, const Located& at, ListenerConfig& into);

void read_app_proxy_protocol(ConfigReader& reader, const Located& at, AppConfig& into);

void validate_tcp(const Config& config, ConfigReport& report);

}  // namespace lotse::proxy

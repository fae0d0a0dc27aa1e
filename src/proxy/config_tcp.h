// The keys of listeners that do not speak HTTP, for the tables of config_schema.cc, and what must hold for them.
#pragma once

#include "proxy/config.h"
#include "proxy/config_reader.h"

namespace lotse::proxy {

void read_tcp(ConfigReader& reader, const Located& at, ListenerConfig& into);

void validate_tcp(const Config& config, ConfigReport& report);

}  // namespace lotse::proxy

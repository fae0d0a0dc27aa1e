// The keys of the configuration file and where each goes in Config: tables only. What must hold between keys is
// config_validate.h.
#pragma once

#include "proxy/config.h"
#include "proxy/config_reader.h"

namespace lotse::proxy {

void read_config(ConfigReader& reader, const YamlNode& root, Config& into);

}  // namespace lotse::proxy

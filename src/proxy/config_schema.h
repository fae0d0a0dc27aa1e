// The keys of the configuration file and where each goes in Config: tables only. What must hold between keys is
// config_validate.h.
#pragma once

#include "proxy/config.h"
#include "proxy/config_reader.h"

namespace lotse::proxy {

// Of a list of apps with weights, or one app: what `to` takes everywhere.
void read_targets(ConfigReader& reader, const Located& at, std::vector<WeightedTarget>& into);

HostPattern parse_host_pattern(std::string_view text);  // "Shop.example.com", "*.example.com"; not checked

// Of a list of IP addresses and networks like 10.0.0.0/8.
void read_networks(ConfigReader& reader, const Located& at, std::vector<Cidr>& into);

void read_config(ConfigReader& reader, const YamlNode& root, Config& into);

}  // namespace lotse::proxy

// What must hold between the keys of a configuration that was read: names that exist, matches that differ, grammars of
// hosts and paths. Adds to the report; changes nothing.
#pragma once

#include "proxy/config.h"
#include "proxy/config_report.h"

namespace lotse::proxy {

// Labels of letters, digits, "-" and "_" with dots between (names with "_" exist in the wild), an IPv4 address (which
// looks like one), or an IPv6 address in brackets. Lower case by now.
bool is_host_name(std::string_view host);

// Of `key`: at least one app, none twice, some weight.
void validate_targets(const std::vector<WeightedTarget>& to, const std::string& key, ConfigReport& report);

void validate_config(const Config& config, ConfigReport& report);

}  // namespace lotse::proxy

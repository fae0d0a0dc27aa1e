// What must hold between the keys of a configuration that was read: names that exist, matches that differ, grammars of
// hosts and paths. Adds to the report; changes nothing.
#pragma once

#include "proxy/config.h"
#include "proxy/config_report.h"

namespace lotse::proxy {

// Of `key`.to: at least one app, none twice, some weight.
void validate_targets(const std::vector<WeightedTarget>& to, const std::string& key, ConfigReport& report);

void validate_config(const Config& config, ConfigReport& report);

}  // namespace lotse::proxy

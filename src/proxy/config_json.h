// The effective configuration, defaults filled in, as JSON (admin /v1/config). Same keys as the YAML file.
#pragma once

#include <string>

#include "proxy/config.h"

namespace lotse::proxy {

std::string to_json_text(const Config& config);

}  // namespace lotse::proxy

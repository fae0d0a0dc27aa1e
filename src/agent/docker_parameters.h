// container.parameters of Marathon: options of `docker run` by name, translated to the fields of Docker's create body.
// Pure. An option we do not translate is refused by name instead of being dropped.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "model/app.h"

namespace lotse::agent {

std::optional<Problem> apply_docker_parameter(nlohmann::json& body, const model::Parameter& parameter);

// "64m", "1g", "512" (bytes), as docker run takes sizes; nullopt: not a size.
std::optional<std::int64_t> parse_size(std::string_view text);

}  // namespace lotse::agent

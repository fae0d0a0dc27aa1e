// Bytes to a JSON value and back, without exceptions and with a bound on nesting: the one place that calls the
// library's throwing parser. Knows nothing of what the JSON means. Any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lotse::model {

// Deeper JSON is refused before it is parsed: the library writes and compares values by recursion, and the deepest
// message we know (a group tree) needs far less.
inline constexpr int kJsonDepthMax = 200;

Result<nlohmann::json, Problem> parse_json_text(std::string_view text);

// Compact, members in alphabetical order; bytes that are no UTF-8 become U+FFFD.
std::string to_text(const nlohmann::json& value);

}  // namespace lotse::model

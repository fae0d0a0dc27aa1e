// The regular expressions of LIKE and UNLIKE. Alone in its file because of what <regex> costs and warns of.
#pragma once

#include <string>

namespace lotse::model {

// Can it be compiled, within bounds? ECMAScript's syntax, which is near enough to Java's for names of hosts and racks.
bool is_regular_expression(const std::string& text);

}  // namespace lotse::model

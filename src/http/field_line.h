// One line "Name: value" of a head or trailer section, taken apart into views; the name's FieldId is read on the way.
// Internal to the parser: HeadScanner or index_head() has been over the bytes.
#pragma once

#include <string_view>

#include "http/h1_parser.h"

namespace lotse::http {

// `line` without its CR LF. `readable_end` is where the bytes that may be read end, at or behind the line's own end:
// with 16 of them the name is found in one step.
ParseError read_field_line(std::string_view line, const char* readable_end, Field& field);

}  // namespace lotse::http

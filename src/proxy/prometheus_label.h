// The value of a label as Prometheus reads it between quotes. Pure.
#pragma once

#include <string>
#include <string_view>

namespace lotse::proxy {

inline std::string escaped(std::string_view label) {
  std::string out;
  for (char c : label) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace lotse::proxy

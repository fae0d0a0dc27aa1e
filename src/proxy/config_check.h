// `lotse proxy --check`: reads a configuration, runs its tests, says all there is to say. Opens no socket.
#pragma once

#include <string>

namespace lotse::proxy {

struct CheckResult {
  std::string text;   // problems with carets, warnings, failed tests, a last line that sums up
  int exit_code = 0;  // 0: good (warnings are), 1: problems or failed tests
};

CheckResult check_config(const std::string& path);

}  // namespace lotse::proxy

// A YAML file in, a frozen Config or all of its problems out. No clock, no loop; load_config reads one file,
// parse_config reads none. Any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "proxy/config.h"
#include "proxy/config_report.h"

namespace lotse::proxy {

struct ParsedConfig {
  std::shared_ptr<const Config> config;  // null when there are problems
  std::vector<ConfigProblem> problems;   // ordered by place
  std::vector<ConfigProblem> warnings;   // the file is valid all the same
};

// `file` is what problems call it.
ParsedConfig parse_config(std::string_view text, const std::string& file);
Result<std::string, Problem> read_config_file(const std::string& path);
ParsedConfig load_config(const std::string& path);  // an unreadable file is a problem of the file

}  // namespace lotse::proxy

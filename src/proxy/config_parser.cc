#include "proxy/config_parser.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "proxy/config_reader.h"
#include "proxy/config_schema.h"
#include "proxy/config_validate.h"
#include "proxy/config_yaml.h"

namespace lotse::proxy {

Result<std::string, Problem> read_config_file(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  if (file == nullptr) return fail(Problem{path, std::strerror(errno)});
  std::string text;
  char buffer[64 * 1024];
  while (std::size_t count = std::fread(buffer, 1, sizeof buffer, file)) {
    text.append(buffer, count);
    if (text.size() > kYamlBytesMax) break;  // parse_yaml refuses it
  }
  bool is_broken = std::ferror(file) != 0;
  int code = errno;
  std::fclose(file);
  if (is_broken) return fail(Problem{path, std::strerror(code)});
  return text;
}

ParsedConfig parse_config(std::string_view text, const std::string& file) {
  ParsedConfig parsed;
  ConfigReport report(file, text);
  auto root = parse_yaml(text);
  if (!root) {
    report.problem(root.error().place, "", root.error().what);
  } else {
    auto config = std::make_shared<Config>();
    ConfigReader reader(report);
    read_config(reader, *root, *config);
    validate_config(*config, report);
    if (report.is_good()) parsed.config = std::move(config);
  }
  parsed.warnings = report.take_warnings();
  parsed.problems = report.take_problems();
  return parsed;
}

ParsedConfig load_config(const std::string& path) {
  auto text = read_config_file(path);
  if (text) return parse_config(*text, path);
  ParsedConfig parsed;
  parsed.problems.push_back({path, {}, "", text.error().what, ""});
  return parsed;
}

}  // namespace lotse::proxy

#include "proxy/config_check.h"

#include <fmt/core.h>

#include <algorithm>

#include "proxy/config_parser.h"
#include "proxy/config_tests.h"

namespace lotse::proxy {
namespace {

std::string counted(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

CheckResult check_config(const std::string& path) {
  CheckResult result;
  ParsedConfig parsed = load_config(path);
  for (const ConfigProblem& problem : parsed.problems) result.text += problem.text_with_caret() + "\n";
  if (!parsed.config) {
    result.exit_code = 1;
    result.text += fmt::format("{}: {}\n", path, counted(parsed.problems.size(), "problem"));
    return result;
  }
  for (const ConfigProblem& warning : parsed.warnings) result.text += "warning: " + warning.text_with_caret() + "\n";
  std::vector<ConfigTestResult> tests = run_config_tests(*parsed.config, make_test_router(*parsed.config));
  for (const ConfigTestResult& test : tests) result.text += test.text + "\n";
  auto failed =
      std::count_if(tests.begin(), tests.end(), [](const ConfigTestResult& test) { return !test.has_passed; });
  result.exit_code = failed > 0 ? 1 : 0;
  result.text += fmt::format("{}: {}, {}, {} ({} failed)\n", path, failed > 0 ? "not good" : "good",
                             counted(parsed.warnings.size(), "warning"), counted(tests.size(), "test"), failed);
  return result;
}

}  // namespace lotse::proxy

// Any bytes as a configuration file: problems or a configuration, never a crash, and what is good survives the way
// through its effective JSON (which is YAML).
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/config_json.h"
#include "proxy/config_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  lotse::proxy::ParsedConfig parsed = lotse::proxy::parse_config(text, "fuzz.yaml");
  if ((parsed.config == nullptr) == parsed.problems.empty()) std::abort();
  for (const auto& problem : parsed.problems) {
    if (problem.text_with_caret().empty()) std::abort();
  }
  if (!parsed.config) return 0;
  std::string json = lotse::proxy::to_json_text(*parsed.config);
  lotse::proxy::ParsedConfig again = lotse::proxy::parse_config(json, "fuzz.json");
  if (!again.config || lotse::proxy::to_json_text(*again.config) != json) std::abort();
  return 0;
}

#include "model/json_text.h"

#include <nlohmann/json.hpp>

namespace lotse::model {
namespace {

bool is_too_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    char byte = text[at];
    if (in_string) {
      if (byte == '\\') {
        ++at;
      } else if (byte == '"') {
        in_string = false;
      }
    } else if (byte == '"') {
      in_string = true;
    } else if (byte == '{' || byte == '[') {
      if (++depth > kJsonDepthMax) return true;
    } else if (byte == '}' || byte == ']') {
      --depth;
    }
  }
  return false;
}

// "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without the library's own prefix.
std::string words_of(const nlohmann::json::exception& exception) {
  std::string_view words = exception.what();
  if (auto end = words.find("] "); words.starts_with('[') && end != std::string_view::npos)
    words.remove_prefix(end + 2);
  return std::string(words);
}

}  // namespace

Result<nlohmann::json, Problem> parse_json_text(std::string_view text) {
  if (is_too_deep(text)) return fail(Problem{"", "nested deeper than " + std::to_string(kJsonDepthMax) + " levels"});
  try {
    return nlohmann::json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::exception& exception) {
    return fail(Problem{"", words_of(exception)});
  }
}

std::string to_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace lotse::model

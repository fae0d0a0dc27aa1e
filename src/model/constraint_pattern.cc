// g++ 12 takes the variant within <regex> for uninitialised once sanitizers are on (gcc bug 105562).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

#include "model/constraint_pattern.h"

#include <regex>

namespace lotse::model {
namespace {

constexpr std::size_t kPatternBytesMax = 512;  // std::regex compiles by recursion; no host name needs more

}  // namespace

bool is_regular_expression(const std::string& text) {
  if (text.size() > kPatternBytesMax) return false;
  try {
    std::regex compiled(text);
    return true;
  } catch (const std::regex_error&) {
    return false;
  }
}

}  // namespace lotse::model

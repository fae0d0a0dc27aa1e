#include "agent/observation.h"

#include <fmt/core.h>
#include <string.h>

namespace lotse::agent {

std::string describe_exit(const Observation& seen) {
  if (!seen.exit_code_known) return "ended while nobody could see its exit code";
  std::string why;
  if (seen.exit_code > 128 && seen.exit_code < 128 + 65) {  // the shell's and Docker's convention for signals
    if (const char* name = sigabbrev_np(seen.exit_code - 128); name != nullptr) why = std::string("SIG") + name;
  }
  if (seen.out_of_memory) why += why.empty() ? "out of memory" : ", out of memory";
  std::string text =
      why.empty() ? fmt::format("exit code {}", seen.exit_code) : fmt::format("exit code {} ({})", seen.exit_code, why);
  if (!seen.error.empty()) text += ": " + seen.error;
  return text;
}

}  // namespace lotse::agent

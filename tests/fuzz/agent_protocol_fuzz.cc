// Any bytes as a message between agent and scheduler: parsing must not crash, and what it accepts must come back the
// same.
#include <cstdint>
#include <cstdlib>

#include "model/agent_protocol.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

template <typename Parse>
void require_round_trip(std::string_view text, Parse parse) {
  auto value = parse(text);
  if (!value) {
    require(!value.error().what.empty());
    return;
  }
  auto again = parse(serialize(*value));
  require(again && *again == *value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  require_round_trip(text, lotse::model::parse_agent_registration);
  require_round_trip(text, lotse::model::parse_agent_command);
  require_round_trip(text, lotse::model::parse_status_report);
  (void)lotse::model::parse_agent_answer(text);
  (void)lotse::model::parse_status_answer(text);
  (void)lotse::model::parse_task_confirmation(text);
  return 0;
}

// Any bytes as a message of a takeover: parsing must not crash, and what it accepts must come back the same.
#include <cstdint>
#include <cstdlib>

#include "proxy/takeover_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lotse::proxy;
  const auto message = parse_takeover_message({reinterpret_cast<const char*>(data), size});
  if (!message) {
    if (message.error().what.empty()) std::abort();
    return 0;
  }
  const auto again = parse_takeover_message(serialize(*message));
  if (!again || *again != *message) std::abort();
  return 0;
}

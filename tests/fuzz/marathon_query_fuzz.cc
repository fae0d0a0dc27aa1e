// Any text as a path below /v2/apps and as a label selector: neither may crash, and a path's id is always absolute.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "scheduler/server/app_path.h"
#include "scheduler/server/label_selector.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lotse::scheduler;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  AppPath path = parse_app_path(text);
  if (path.kind != AppPathKind::all && !path.id.starts_with('/')) std::abort();
  auto delayed = parse_queue_delay_path(text);
  if (delayed && !delayed->starts_with('/')) std::abort();
  if (auto selector = LabelSelector::parse(text)) {
    (void)selector->matches({{"a", "b"}});
  } else if (selector.error().what.empty()) {
    std::abort();
  }
  return 0;
}

// Whatever a client or an endpoint puts into a line of the access log: it stays within the room that was asked for, is
// one valid JSON string without a line end, and UTF-8 comes back as it was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "proxy/log_line.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t room = lotse::proxy::json_string_bytes_max(input);
  const auto line = std::make_unique<char[]>(room);  // on the heap: a sanitizer sees a byte too many
  const std::string_view written(line.get(),
                                 static_cast<std::size_t>(lotse::proxy::put_string(line.get(), input) - line.get()));
  if (written.size() > room) std::abort();
  for (const char c : written) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) std::abort();
  }
  const auto json = nlohmann::json::parse(written, nullptr, false);
  if (!json.is_string()) std::abort();
  // Two ways to treat what is no UTF-8 that differ whenever there is any.
  using Handler = nlohmann::json::error_handler_t;
  const nlohmann::json plain(input);
  const bool is_utf8 = plain.dump(-1, ' ', false, Handler::ignore) == plain.dump(-1, ' ', false, Handler::replace);
  if (is_utf8 && json.get<std::string>() != input) std::abort();
  return 0;
}

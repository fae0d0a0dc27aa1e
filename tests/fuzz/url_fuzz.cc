// URLs and paths: never crashes; decoding undoes encoding; a normal path stays as it is and holds nothing to normalise.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "http/url.h"

namespace http = lotse::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (const auto url = http::parse_url(input); url && url->endpoint.unix_path.empty()) {
    const auto again = http::parse_url("http://" + url->endpoint.authority() + url->target);
    if (!again || again->endpoint != url->endpoint || again->target != url->target) std::abort();
  }
  if (http::percent_decode(http::percent_encode(input)) != input) std::abort();
  static_cast<void>(http::parse_query(input));
  if (http::is_valid_authority(input)) {
    // It goes between quotes into Forwarded, and into Host: nothing there may end or change what stands around it.
    if (input.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:[]") != input.npos)
      std::abort();
    if (http::host_of(input).empty()) std::abort();
  }

  std::string buffer, second_buffer;
  if (const auto normal = http::normalise_path(input, buffer)) {
    const auto again = http::normalise_path(*normal, second_buffer);
    if (http::is_acceptable_path(input)) {
      if (!again || *again != *normal || !http::is_acceptable_path(*normal)) std::abort();
      for (const char* never :
           {"//", "/../", "/./", "/..;", "/.;", "\\", "%2e", "%2E", "%2f", "%2F", "%5c", "%5C", "%00"}) {
        if (normal->find(never) != std::string_view::npos) std::abort();
      }
    }
  }
  return 0;
}

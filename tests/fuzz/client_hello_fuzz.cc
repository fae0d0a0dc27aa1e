// ClientHellos: never crashes, reads the same however the bytes are cut, and a name that comes out is a host name.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/client_hello.h"

namespace {

using Reader = lotse::net::ClientHelloReader;

struct Read {
  Reader reader{2048};
  Reader::State state = Reader::State::wants_more;
};

Read read(const std::string& bytes, std::size_t step) {
  Read read;
  for (std::size_t at = 0; at < bytes.size() && read.state == Reader::State::wants_more; at += step)
    read.state = read.reader.feed({bytes.data() + at, std::min(step, bytes.size() - at)});
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const Read whole = read(input, input.size() + 1);
  for (std::size_t step : {1, 3, 64}) {
    const Read pieces = read(input, step);
    if (pieces.state != whole.state || pieces.reader.server_name() != whole.reader.server_name()) std::abort();
    if (std::string(pieces.reader.reason()) != whole.reader.reason()) std::abort();
  }
  const std::string& name = whole.reader.server_name();
  if (name.size() > 255 || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") != name.npos) std::abort();
  if (name.find("..") != name.npos || name.starts_with('.') || name.ends_with('.')) std::abort();
  return 0;
}

// Headers of the PROXY protocol: never crashes, never wants nothing, reads the same however the bytes are cut, takes no
// byte behind a header, and what it understood is written and read as the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "net/proxy_protocol.h"

namespace net = lotse::net;

namespace {

using State = net::ProxyHeaderReader::State;

struct Read {
  net::ProxyHeaderReader reader{1024};
  State state = State::wants_more;
  std::size_t taken = 0;
};

Read read(const std::string& bytes, std::size_t step) {
  Read read;
  while (read.state == State::wants_more && read.taken < bytes.size()) {
    const std::size_t wanted = read.reader.wanted();
    if (wanted == 0) std::abort();
    const std::size_t count = std::min({wanted, step, bytes.size() - read.taken});
    read.state = read.reader.feed({bytes.data() + read.taken, count});
    read.taken += count;
  }
  return read;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const Read whole = read(input, input.size() + 1);
  for (std::size_t step : {1, 2, 5}) {
    const Read pieces = read(input, step);
    if (pieces.state != whole.state && !(whole.state == State::wants_more && pieces.state == State::refused))
      std::abort();
    if (whole.state != State::done) continue;
    if (pieces.taken != whole.taken || pieces.reader.has_addresses() != whole.reader.has_addresses()) std::abort();
    if (!(pieces.reader.source() == whole.reader.source())) std::abort();
  }
  if (whole.state != State::done || !whole.reader.has_addresses()) return 0;
  for (auto version : {net::ProxyVersion::v1, net::ProxyVersion::v2}) {
    const std::string header = net::proxy_header(version, whole.reader.source(), whole.reader.destination());
    const Read again = read(header + "x", header.size() + 1);
    if (again.state != State::done || again.taken != header.size() || !again.reader.has_addresses()) std::abort();
    if (!(again.reader.source() == whole.reader.source())) std::abort();
    if (!(again.reader.destination() == whole.reader.destination())) std::abort();
  }
  return 0;
}

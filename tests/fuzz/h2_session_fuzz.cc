// A server's HTTP/2 session: never crashes, and says the same however its bytes are cut. The input follows the preface,
// which the fuzzer would be long in finding. Whatever is taken for a request is answered.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/http/h2_frames.h"
#include "tests/http/h2_peer.h"

namespace {

std::string run(std::string_view input, std::size_t first_cut) {
  lotse::http::H2Options options{.streams_max = 4, .head_bytes_max = 512, .fields_max = 8};
  options.floods = {.resets_max = 8,
                    .pings_max = 8,
                    .settings_max = 8,
                    .window_updates_max = 8,
                    .empty_frames_max = 8,
                    .other_frames_max = 8};
  lotse::http::H2Peer server(options);
  server.feed(lotse::http::h2::kPreface);
  server.feed(input.substr(0, first_cut));
  server.feed(input.substr(std::min(first_cut, input.size())));
  std::string heard = server.text;
  for (auto& [id, stream] : server.streams) {
    if (stream->stream == nullptr) continue;
    const lotse::http::Field status{":status", "200"};
    server.session.send_head(*stream->stream, {&status, 1}, false);
    server.session.send_body(*stream->stream, "body");
    server.session.send_end(*stream->stream, {});
  }
  server.take();
  return heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(input, size);
  if (size > 0 && run(input, data[size / 2] % size) != whole) std::abort();
  return 0;
}

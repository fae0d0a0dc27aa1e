// What our own reading of a head accepts, llhttp in strict mode accepts too, with the same framing: the parser asks it
// about unusual heads only (docs/decisions/0004-llhttp-where-it-decides.md), here it is asked about every one. The same
// bytes are read as a request and as an answer.
#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "http/h1_parser.h"

namespace {

using lotse::http::FeedResult;
using lotse::http::Field;
using lotse::http::Limits;

struct Framing {
  bool is_chunked = false;
  std::optional<std::uint64_t> content_length;
};

struct Heads final : lotse::http::RequestListener, lotse::http::ResponseListener {
  void on_request_head(const lotse::http::RequestHead& head) override {
    framing = Framing{head.is_chunked, head.content_length};
  }
  void on_response_head(const lotse::http::ResponseHead& head) override {
    framing = Framing{head.is_chunked, head.content_length};
  }
  void on_request_body(std::span<const char>) override {}
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override {}
  void on_response_body(std::span<const char>) override {}
  void on_response_trailers(std::span<const Field>) override {}
  void on_response_complete() override {}
  std::optional<Framing> framing;
};

void demand_agreement(llhttp_type_t type, std::span<const char> head, const Framing& ours) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_headers_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
  llhttp_t llhttp;
  llhttp_init(&llhttp, type, &settings);
  if (llhttp_execute(&llhttp, head.data(), head.size()) != HPE_PAUSED) std::abort();
  if (((llhttp.flags & F_CHUNKED) != 0) != ours.is_chunked) std::abort();
  if (((llhttp.flags & F_CONTENT_LENGTH) != 0) != ours.content_length.has_value()) std::abort();
  if (ours.content_length && llhttp.content_length != *ours.content_length) std::abort();
}

// A byte at a time: the head ends where the listener hears of it.
template <typename Parser>
void read(llhttp_type_t type, Parser& parser, const Heads& heads, std::span<const char> input) {
  for (std::size_t i = 0; i < input.size(); ++i) {
    const FeedResult result = parser.feed(input.subspan(i, 1));
    if (result.error) return;
    if (heads.framing) return demand_agreement(type, input.first(i + 1), *heads.framing);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const char> input(reinterpret_cast<const char*>(data), size);
  const Limits limits;
  Heads requests, responses;
  lotse::http::RequestParser request_parser(requests, limits);
  read(HTTP_REQUEST, request_parser, requests, input);
  lotse::http::ResponseParser response_parser(responses, limits);
  response_parser.expect(lotse::http::Method::get, "websocket");
  read(HTTP_RESPONSE, response_parser, responses, input);
  return 0;
}

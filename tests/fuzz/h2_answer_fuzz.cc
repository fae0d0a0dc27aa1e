// A client's HTTP/2 session and what it makes of answers: never crashes, and says the same however its bytes are cut.
// Two requests are under way, one of them with a body that is not whole; every head and trailer is read as the proxy
// reads those of its endpoints.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include "http/h2_fields.h"
#include "http/h2_session.h"

namespace {

using namespace lotse::http;

struct Asked final : H2StreamListener {
  H2Session* session = nullptr;
  H2Stream* stream = nullptr;
  H2HeadReader reader;
  std::string heard;
  bool has_head = false;

  void on_h2_block(std::span<const Field> fields, bool ends) override {
    ResponseHead head;
    std::span<const Field> trailers;
    const ParseError error =
        has_head ? reader.read_trailers(fields, trailers) : reader.read_response(fields, ends, Method::get, head);
    heard += error ? std::string("bad: ") + error.reason : "block " + std::to_string(head.status);
    if (error) return session->reset(*std::exchange(stream, nullptr), H2Error::protocol_error);
    for (const Field& field : has_head ? trailers : head.fields) heard.append(field.name).append(field.value);
    if (has_head || head.status < 200) return;
    has_head = true;
    stream->expect_body(head.is_bodiless ? 0 : head.content_length);
  }
  void on_h2_body(std::string_view bytes) override {
    heard.append(bytes);
    session->consume(*stream, bytes.size());
  }
  void on_h2_end() override { heard += "end"; }
  void on_h2_drained() override {}
  void on_h2_closed(H2Error error, bool is_unprocessed) override {
    heard.append("closed ").append(to_string(error)) += is_unprocessed ? " unprocessed" : "";
    stream = nullptr;
  }
};

struct Client final : H2SessionListener, H2Output {
  void on_h2_request(H2Stream& stream, std::span<const Field>, bool) override {
    session.reset(stream, H2Error::refused_stream);
  }
  std::size_t room() override { return 1 << 20; }
  void add_text(std::string_view) override {}
  void add_bytes(std::string_view) override {}
  void release_views() override {}
  void on_h2_unsent() override {}
  H2Session session{*this, *this, {.is_client = true, .head_bytes_max = 512, .fields_max = 8}};
};

std::string run(std::string_view input, std::size_t first_cut) {
  Client client;
  Asked get, post;
  const Field fields[] = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "x"}};
  get.session = post.session = &client.session;
  get.stream = client.session.open(fields, true, get);
  post.stream = client.session.open(fields, false, post);
  client.session.send_body(*post.stream, "half");
  client.session.flush();
  client.session.feed(input.substr(0, first_cut), {});
  client.session.flush();
  client.session.feed(input.substr(first_cut), {});
  client.session.flush();
  client.session.close_streams(H2Error::cancel);
  return get.heard + "|" + post.heard;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(input, size);
  if (size > 0 && run(input, data[size / 2] % size) != whole) std::abort();
  return 0;
}

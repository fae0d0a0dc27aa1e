// What the parser takes and the proxy writes on is read again as the same message, and written once more it is the same
// bytes: there is one spelling, whatever came in. The first byte says what an answer is to.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>

#include "http/h1_parser.h"
#include "proxy/forwarding.h"
#include "proxy/h1_writer.h"
#include "tests/fuzz/captured_stream.h"

namespace {

using lotse::Arena;
using lotse::http::FeedResult;
using lotse::http::Field;
using lotse::http::Limits;
using lotse::http::Method;
using lotse::http::RequestHead;
using lotse::http::ResponseHead;
using lotse::proxy::ClientInfo;
using lotse::proxy::Outbox;
using lotse::proxy::RequestOut;
using lotse::proxy::ResponseOut;

const Limits kLimits;  // ours
// What we add must be read again.
const Limits kWideLimits{.head_bytes_max = 1 << 20, .fields_max = 1000, .request_line_bytes_max = 1 << 20};

void demand(bool holds) {
  if (!holds) std::abort();
}

// One message, read and written on as the proxy does it.
struct Request final : lotse::http::RequestListener {
  void on_request_head(const RequestHead& received) override {
    RequestHead head = received;
    if (head.authority.empty()) head.authority = "none";  // of the endpoint, for HTTP/1.0
    ClientInfo client{.ip = "192.0.2.1", .forwarded = "for=192.0.2.1;proto=http;host=\"", .port = "80"};
    Arena arena;
    std::vector<Field> fields;
    lotse::proxy::append_request_fields(head, client, false, arena, fields);
    RequestOut out{.method = head.method,
                   .method_text = head.method_text,
                   .target = head.target,
                   .authority = head.authority,
                   .fields = fields,
                   .is_chunked = head.is_chunked,
                   .content_length = head.content_length,
                   .upgrade = head.upgrade,
                   .accepts_trailers = head.accepts_trailers()};
    if (out.target.front() != '/') {  // the absolute form, as Exchange::set_target() does it
      target = std::string(head.path);
      if (head.has_query) target.append("?").append(head.query);
      out.target = target;
    }
    lotse::proxy::write_request_head(outbox, out);
    what = std::string(head.method_text) + " " + std::string(out.target) + " to " + std::string(out.authority);
    is_chunked = head.is_chunked;
  }
  void on_request_body(std::span<const char> bytes) override {
    payload.append(bytes.data(), bytes.size());
    if (bytes.empty()) return;
    if (is_chunked) return lotse::proxy::write_chunk(outbox, {bytes.data(), bytes.size()});
    outbox.add_text({bytes.data(), bytes.size()});
  }
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override {
    is_complete = true;
    if (is_chunked) lotse::proxy::write_last_chunk(outbox, {});
    outbox.flush();
  }

  bool read(std::string_view input, const Limits& limits) {
    outbox.to(stream);
    lotse::http::RequestParser parser(*this, limits);
    const FeedResult result = parser.feed(input);
    consumed = result.consumed;
    if (!is_complete) outbox.forget(stream);
    return is_complete;
  }
  lotse::test::CapturedStream stream;
  Outbox outbox;
  std::string what, payload, target;
  std::size_t consumed = 0;
  bool is_chunked = false, is_complete = false;
};

struct Response final : lotse::http::ResponseListener {
  void on_response_head(const ResponseHead& head) override {
    std::vector<Field> fields;
    lotse::proxy::append_response_fields(head, fields);
    is_chunked = !head.is_bodiless && !head.content_length;
    ResponseOut out{.status = head.status,
                    .reason = head.reason,
                    .fields = fields,
                    .is_bodiless = head.is_bodiless,
                    .content_length = head.status < 200 || head.status == 204 ? std::nullopt : head.content_length};
    if (head.status == 101) out.upgrade = head.find("upgrade").value_or("");
    lotse::proxy::write_response_head(outbox, out, {.is_chunked = is_chunked});
    what += std::to_string(head.status) + " ";
  }
  void on_response_body(std::span<const char> bytes) override {
    payload.append(bytes.data(), bytes.size());
    if (bytes.empty()) return;
    if (is_chunked) return lotse::proxy::write_chunk(outbox, {bytes.data(), bytes.size()});
    outbox.add_text({bytes.data(), bytes.size()});
  }
  void on_response_trailers(std::span<const Field>) override {}
  void on_response_complete() override {
    is_complete = true;
    if (is_chunked) lotse::proxy::write_last_chunk(outbox, {});
    outbox.flush();
  }

  bool read(std::uint8_t asked, std::string_view input, const Limits& limits) {
    outbox.to(stream);
    lotse::http::ResponseParser parser(*this, limits);
    parser.expect((asked & 1) != 0 ? Method::head : Method::get, (asked & 2) != 0 ? "websocket, a/1" : "");
    const FeedResult result = parser.feed(input);
    consumed = result.consumed;
    if (!result.error && !is_complete) (void)parser.finish();
    if (!is_complete) outbox.forget(stream);
    return is_complete;
  }
  lotse::test::CapturedStream stream;
  Outbox outbox;
  std::string what, payload;
  std::size_t consumed = 0;
  bool is_chunked = false, is_complete = false;
};

template <typename Message>
void demand_same(const Message& first, const Message& second) {
  demand(second.consumed == first.stream.text.size());  // nothing behind its end
  demand(second.what == first.what);
  demand(second.payload == first.payload);
  demand(second.stream.text == first.stream.text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (Request first; first.read(input, kLimits)) {
    Request second;
    demand(second.read(first.stream.text, kWideLimits));
    demand_same(first, second);
  }
  if (Response first; first.read(data[0], input, kLimits)) {
    Response second;
    demand(second.read(data[0], first.stream.text, kWideLimits));
    demand_same(first, second);
  }
  return 0;
}

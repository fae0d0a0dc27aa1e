#include "http/h1_parser.h"
#include "http/message_reader.h"
#include "http/text.h"

namespace lotse::http {

namespace {
// 100 and 103 come once or twice; a peer that sends them without end would hold a request for ever.
constexpr int kInterimMax = 16;
}  // namespace

struct ResponseParser::Impl final : MessageReader {
  Impl(ResponseListener& to, const Limits& bounds) : MessageReader(HTTP_RESPONSE, bounds), listener(to) {}

  bool may_start() const override { return is_expected; }

  CheckedHead check_head(std::string_view line) override {
    head = ResponseHead{};
    if (ParseError error = read_status_line(line)) return {.error = error};
    FieldFacts facts;
    if (ParseError error = read_facts(head.minor_version, facts)) return {.error = error};
    const bool is_interim = head.status < 200;
    const bool is_upgrade = head.status == 101;
    if (is_upgrade && !is_offered(facts.upgrade)) return {.error = {502, "101 that nobody asked for"}};
    if (is_interim || head.status == 204) {
      // Never there (RFC 9112 section 6.1, RFC 9110 section 8.6). A zero is common and hurts nobody; with anything
      // else, or chunked, some readers would wait for a body.
      if (facts.is_chunked) return {.error = {502, "Transfer-Encoding in an answer without a body"}};
      if (facts.content_length.value_or(0) > 0) return {.error = {502, "Content-Length in an answer without a body"}};
    }
    if (is_interim && !is_upgrade && ++interims > kInterimMax) return {.error = {502, "too many interim responses"}};
    head.fields = fields();
    head.is_chunked = facts.is_chunked;
    head.content_length = facts.content_length;
    head.is_bodiless = is_interim || head.status == 204 || head.status == 304 || method == Method::head;
    head.ends_with_connection = !head.is_bodiless && !facts.is_chunked && !facts.content_length;
    head.keep_alive =
        !facts.says_close && !head.ends_with_connection && (head.minor_version == 1 || facts.says_keep_alive);
    CheckedHead checked{.is_chunked = facts.is_chunked, .upgrades = is_upgrade};
    checked.is_plain = !facts.is_chunked && facts.upgrades == 0;
    checked.length = facts.content_length.value_or(0);
    if (is_interim && !is_upgrade) {
      checked.body = Body::interim;
    } else if (head.is_bodiless) {
      checked.body = Body::none;
    } else if (facts.is_chunked) {
      checked.body = Body::chunked;
    } else if (head.ends_with_connection) {
      checked.body = Body::until_close;
    } else if (checked.length > 0) {
      checked.body = Body::fixed;
    }
    return checked;
  }

  bool is_offered(std::string_view chosen) const {
    if (chosen.empty()) return false;
    for (bool is_last = false; !is_last;) {
      const std::size_t comma = chosen.find(',');
      is_last = comma == std::string_view::npos;
      if (!list_has_token(upgrade_offered, trim(chosen.substr(0, comma)))) return false;
      if (!is_last) chosen.remove_prefix(comma + 1);
    }
    return true;
  }

  ParseError read_status_line(std::string_view line) {
    // "HTTP/1.x" SP 3DIGIT [SP reason]; the space before an absent reason is often left out.
    if (line.size() < 12 || !line.starts_with("HTTP/1.") || (line[7] != '0' && line[7] != '1'))
      return {502, "bad HTTP version"};
    if (line[8] != ' ' || !is_digit(line[9]) || !is_digit(line[10]) || !is_digit(line[11])) return {502, "bad status"};
    if (line.size() > 12 && line[12] != ' ') return {502, "bad status"};
    head.minor_version = line[7] - '0';
    head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    if (head.status < 100) return {502, "bad status"};
    if (line.size() > 13) head.reason = line.substr(13);
    return {};
  }

  void emit_head() override { listener.on_response_head(head); }
  void emit_body(std::span<const char> bytes) override { listener.on_response_body(bytes); }
  void emit_trailers(std::span<const Field> trailers) override { listener.on_response_trailers(trailers); }
  void emit_complete() override {
    is_expected = false;
    interims = 0;
    listener.on_response_complete();
  }

  ResponseListener& listener;
  ResponseHead head;
  Method method = Method::get;
  int interims = 0;
  std::string_view upgrade_offered;
  bool is_expected = false;
};

ResponseParser::ResponseParser(ResponseListener& listener, const Limits& limits)
    : impl_(std::make_unique<Impl>(listener, limits)) {}
ResponseParser::~ResponseParser() = default;

void ResponseParser::expect(Method method, std::string_view upgrade_offered) {
  impl_->method = method;
  impl_->upgrade_offered = upgrade_offered;
  impl_->is_expected = true;
}

FeedResult ResponseParser::feed(std::span<const char> bytes) { return impl_->feed(bytes); }
std::uint64_t ResponseParser::fixed_body_left() const { return impl_->fixed_body_left(); }
FeedResult ResponseParser::skip_body(std::uint64_t bytes) { return impl_->skip_body(bytes); }
void ResponseParser::pause() { impl_->pause(); }
bool ResponseParser::finish() { return impl_->finish(); }
bool ResponseParser::is_between_messages() const { return impl_->is_between_messages() && impl_->interims == 0; }
void ResponseParser::release() { impl_->release(); }
std::size_t ResponseParser::buffered_bytes() const { return impl_->buffered_bytes(); }

}  // namespace lotse::http

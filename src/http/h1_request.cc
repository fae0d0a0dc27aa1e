#include <cstring>

#include "http/h1_parser.h"
#include "http/message_reader.h"
#include "http/text.h"
#include "http/url.h"

namespace lotse::http {

namespace {

// "HTTP/1.0" and "HTTP/1.1", nothing else (llhttp takes 0.9, 2.0, RTSP and ICE as well). -1: error is set.
int minor_version_of(std::string_view text, ParseError& error) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  const bool is_version =
      text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' && is_digit(text[7]);
  error = is_version ? ParseError{505, "HTTP version other than 1.0 and 1.1"} : ParseError{400, "bad HTTP version"};
  return -1;
}

bool is_clean_target(std::string_view target) {
  if (target.empty()) return false;
  for (const char c : target) {
    // Visible ASCII; a fragment is never sent (RFC 9110 section 7.1).
    if (c <= ' ' || c >= 0x7f || c == '#') return false;
  }
  return true;
}

// Sets path, query and, for the absolute form, authority.
ParseError take_target_apart(RequestHead& head) {
  std::string_view rest = head.target;
  if (rest == "*") {
    if (head.method != Method::options) return {400, "target * without OPTIONS"};
    head.path = rest;
    return {};
  }
  if (rest.front() != '/') {
    const std::size_t scheme_end = rest.find("://");
    if (scheme_end == std::string_view::npos) return {400, "bad request target"};
    const std::string_view scheme = rest.substr(0, scheme_end);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https"))
      return {400, "unknown scheme in target"};
    rest.remove_prefix(scheme_end + 3);
    const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
    head.authority = rest.substr(0, authority_end);
    if (!is_valid_authority(head.authority)) return {400, "bad authority in target"};
    rest.remove_prefix(authority_end);
    if (rest.empty() && head.method == Method::options) {
      head.path = "*";  // RFC 9112 section 3.2.4
      return {};
    }
  }
  const std::size_t question = rest.find('?');
  head.path = rest.substr(0, question);
  if (head.path.empty()) head.path = "/";
  if (question != std::string_view::npos) {
    head.has_query = true;
    head.query = rest.substr(question + 1);
  }
  return {};
}

}  // namespace

struct RequestParser::Impl final : MessageReader {
  Impl(RequestListener& to, const Limits& bounds) : MessageReader(HTTP_REQUEST, bounds), listener(to) {}

  CheckedHead check_head(std::string_view line) override {
    head = RequestHead{};
    if (ParseError error = read_request_line(line)) return {.error = error};
    FieldFacts facts;
    if (ParseError error = read_facts(head.minor_version, facts)) return {.error = error};
    if (ParseError error = take_host(facts)) return {.error = error};
    if (facts.expects_other) return {.error = {417, "an expectation other than 100-continue"}};
    head.fields = fields();
    head.is_chunked = facts.is_chunked;
    head.content_length = facts.content_length;
    head.keep_alive = !facts.says_close && (head.minor_version == 1 || facts.says_keep_alive);
    head.expects_continue = facts.expects_continue;
    head.upgrade = facts.upgrade;
    CheckedHead checked{.is_chunked = facts.is_chunked, .upgrades = !head.upgrade.empty()};
    checked.is_plain = !facts.is_chunked && facts.upgrades == 0 && head.method != Method::other;
    checked.length = facts.content_length.value_or(0);
    if (facts.is_chunked) {
      checked.body = Body::chunked;
    } else if (checked.length > 0) {
      checked.body = Body::fixed;
    }
    return checked;
  }

  ParseError read_request_line(std::string_view line) {
    const std::size_t method_end = line.find(' ');
    const std::size_t target_end = line.rfind(' ');
    if (method_end == std::string_view::npos || method_end == target_end) return {400, "bad request line"};
    head.method_text = line.substr(0, method_end);
    head.target = line.substr(method_end + 1, target_end - method_end - 1);
    if (!is_token(head.method_text)) return {400, "bad method"};
    ParseError error;
    head.minor_version = minor_version_of(line.substr(target_end + 1), error);
    if (error) return error;
    head.method = method_from(head.method_text);
    if (head.method == Method::connect || head.method == Method::trace) return {405, "CONNECT and TRACE are refused"};
    if (!is_clean_target(head.target)) return {400, "bad character in the request target"};
    return take_target_apart(head);
  }

  ParseError take_host(const FieldFacts& facts) {
    if (facts.hosts > 1) return {400, "more than one Host"};
    if (facts.hosts == 0) return head.minor_version == 1 ? ParseError{400, "no Host"} : ParseError{};
    if (!is_valid_authority(facts.host)) return {400, "bad Host"};
    if (head.authority.empty()) head.authority = facts.host;  // else the absolute form's wins (RFC 9112 section 3.2.2)
    return {};
  }

  void emit_head() override { listener.on_request_head(head); }
  void emit_body(std::span<const char> bytes) override { listener.on_request_body(bytes); }
  void emit_trailers(std::span<const Field> trailers) override { listener.on_request_trailers(trailers); }
  void emit_complete() override { listener.on_request_complete(); }

  RequestListener& listener;
  RequestHead head;
};

RequestParser::RequestParser(RequestListener& listener, const Limits& limits)
    : impl_(std::make_unique<Impl>(listener, limits)) {}
RequestParser::~RequestParser() = default;
FeedResult RequestParser::feed(std::span<const char> bytes) { return impl_->feed(bytes); }
std::uint64_t RequestParser::fixed_body_left() const { return impl_->fixed_body_left(); }
FeedResult RequestParser::skip_body(std::uint64_t bytes) { return impl_->skip_body(bytes); }
void RequestParser::pause() { impl_->pause(); }
bool RequestParser::is_between_messages() const { return impl_->is_between_messages(); }
bool RequestParser::has_partial_head() const { return impl_->has_partial_head(); }
void RequestParser::release() { impl_->release(); }
void RequestParser::discard() { impl_->discard(); }
std::size_t RequestParser::buffered_bytes() const { return impl_->buffered_bytes(); }

}  // namespace lotse::http

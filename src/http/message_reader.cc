#include "http/message_reader.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "http/field_line.h"
#include "http/text.h"

namespace lotse::http {

namespace {

constexpr std::size_t kFirstHeadBytes = 1024;
constexpr std::size_t kKeptHeadBytes = 4 * kFirstHeadBytes;
constexpr std::size_t kSparesMax = 64;    // per thread: as many heads are under way at once without an allocation
constexpr std::size_t kFirstFields = 16;  // browsers send about a dozen

int pause_llhttp(llhttp_t*) { return HPE_PAUSED; }

// 1*DIGIT up to 2^63-1; nothing else, not even white space inside (RFC 9112 section 6.3, PROXY.md "Posture" 4).
std::optional<std::uint64_t> parse_length(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr std::uint64_t kMax = (std::uint64_t{1} << 63) - 1;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

void read_expectations(std::string_view list, FieldFacts& facts) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view member = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (member.empty()) continue;
    (equals_ignoring_case(member, "100-continue") ? facts.expects_continue : facts.expects_other) = true;
  }
}

// Protocols, name[/version] each, that a tunnel may carry. HTTP itself is none of them: inside a tunnel its requests
// would pass every route and rule by (h2c smuggling); RFC 9113 section 3.1 has done away with that upgrade. TLS would
// end at the endpoint instead of here.
bool is_upgrade_list(std::string_view list) {
  for (bool is_last = false; !is_last;) {
    const std::size_t comma = list.find(',');
    is_last = comma == std::string_view::npos;
    const std::string_view protocol = trim(list.substr(0, comma));
    const std::size_t slash = protocol.find('/');
    const std::string_view name = protocol.substr(0, slash);
    if (!is_token(name) || (slash != std::string_view::npos && !is_token(protocol.substr(slash + 1)))) return false;
    for (const std::string_view refused : {"h2c", "h2", "http", "tls"}) {
      if (equals_ignoring_case(name, refused)) return false;
    }
    if (!is_last) list.remove_prefix(comma + 1);
  }
  return true;
}

// Splits "Name: value\r\n..." (whole lines, which the scanner has seen).
ParseError split_fields(std::string_view lines, std::vector<Field>& fields) {
  const char* const end = lines.data() + lines.size();
  while (!lines.empty()) {
    const std::size_t line_end = lines.find('\r');
    Field field;
    if (ParseError error = read_field_line(lines.substr(0, line_end), end, field)) return error;
    fields.push_back(field);
    lines.remove_prefix(line_end + 2);
  }
  return {};
}

}  // namespace

MessageReader::MessageReader(llhttp_type_t type, const Limits& limits) : type_(type), limits_(limits) {
  llhttp_init(&llhttp_, type_, &settings());
}

const llhttp_settings_t& MessageReader::settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = pause_llhttp;
    settings.on_chunk_header = on_chunk_header;
    settings.on_message_complete = pause_llhttp;
    return settings;
  }();
  return kSettings;
}

FeedResult MessageReader::feed(std::span<const char> bytes) {
  FeedResult result;
  if (phase_ == Phase::failed) {
    result.error = error_;
    return result;
  }
  paused_ = false;
  while (result.consumed < bytes.size()) {
    const std::span<const char> rest = bytes.subspan(result.consumed);
    std::size_t taken = 0;
    switch (phase_) {
      case Phase::start:
        taken = feed_start(rest, result);
        break;
      case Phase::head:
        taken = feed_head(rest, result);
        break;
      case Phase::fixed:
        taken = feed_fixed(rest, result);
        break;
      case Phase::chunk_line:
        taken = feed_chunk_line(rest, result);
        break;
      case Phase::chunk_data:
        taken = feed_chunk_data(rest, result);
        break;
      case Phase::chunk_end:
        taken = feed_chunk_end(rest, result);
        break;
      case Phase::trailers:
        taken = feed_trailers(rest, result);
        break;
      case Phase::until_close:
        emit_body(rest);
        taken = rest.size();
        break;
      case Phase::failed:
        break;
    }
    result.consumed += taken;
    if (result.message_complete || result.error || paused_) break;
  }
  return result;
}

std::size_t MessageReader::feed_start(std::span<const char> bytes, FeedResult& result) {
  if (!may_start()) {
    fail(result, {400, "bytes that nobody asked for"});
    return 0;
  }
  // One empty line before a request is skipped, as RFC 9112 section 2.2 asks for: old clients send one after a POST.
  if (seen_cr_) {
    if (bytes.front() != '\n') {
      fail(result, {400, "CR without LF"});
      return 0;
    }
    seen_cr_ = false;
    skipped_empty_line_ = true;
    return 1;
  }
  if (bytes.front() == '\r' && type_ == HTTP_REQUEST && !skipped_empty_line_) {
    seen_cr_ = true;
    return 1;
  }
  skipped_empty_line_ = false;
  phase_ = Phase::head;
  if (store_ == nullptr) take_store();
  store_->head.clear();
  scanner_.start(
      {.start_line_bytes_max = type_ == HTTP_REQUEST ? limits_.request_line_bytes_max : limits_.head_bytes_max,
       .bytes_max = limits_.head_bytes_max,
       .lines_max = limits_.fields_max,
       .has_start_line = true});
  return 0;
}

std::size_t MessageReader::feed_head(std::span<const char> bytes, FeedResult& result) {
  store_->line_ends.reserve(kFirstFields + 1);
  if (store_->head.is_empty()) {
    if (const std::size_t taken = feed_whole_head(bytes, result); taken > 0) return taken;
  }
  const HeadScanner::Step step = scanner_.scan(bytes);
  if (step.error) {
    fail(result, step.error);
    return step.consumed;
  }
  store_->head.append(bytes.first(step.consumed), limits_.head_bytes_max);
  if (!step.complete) return step.consumed;
  const std::string_view head = store_->head.text();
  if (index_head({head.data(), head.size()}, store_->line_ends) != head.size()) {
    fail(result, {400, "no start line"});
    return step.consumed;
  }
  take_head(result);
  return step.consumed;
}

// Most heads come in one piece and have nothing in them that wants an explanation. 0: this one is not like that.
std::size_t MessageReader::feed_whole_head(std::span<const char> bytes, FeedResult& result) {
  const std::size_t head_bytes =
      index_head(bytes.first(std::min(bytes.size(), limits_.head_bytes_max)), store_->line_ends);
  if (head_bytes == 0 || store_->line_ends.size() - 1 > limits_.fields_max) return 0;
  if (type_ == HTTP_REQUEST && store_->line_ends.front() > limits_.request_line_bytes_max) return 0;
  store_->head.append(bytes.first(head_bytes), limits_.head_bytes_max);
  take_head(result);
  return head_bytes;
}

void MessageReader::take_head(FeedResult& result) {
  const std::string_view head = store_->head.text();
  if (ParseError error = read_fields(head)) return fail(result, error);
  const CheckedHead checked = check_head(head.substr(0, store_->line_ends.front()));
  if (checked.error) return fail(result, checked.error);
  if (!checked.is_plain) {
    if (ParseError error = confirm_head(head, checked)) return fail(result, error);
  }
  begin_body(checked, result);
}

ParseError MessageReader::read_fields(std::string_view head) {
  store_->fields.clear();
  store_->fields.reserve(kFirstFields);
  const char* const readable_end = head.data() + head.size();
  std::size_t start = store_->line_ends.front() + 2;
  for (std::size_t i = 1; i < store_->line_ends.size(); ++i) {
    Field field;
    if (ParseError error = read_field_line(head.substr(start, store_->line_ends[i] - start), readable_end, field))
      return error;
    store_->fields.push_back(field);
    start = store_->line_ends[i] + 2;
  }
  return {};
}

ParseError MessageReader::confirm_head(std::string_view head, const CheckedHead& checked) {
  llhttp_init(&llhttp_, type_, &settings());
  llhttp_.data = this;
  if (ParseError error = confirm(head, HPE_PAUSED)) return error;
  // Two readings of one head is how requests are smuggled: whatever they disagree about is refused.
  const bool chunked = (llhttp_.flags & F_CHUNKED) != 0;
  if (chunked != checked.is_chunked) return {400, "ambiguous Transfer-Encoding"};
  if (checked.body == Body::fixed && llhttp_.content_length != checked.length) return {400, "ambiguous Content-Length"};
  return {};
}

ParseError MessageReader::confirm(std::string_view bytes, llhttp_errno_t expected) {
  const llhttp_errno_t code = llhttp_execute(&llhttp_, bytes.data(), bytes.size());
  if (code == expected) return {};
  if (code == HPE_INVALID_METHOD) return {501, "unknown method"};  // a token, or our own check would have refused it
  const char* const reason = llhttp_get_error_reason(&llhttp_);    // llhttp's are literals
  return {400, reason != nullptr && *reason != '\0' ? reason : "refused by llhttp"};
}

void MessageReader::begin_body(const CheckedHead& checked, FeedResult& result) {
  upgrades_ = checked.upgrades;
  switch (checked.body) {
    case Body::none:
      phase_ = Phase::start;
      emit_head();
      complete(result);
      return;
    case Body::interim:
      phase_ = Phase::start;
      break;
    case Body::fixed:
      left_ = checked.length;
      phase_ = Phase::fixed;
      break;
    case Body::chunked:
      llhttp_resume(&llhttp_);
      extension_bytes_ = 0;
      chunk_line_.start();
      chunk_announced_ = false;
      phase_ = Phase::chunk_line;
      break;
    case Body::until_close:
      phase_ = Phase::until_close;
      break;
  }
  emit_head();
}

std::size_t MessageReader::feed_fixed(std::span<const char> bytes, FeedResult& result) {
  const std::size_t taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  left_ -= taken;
  emit_body(bytes.first(taken));
  if (left_ == 0) complete(result);
  return taken;
}

FeedResult MessageReader::skip_body(std::uint64_t bytes) {
  FeedResult result;
  if (bytes == 0 || phase_ != Phase::fixed) return result;
  CHECK(bytes <= left_);
  left_ -= bytes;
  if (left_ == 0) complete(result);
  return result;
}

std::size_t MessageReader::feed_chunk_line(std::span<const char> bytes, FeedResult& result) {
  const ChunkLine::Step step = chunk_line_.scan(bytes, limits_, extension_bytes_);
  ParseError error = step.error;
  if (!error) error = confirm({bytes.data(), step.consumed}, HPE_OK);
  if (!error && step.complete) {
    constexpr std::uint64_t kMax = (std::uint64_t{1} << 63) - 1;
    if (!chunk_announced_ || left_ > kMax) error = {400, "bad chunk size"};
  }
  if (error) {
    fail(result, error);
    return step.consumed;
  }
  if (!step.complete) return step.consumed;
  if (left_ > 0) {
    phase_ = Phase::chunk_data;
    return step.consumed;
  }
  phase_ = Phase::trailers;
  store_->trailer_bytes.clear();
  scanner_.start({.start_line_bytes_max = 0,
                  .bytes_max = limits_.trailer_bytes_max,
                  .lines_max = limits_.fields_max,
                  .has_start_line = false});
  return step.consumed;
}

int MessageReader::on_chunk_header(llhttp_t* llhttp) {
  auto* self = static_cast<MessageReader*>(llhttp->data);
  self->left_ = llhttp->content_length;
  self->chunk_announced_ = true;
  return 0;
}

std::size_t MessageReader::feed_chunk_data(std::span<const char> bytes, FeedResult& result) {
  const std::size_t taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  if (ParseError error = confirm({bytes.data(), taken}, HPE_OK)) {  // llhttp counts along
    fail(result, error);
    return taken;
  }
  left_ -= taken;
  if (left_ == 0) phase_ = Phase::chunk_end;
  emit_body(bytes.first(taken));
  return taken;
}

std::size_t MessageReader::feed_chunk_end(std::span<const char> bytes, FeedResult& result) {
  if (bytes.front() != (seen_cr_ ? '\n' : '\r')) {
    fail(result, {400, "no line end after a chunk"});
    return 0;
  }
  if (ParseError error = confirm({bytes.data(), 1}, HPE_OK)) {
    fail(result, error);
    return 0;
  }
  seen_cr_ = !seen_cr_;
  if (!seen_cr_) {
    phase_ = Phase::chunk_line;
    chunk_line_.start();
    chunk_announced_ = false;
  }
  return 1;
}

std::size_t MessageReader::feed_trailers(std::span<const char> bytes, FeedResult& result) {
  const HeadScanner::Step step = scanner_.scan(bytes);
  if (step.error) {
    fail(result, step.error);
    return step.consumed;
  }
  store_->trailer_bytes.append(bytes.first(step.consumed), limits_.trailer_bytes_max);
  if (!step.complete) return step.consumed;
  const std::string_view section = store_->trailer_bytes.text();
  store_->trailers.clear();
  ParseError error = split_fields(section.substr(0, section.size() - 2), store_->trailers);
  if (!error) error = confirm(section, HPE_PAUSED);
  if (error) {
    fail(result, error);
    return step.consumed;
  }
  phase_ = Phase::start;
  if (!store_->trailers.empty()) emit_trailers(store_->trailers);
  complete(result);
  return step.consumed;
}

void MessageReader::complete(FeedResult& result) {
  phase_ = Phase::start;
  result.message_complete = true;
  result.upgraded = upgrades_;
  emit_complete();
}

void MessageReader::fail(FeedResult& result, ParseError error) {
  if (type_ == HTTP_RESPONSE) error.status = 502;
  phase_ = Phase::failed;
  error_ = error;
  result.error = error;
}

bool MessageReader::finish() {
  if (phase_ != Phase::until_close) return false;
  FeedResult ignored;
  complete(ignored);
  return true;
}

void MessageReader::discard() {
  error_ = {400, "the connection is over"};
  phase_ = Phase::failed;
  give_back(std::move(store_));
}

void MessageReader::release() {
  if (is_between_messages()) give_back(std::move(store_));
}

void MessageReader::take_store() {
  auto& spares = spare_stores();
  if (spares.empty()) {
    store_ = std::make_unique<Store>();
    return;
  }
  store_ = std::move(spares.back());
  spares.pop_back();
}

// A store that an unusual head has made large belongs to that head.
void MessageReader::give_back(std::unique_ptr<Store> store) {
  if (store == nullptr || std::max(store->head.capacity(), store->trailer_bytes.capacity()) > kKeptHeadBytes) return;
  auto& spares = spare_stores();
  if (spares.size() < kSparesMax) spares.push_back(std::move(store));
}

std::vector<std::unique_ptr<MessageReader::Store>>& MessageReader::spare_stores() {
  thread_local std::vector<std::unique_ptr<Store>> spares = [] {
    std::vector<std::unique_ptr<Store>> empty;
    empty.reserve(kSparesMax);
    return empty;
  }();
  return spares;
}

void MessageReader::Buffer::append(std::span<const char> bytes, std::size_t bytes_max) {
  if (bytes.empty()) return;
  if (size_ + bytes.size() > capacity_) {
    CHECK(size_ + bytes.size() <= bytes_max);  // the scanner's bound
    capacity_ = std::min(bytes_max, std::max({kFirstHeadBytes, 2 * capacity_, size_ + bytes.size()}));
    std::unique_ptr<char[]> grown(new char[capacity_]);
    if (size_ > 0) std::memcpy(grown.get(), bytes_.get(), size_);
    bytes_ = std::move(grown);
  }
  std::memcpy(bytes_.get() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
}

ParseError MessageReader::read_facts(int minor_version, FieldFacts& facts) const {
  for (const Field& field : store_->fields) {
    switch (field.read_id) {
      case FieldId::host:
        facts.host = field.value;
        ++facts.hosts;
        break;
      case FieldId::expect:
        if (minor_version == 1) read_expectations(field.value, facts);
        break;
      case FieldId::upgrade:
        facts.upgrade = field.value;
        ++facts.upgrades;
        break;
      case FieldId::connection:
        facts.says_close |= list_has_token(field.value, "close");
        facts.says_keep_alive |= list_has_token(field.value, "keep-alive");
        facts.names_upgrade |= list_has_token(field.value, "upgrade");
        break;
      case FieldId::content_length:
        if (facts.content_length) return {400, "more than one Content-Length"};
        facts.content_length = parse_length(field.value);
        if (!facts.content_length) return {400, "bad Content-Length"};
        break;
      case FieldId::transfer_encoding:
        if (facts.is_chunked) return {400, "more than one Transfer-Encoding"};
        if (minor_version == 0) return {400, "Transfer-Encoding in HTTP/1.0"};
        if (!equals_ignoring_case(field.value, "chunked")) return {400, "Transfer-Encoding other than chunked"};
        facts.is_chunked = true;
        break;
      default:
        break;
    }
  }
  if (facts.is_chunked && facts.content_length) return {400, "both Transfer-Encoding and Content-Length"};
  // HTTP/1.0 has no Upgrade, and two Upgrade lines are an offer we need not take up (RFC 9110 section 7.8).
  if (minor_version == 0 || !facts.names_upgrade || facts.upgrades != 1 || !is_upgrade_list(facts.upgrade))
    facts.upgrade = {};
  return {};
}

}  // namespace lotse::http

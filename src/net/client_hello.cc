#include "net/client_hello.h"

#include <algorithm>
#include <optional>
#include <set>

namespace lotse::net {
namespace {

constexpr std::size_t kRecordHeaderBytes = 5, kMessageHeaderBytes = 4;
constexpr std::size_t kRecordBytesMax = 16 * 1024;
constexpr unsigned char kHandshake = 22, kClientHello = 1, kHostName = 0;
constexpr std::size_t kServerName = 0;  // the extension
constexpr std::size_t kNameBytesMax = 255;

// Takes pieces off the front of a message; once one was missing, nothing more comes.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : rest_(bytes) {}
  std::size_t number(std::size_t bytes) {
    std::size_t value = 0;
    for (char c : take(bytes)) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  std::string_view take(std::size_t bytes) {
    is_short_ = is_short_ || bytes > rest_.size();
    if (is_short_) return {};
    std::string_view piece = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return piece;
  }
  std::string_view take_vector(std::size_t length_bytes) { return take(number(length_bytes)); }
  bool is_short() const { return is_short_; }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool is_short_ = false;
};

// Letters, digits, "-", "_" and dots between labels. Lower case; a dot at the end, which RFC 6066 does not want but
// some send, is taken off.
std::optional<std::string> host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameBytesMax) return std::nullopt;
  std::string name(text);
  char before = '.';
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    const bool is_fine = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    if (!is_fine || (c == '.' && before == '.')) return std::nullopt;
    before = c;
  }
  return name;
}

}  // namespace

ClientHelloReader::State ClientHelloReader::feed(std::span<const char> bytes) {
  if (*reason_ != '\0') return State::refused;
  std::string_view rest(bytes.data(), bytes.size());
  while (!rest.empty()) {
    if (record_left_ == 0) {
      const std::size_t count = std::min(rest.size(), kRecordHeaderBytes - record_header_.size());
      record_header_ += rest.substr(0, count);
      rest.remove_prefix(count);
      bytes_seen_ += count;
      if (take_record_header() == State::refused) return State::refused;
      continue;
    }
    const std::size_t count = std::min(rest.size(), record_left_);
    message_ += rest.substr(0, count);
    rest.remove_prefix(count);
    bytes_seen_ += count;
    record_left_ -= count;
    if (bytes_seen_ > bytes_max_) return refuse("longer than the bound");
    if (State state = read_message(); state != State::wants_more) return state;
  }
  return State::wants_more;
}

ClientHelloReader::State ClientHelloReader::refuse(const char* reason) {
  reason_ = reason;
  std::string().swap(message_);
  return State::refused;
}

// Type, version and length; looked at byte by byte, so that what is no TLS is not waited for.
ClientHelloReader::State ClientHelloReader::take_record_header() {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(record_header_[i]); };
  if (byte(0) != kHandshake) return refuse(message_.empty() ? "not TLS" : "another record inside of the message");
  if (record_header_.size() > 1 && byte(1) != 3) return refuse("not TLS");
  if (record_header_.size() < kRecordHeaderBytes) return State::wants_more;
  is_tls_ = true;
  record_left_ = static_cast<std::size_t>(byte(3)) << 8 | byte(4);
  record_header_.clear();
  if (record_left_ == 0 || record_left_ > kRecordBytesMax) return refuse("a record of no valid length");
  return State::wants_more;
}

ClientHelloReader::State ClientHelloReader::read_message() {
  if (static_cast<unsigned char>(message_.front()) != kClientHello) return refuse("not a ClientHello");
  if (message_.size() < kMessageHeaderBytes) return State::wants_more;
  const std::size_t length = Cursor(std::string_view(message_).substr(1)).number(3);
  if (length + kMessageHeaderBytes > bytes_max_) return refuse("longer than the bound");
  if (message_.size() < length + kMessageHeaderBytes) return State::wants_more;
  if (message_.size() > length + kMessageHeaderBytes || record_left_ > 0)
    return refuse("something behind the message in its record");
  Cursor hello(std::string_view(message_).substr(kMessageHeaderBytes));
  const std::size_t version = hello.number(2);
  hello.take(32);  // random
  const std::string_view session = hello.take_vector(1), ciphers = hello.take_vector(2),
                         compressions = hello.take_vector(1);
  if (hello.is_short()) return refuse("a ClientHello that is cut off");
  if (version < 0x0301 || version > 0x0303) return refuse("no version of TLS");
  if (session.size() > 32 || ciphers.size() < 2 || ciphers.size() % 2 != 0 || compressions.empty())
    return refuse("a list of no valid length");
  if (!hello.is_at_end()) {  // TLS 1.2 has them at will
    const std::string_view extensions = hello.take_vector(2);
    if (hello.is_short() || !hello.is_at_end()) return refuse("extensions of no valid length");
    if (const char* reason = read_extensions(extensions); reason != nullptr) return refuse(reason);
  }
  std::string().swap(message_);
  return State::done;
}

// Null: they are well formed.
const char* ClientHelloReader::read_extensions(std::string_view extensions) {
  Cursor cursor(extensions);
  std::set<std::size_t> seen;
  while (!cursor.is_at_end()) {
    const std::size_t type = cursor.number(2);
    const std::string_view body = cursor.take_vector(2);
    if (cursor.is_short()) return "an extension that is cut off";
    if (!seen.insert(type).second) return "an extension twice";
    if (type != kServerName) continue;
    if (const char* reason = read_server_names(body); reason != nullptr) return reason;
  }
  return nullptr;
}

// A list by its grammar; one name is all that any client has ever sent, and all that OpenSSL takes.
const char* ClientHelloReader::read_server_names(std::string_view body) {
  Cursor cursor(body);
  Cursor list(cursor.take_vector(2));
  const std::size_t type = list.number(1);
  const std::string_view name = list.take_vector(2);
  if (cursor.is_short() || !cursor.is_at_end() || list.is_short() || !list.is_at_end() || type != kHostName)
    return "a list of names that is none";
  auto host = host_name(name);
  if (!host) return "a name that is none";
  server_name_ = *host;
  return nullptr;
}

}  // namespace lotse::net

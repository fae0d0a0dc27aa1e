#include "proxy/grpc.h"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace lotse::proxy {

namespace {

constexpr std::string_view kNames[kGrpcStatuses] = {
    "ok",        "cancelled",      "unknown",           "invalid-argument",   "deadline-exceeded",
    "not-found", "already-exists", "permission-denied", "resource-exhausted", "failed-precondition",
    "aborted",   "out-of-range",   "unimplemented",     "internal",           "unavailable",
    "data-loss", "unauthenticated"};

// "H" to "n", as a number of nanoseconds; 0: no unit.
std::int64_t nanoseconds_of(char unit) {
  switch (unit) {
    case 'H':
      return 3'600'000'000'000;
    case 'M':
      return 60'000'000'000;
    case 'S':
      return 1'000'000'000;
    case 'm':
      return 1'000'000;
    case 'u':
      return 1'000;
    case 'n':
      return 1;
    default:
      return 0;
  }
}

bool read_number(std::string_view digits, std::int64_t& number) {
  if (digits.empty() || digits[0] == '-') return false;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return code == std::errc{} && end == digits.data() + digits.size();
}

}  // namespace

bool is_grpc_call(const http::RequestHead& head) {
  if (head.method != http::Method::post) return false;
  constexpr std::string_view kType = "application/grpc";
  auto type = head.find("content-type");
  if (!type || type->size() < kType.size() || !http::equals_ignoring_case(type->substr(0, kType.size()), kType))
    return false;
  const char next = type->size() > kType.size() ? (*type)[kType.size()] : ';';
  return next == '+' || next == ';' || next == ' ';
}

std::optional<Duration> grpc_timeout(const http::RequestHead& head) {
  constexpr std::size_t kDigitsMax = 8;
  auto text = head.find("grpc-timeout");
  if (!text || text->size() < 2 || text->size() > kDigitsMax + 1) return std::nullopt;
  const std::int64_t unit = nanoseconds_of(text->back());
  std::int64_t number = 0;
  if (unit == 0 || !read_number(text->substr(0, text->size() - 1), number)) return std::nullopt;
  // Eight digits of hours are more than a Duration holds; nobody waits for a year.
  constexpr std::int64_t kLongest = std::int64_t{365} * 24 * 3'600'000'000'000;
  return std::chrono::nanoseconds(number > kLongest / unit ? kLongest : number * unit);
}

std::optional<int> grpc_status_of(std::span<const http::Field> fields) {
  for (const http::Field& field : fields) {
    if (!http::equals_ignoring_case(field.name, "grpc-status")) continue;
    std::int64_t number = 0;
    return read_number(field.value, number) && number < kGrpcStatuses ? static_cast<int>(number) : kGrpcUnknown;
  }
  return std::nullopt;
}

int grpc_status_for(int http_status) {
  switch (http_status) {
    case 400:
    case 431:
      return kGrpcInternal;
    case 401:
      return kGrpcUnauthenticated;
    case 403:
      return kGrpcPermissionDenied;
    case 404:
      return kGrpcUnimplemented;
    case 408:
    case 504:
      return kGrpcDeadlineExceeded;
    case 413:
      return kGrpcResourceExhausted;
    case 429:
    case 502:
    case 503:
      return kGrpcUnavailable;
    case 499:
      return kGrpcCancelled;
    default:
      return kGrpcUnknown;
  }
}

int grpc_status_from_name(std::string_view name) {
  auto place = std::find(std::begin(kNames), std::end(kNames), name);
  return place == std::end(kNames) ? -1 : static_cast<int>(place - std::begin(kNames));
}

std::string_view grpc_status_name(int status) { return kNames[static_cast<std::size_t>(status)]; }

void append_grpc_message(std::string_view text, std::string& to) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte <= '~' && byte != '%') {
      to += c;
    } else {
      to += '%';
      to += kHex[byte >> 4];
      to += kHex[byte & 15];
    }
  }
}

}  // namespace lotse::proxy

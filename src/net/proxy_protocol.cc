#include "net/proxy_protocol.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace lotse::net {
namespace {

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::size_t kBytesMax1 = 107;   // with the CRLF
constexpr std::size_t kFixedBytes2 = 16;  // up to the length and with it
constexpr std::size_t kIpv4Bytes = 12, kIpv6Bytes = 36, kUnixBytes = 216;
constexpr unsigned char kLocal = 0x20, kProxy = 0x21;  // version 2 and the command
constexpr unsigned char kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31;
constexpr unsigned char kTypeChecksum = 0x03;

unsigned char byte_at(std::string_view text, std::size_t place) { return static_cast<unsigned char>(text[place]); }
std::size_t number_at(std::string_view text, std::size_t place) {
  return static_cast<std::size_t>(byte_at(text, place)) << 8 | byte_at(text, place + 1);
}

// Decimal, without leading zeros.
std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Address make_ipv4(const void* ip, std::uint16_t port) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  std::memcpy(&raw.sin_addr, ip, sizeof raw.sin_addr);
  return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
}

Address make_ipv6(const void* ip, std::uint16_t port) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  std::memcpy(&raw.sin6_addr, ip, sizeof raw.sin6_addr);
  return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
}

std::optional<Address> address_of(std::string_view ip, std::string_view port, bool is_v6) {
  auto number = port_of(port);
  const std::string text(ip);
  std::array<unsigned char, 16> bytes{};
  if (!number || inet_pton(is_v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1) return std::nullopt;
  return is_v6 ? make_ipv6(bytes.data(), *number) : make_ipv4(bytes.data(), *number);
}

// Castagnoli's polynomial, reflected, as RFC 3720 appendix B.4 has it. The four bytes at `zero_at` count as 0.
std::uint32_t crc32c(std::string_view bytes, std::size_t zero_at) {
  static constexpr std::array<std::uint32_t, 256> kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0x82F63B78U : value >> 1;
      table[i] = value;
    }
    return table;
  }();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const unsigned char byte = i >= zero_at && i < zero_at + 4 ? 0 : byte_at(bytes, i);
    crc = crc >> 8 ^ kTable[(crc ^ byte) & 0xFF];
  }
  return ~crc;
}

}  // namespace

ProxyHeaderReader::State ProxyHeaderReader::feed(std::span<const char> bytes) {
  if (*reason_ != '\0') return State::refused;
  header_.append(bytes.data(), bytes.size());
  wanted_ -= std::min(bytes.size(), wanted_);
  const std::string_view first = std::string_view(header_).substr(0, kSignature2.size());
  const bool may_be_1 =
      std::equal(first.begin(), first.begin() + std::min(first.size(), kSignature1.size()), kSignature1.begin());
  if (!may_be_1 && !kSignature2.starts_with(first)) return refuse("begins with no signature of the PROXY protocol");
  // A line that ends too early is looked at too: what it still wants may never come.
  if (wanted_ > 0 && !(header_.starts_with(kSignature1) && header_.find('\n') != header_.npos))
    return State::wants_more;
  return look();
}

ProxyHeaderReader::State ProxyHeaderReader::refuse(const char* reason) {
  reason_ = reason;
  wanted_ = 0;
  return State::refused;
}

ProxyHeaderReader::State ProxyHeaderReader::look() {
  return header_.starts_with(kSignature1) ? look_at_version_1() : look_at_version_2();
}

// Version 1: a line -----------------------------------------------------------------------------------------------

ProxyHeaderReader::State ProxyHeaderReader::look_at_version_1() {
  if (header_.ends_with("\r\n")) return read_addresses_1(std::string_view(header_).substr(0, header_.size() - 2));
  const std::size_t cr = header_.find('\r');
  if (header_.find('\n') != header_.npos || (cr != header_.npos && cr + 1 != header_.size()))
    return refuse("the line ends with something other than CR LF");
  wanted_ = least_rest_1();
  if (header_.size() + wanted_ > kBytesMax1) return refuse("a line of more than 107 bytes");
  return State::wants_more;
}

// How many bytes of the line are still to come at least: of the fields that have not begun, a space and a character
// each, and the CRLF.
std::size_t ProxyHeaderReader::least_rest_1() const {
  if (header_.ends_with('\r')) return 1;
  constexpr std::string_view kUnknown = "PROXY UNKNOWN";
  if (header_.starts_with(kUnknown)) return 2;
  if (kUnknown.starts_with(header_)) return kUnknown.size() - header_.size() + 2;
  constexpr std::ptrdiff_t kSpaces = 5;  // PROXY TCP4 source destination port port
  const auto spaces = std::min(std::count(header_.begin(), header_.end(), ' '), kSpaces);
  const std::size_t begun = header_.ends_with(' ') ? 1 : 0;
  return begun + 2 * static_cast<std::size_t>(kSpaces - spaces) + 2;
}

ProxyHeaderReader::State ProxyHeaderReader::read_addresses_1(std::string_view line) {
  if (line == "PROXY UNKNOWN" || line.starts_with("PROXY UNKNOWN ")) {
    if (line.find_first_of("\r\n") != line.npos) return refuse("the line ends with something other than CR LF");
    return State::done;
  }
  const bool is_v6 = line.starts_with("PROXY TCP6 ");
  if (!is_v6 && !line.starts_with("PROXY TCP4 ")) return refuse("neither TCP4, TCP6 nor UNKNOWN");
  line.remove_prefix(11);
  std::array<std::string_view, 4> fields;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const std::size_t end = i + 1 < fields.size() ? line.find(' ') : line.size();
    if (end == line.npos) return refuse("fields are missing");
    fields[i] = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  auto source = address_of(fields[0], fields[2], is_v6), destination = address_of(fields[1], fields[3], is_v6);
  if (!source || !destination) return refuse("an address or a port is none");
  source_ = *source;
  destination_ = *destination;
  has_addresses_ = true;
  return State::done;
}

// Version 2: binary -----------------------------------------------------------------------------------------------

ProxyHeaderReader::State ProxyHeaderReader::look_at_version_2() {
  if (header_.size() < kFixedBytes2) {
    wanted_ = kFixedBytes2 - header_.size();
    return State::wants_more;
  }
  const unsigned char command = byte_at(header_, 12), family = byte_at(header_, 13);
  const std::size_t whole = kFixedBytes2 + number_at(header_, 14);
  if (command != kLocal && command != kProxy) return refuse("an unknown version or command");
  if (command == kProxy && family != kUnspecified && family != kTcp4 && family != kTcp6 && family != kUnixStream)
    return refuse("neither a stream nor unspecified");
  if (whole > bytes_max_) return refuse("longer than the bound");
  if (header_.size() < whole) {
    wanted_ = whole - header_.size();
    return State::wants_more;
  }
  return command == kLocal || family == kUnspecified ? State::done : read_addresses_2();
}

ProxyHeaderReader::State ProxyHeaderReader::read_addresses_2() {
  const unsigned char family = byte_at(header_, 13);
  const std::size_t bytes = family == kTcp4 ? kIpv4Bytes : family == kTcp6 ? kIpv6Bytes : kUnixBytes;
  if (header_.size() < kFixedBytes2 + bytes) return refuse("too short for its addresses");
  const char* at = header_.data() + kFixedBytes2;
  const auto port = [&](std::size_t place) {
    return static_cast<std::uint16_t>(number_at(header_, kFixedBytes2 + place));
  };
  if (family == kTcp4) {
    source_ = make_ipv4(at, port(8));
    destination_ = make_ipv4(at + 4, port(10));
  } else if (family == kTcp6) {
    source_ = make_ipv6(at, port(32));
    destination_ = make_ipv6(at + 16, port(34));
  }
  has_addresses_ = family != kUnixStream;  // a path on another machine says nothing here
  return read_extras(kFixedBytes2 + bytes);
}

// Type, length and value each. All are skipped but the checksum.
ProxyHeaderReader::State ProxyHeaderReader::read_extras(std::size_t begin) {
  const std::string_view whole = header_;
  bool has_checksum = false;
  while (begin < whole.size()) {
    if (whole.size() - begin < 3) return refuse("an extra is cut off");
    const std::size_t bytes = number_at(whole, begin + 1), value = begin + 3;
    if (whole.size() - value < bytes) return refuse("an extra is cut off");
    if (byte_at(whole, begin) == kTypeChecksum) {
      if (bytes != 4 || std::exchange(has_checksum, true)) return refuse("a checksum that is none");
      const auto said = static_cast<std::uint32_t>(number_at(whole, value) << 16 | number_at(whole, value + 2));
      if (crc32c(whole, value) != said) return refuse("the checksum is wrong");
    }
    begin = value + bytes;
  }
  return State::done;
}

// Writing ---------------------------------------------------------------------------------------------------------

std::string proxy_header(ProxyVersion version, const Address& source, const Address& destination) {
  const int family = source.is_empty() ? AF_UNSPEC : source.raw()->sa_family;
  const bool is_known =
      (family == AF_INET || family == AF_INET6) && !destination.is_empty() && destination.raw()->sa_family == family;
  if (version == ProxyVersion::v1) {
    if (!is_known) return "PROXY UNKNOWN\r\n";
    return std::string("PROXY ") + (family == AF_INET ? "TCP4 " : "TCP6 ") + source.ip() + ' ' + destination.ip() +
           ' ' + std::to_string(source.port()) + ' ' + std::to_string(destination.port()) + "\r\n";
  }
  std::string header(kSignature2);
  const std::size_t bytes = !is_known ? 0 : family == AF_INET ? kIpv4Bytes : kIpv6Bytes;
  header += static_cast<char>(kProxy);
  header += static_cast<char>(!is_known ? kUnspecified : family == AF_INET ? kTcp4 : kTcp6);
  header += '\0';
  header += static_cast<char>(bytes);
  if (!is_known) return header;
  for (const Address* one : {&source, &destination}) {
    const auto* raw = reinterpret_cast<const char*>(one->raw());
    if (family == AF_INET) {
      header.append(raw + offsetof(sockaddr_in, sin_addr), sizeof(in_addr));
    } else {
      header.append(raw + offsetof(sockaddr_in6, sin6_addr), sizeof(in6_addr));
    }
  }
  for (const Address* one : {&source, &destination}) {
    header += static_cast<char>(one->port() >> 8);
    header += static_cast<char>(one->port() & 0xFF);
  }
  return header;
}

}  // namespace lotse::net

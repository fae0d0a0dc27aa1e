// DNS messages as values, and their wire format. The only file of this room behind which the library (ldns) stands:
// whatever bytes come in, decode() answers, and never throws. Names are lower case without a final dot; bytes other
// than letters, digits, "-", "_" and "*" stand there as \ddd, so that a dot always parts labels. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lotse::dns {

inline constexpr std::size_t kQueryBytesMax = 4096;    // a query is one question and options: more is refused
inline constexpr std::size_t kPlainUdpBytes = 512;     // RFC 1035 section 4.2.1
inline constexpr std::size_t kEdnsUdpBytesMax = 1232;  // never fragmented on the way (DNS flag day 2020)
inline constexpr std::size_t kTcpBytesMax = 65535;

enum class Type : std::uint16_t { a = 1, ns = 2, soa = 6, aaaa = 28, srv = 33, ixfr = 251, axfr = 252, any = 255 };

enum class Rcode : std::uint8_t {
  no_error = 0,
  format_error = 1,
  server_failure = 2,
  no_such_name = 3,
  not_implemented = 4,
  refused = 5,
  bad_version = 16,  // of EDNS; travels in the OPT record
};

struct Query {
  std::uint16_t id = 0;
  std::uint8_t opcode = 0;
  bool recursion_desired = false, checking_disabled = false;
  std::string name;       // as above
  std::string wire_name;  // as it came: its case is part of some resolvers' defence (0x20), so it is sent back
  Type type = Type::a;
  std::uint16_t class_code = 1;
  bool has_edns = false, wants_dnssec = false;
  std::uint8_t edns_version = 0;
  std::size_t udp_bytes_max = kPlainUdpBytes;  // that the client takes, and we send
};

struct Soa {
  std::string primary, mailbox;
  std::uint32_t serial = 0, refresh = 60, retry = 60, expire = 600, minimum = 0;
};
struct Srv {
  std::uint16_t priority = 0, weight = 0, port = 0;
  std::string target;
};
struct HostAddress {
  std::string ip;  // "10.0.0.1", "fd00::1"
};
struct NameServer {
  std::string name;
};
struct Record {
  std::string owner;  // empty: the name that was asked for, as it was written
  std::uint32_t ttl = 0;
  std::variant<HostAddress, Srv, NameServer, Soa> data;
};

struct Response {
  Rcode rcode = Rcode::no_error;
  bool is_authoritative = false;
  std::vector<Record> answer, authority, additional;
};

// What came: nothing to be answered (shorter than a header, or itself an answer), a query that cannot be read and is
// answered with an error, or a query.
struct Decoded {
  bool is_dropped = false;
  Rcode rcode = Rcode::no_error;  // other than no_error: the query holds the header alone
  Query query;
};
Decoded decode(std::string_view bytes);

// At most `bytes_max`: what does not fit is left out, first the additional records, then all of them with TC set.
// `is_truncated`: TC and nothing else, whatever the response holds.
std::string encode(const Query& query, const Response& response, std::size_t bytes_max, bool is_truncated = false);

// For tests and for those who look: what a response says.
struct DecodedResponse {
  std::uint16_t id = 0;
  unsigned rcode = 0;
  bool is_authoritative = false, is_truncated = false, has_edns = false;
  std::vector<std::string> question, answer, authority, additional;  // as in a zone file, one record each
};
std::optional<DecodedResponse> decode_response(std::string_view bytes);

// A query in wire format: for tests, and for whoever asks.
std::string encode_query(const Query& query, std::uint16_t edns_udp_bytes = 0);

}  // namespace lotse::dns

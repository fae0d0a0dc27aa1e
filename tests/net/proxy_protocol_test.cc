#include "net/proxy_protocol.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace lotse::net {
namespace {

using State = ProxyHeaderReader::State;
constexpr std::size_t kBytesMax = 4096;
const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

struct Outcome {
  State state = State::wants_more;
  std::size_t taken = 0;  // of the bytes
  std::string source, destination;
  std::string reason;
  bool operator==(const Outcome&) const = default;
};

// As a connection would be read: never more than is wanted, at most `step` bytes at a time.
Outcome read(const std::string& bytes, std::size_t step = kBytesMax, std::size_t bytes_max = kBytesMax) {
  ProxyHeaderReader reader(bytes_max);
  Outcome outcome;
  while (outcome.state == State::wants_more && outcome.taken < bytes.size()) {
    EXPECT_GT(reader.wanted(), 0U);
    const std::size_t count = std::min({reader.wanted(), step, bytes.size() - outcome.taken});
    outcome.state = reader.feed({bytes.data() + outcome.taken, count});
    outcome.taken += count;
  }
  if (reader.has_addresses()) {
    outcome.source = reader.source().to_string();
    outcome.destination = reader.destination().to_string();
  }
  outcome.reason = reader.reason();
  return outcome;
}

// Whole, byte by byte and in odd pieces: the same, and never a byte of what follows.
Outcome read_all_ways(const std::string& header) {
  const Outcome whole = read(header + "GET / HTTP/1.1\r\n");
  for (std::size_t step : {1UL, 2UL, 3UL, 7UL, 13UL})
    EXPECT_EQ(read(header + "GET /", step).state, whole.state) << step;
  EXPECT_EQ(read(header + "GET /", 1).source, whole.source);
  EXPECT_EQ(read(header + "GET /", 5).destination, whole.destination);
  if (whole.state == State::done) {
    EXPECT_EQ(whole.taken, header.size());
    EXPECT_EQ(read(header + "GET /", 1).taken, header.size());
    for (std::size_t size = 0; size < header.size(); ++size)
      EXPECT_EQ(read(header.substr(0, size)).state, State::wants_more) << size;
  }
  return whole;
}

std::string version_2(unsigned char command, unsigned char family, const std::string& rest) {
  std::string header = kSignature;
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xFF);
  return header + rest;
}

const std::string kIpv4("\xC0\x00\x02\x01\xC6\x33\x64\x02\xDC\x04\x01\xBB", 12);  // 192.0.2.1:56324, 198.51.100.2:443

TEST(ProxyProtocol, ReadsVersion1) {
  Outcome told = read_all_ways("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n");
  EXPECT_EQ(told.state, State::done);
  EXPECT_EQ(told.source, "192.0.2.1:56324");
  EXPECT_EQ(told.destination, "198.51.100.2:443");
  told = read_all_ways("PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 65535\r\n");
  EXPECT_EQ(told.state, State::done);
  EXPECT_EQ(told.source, "[2001:db8::1]:1");
  EXPECT_EQ(told.destination, "[::ffff:1.2.3.4]:65535");
  EXPECT_EQ(read_all_ways("PROXY TCP4 1.1.1.1 1.1.1.1 0 0\r\n").source, "1.1.1.1:0");
  const std::string longest =
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  EXPECT_EQ(longest.size(), 104U);
  EXPECT_EQ(read_all_ways(longest).state, State::done);
}

TEST(ProxyProtocol, UnknownOfVersion1SaysNothing) {
  for (const char* header : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"}) {
    const Outcome told = read_all_ways(header);
    EXPECT_EQ(told.state, State::done) << header;
    EXPECT_EQ(told.source, "");
  }
  EXPECT_EQ(read_all_ways("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n").state, State::done);  // 107 bytes
  EXPECT_EQ(read_all_ways("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n").state, State::refused);
}

TEST(ProxyProtocol, RefusesEverythingElseOfVersion1) {
  for (const char* header : {
           "GET / HTTP/1.1\r\n",
           "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY  TCP4 1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\nxxxxxxxxxx",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\nxxxxxxxxxx",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rxxxxxxxxxx",
           "PROXY TCP4 1.1.1.1 1.1.1.1 01 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n",
           "PROXY TCP4 1.1.1.1 1.1.1.1 1 x\r\n",
           "PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP4 256.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP4 ::1 ::1 1 1\r\n",
           "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP6 [::1] ::1 1 1\r\n",
           "PROXY TCP6 ::1%lo ::1 1 1\r\n",
           "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n",
           "PROXY UNKNOWNX\r\nxxxxxxxxxxxxxxxxxx",
           "PROXY\r\nxxxxxxxxxxxxxxx",
       }) {
    EXPECT_EQ(read_all_ways(header).state, State::refused) << header;
  }
  EXPECT_EQ(read_all_ways("PROXY TCP4 " + std::string(100, '1') + " 1.1.1.1 1 1\r\n").state, State::refused);
}

TEST(ProxyProtocol, ReadsVersion2) {
  Outcome told = read_all_ways(version_2(0x21, 0x11, kIpv4));
  EXPECT_EQ(told.state, State::done);
  EXPECT_EQ(told.source, "192.0.2.1:56324");
  EXPECT_EQ(told.destination, "198.51.100.2:443");
  std::string ipv6(36, '\0');
  ipv6[15] = 1;
  ipv6[31] = 2;
  ipv6[33] = 80;
  ipv6[34] = 1;
  told = read_all_ways(version_2(0x21, 0x21, ipv6));
  EXPECT_EQ(told.state, State::done);
  EXPECT_EQ(told.source, "[::1]:80");
  EXPECT_EQ(told.destination, "[::2]:256");
}

TEST(ProxyProtocol, LocalUnspecifiedAndUnixOfVersion2SayNothing) {
  for (const std::string& header :
       {version_2(0x20, 0x00, ""), version_2(0x20, 0x11, kIpv4), version_2(0x20, 0xFF, "whatever stands here"),
        version_2(0x21, 0x00, ""), version_2(0x21, 0x00, "nobody knows"),
        version_2(0x21, 0x31, std::string(216, '/'))}) {
    const Outcome told = read_all_ways(header);
    EXPECT_EQ(told.state, State::done);
    EXPECT_EQ(told.source, "");
  }
}

TEST(ProxyProtocol, ExtrasOfVersion2AreSkipped) {
  const std::string alpn("\x01\x00\x02h2", 5), empty("\x04\x00\x00", 3), unknown("\xEE\x00\x01x", 4);
  EXPECT_EQ(read_all_ways(version_2(0x21, 0x11, kIpv4 + alpn + empty + unknown)).source, "192.0.2.1:56324");
  EXPECT_EQ(read_all_ways(version_2(0x21, 0x11, kIpv4 + alpn.substr(0, 4))).state, State::refused);
  EXPECT_EQ(read_all_ways(version_2(0x21, 0x11, kIpv4 + alpn + "\x01")).state, State::refused);
}

TEST(ProxyProtocol, AChecksumIsVerified) {
  const std::string without = version_2(0x21, 0x11, kIpv4 + std::string("\x03\x00\x04\x00\x00\x00\x00", 7));
  auto checksum = [&](const std::string& value) { return without.substr(0, without.size() - 4) + value; };
  EXPECT_EQ(read_all_ways(checksum(std::string("\x00\x00\x00\x00", 4))).state, State::refused);
  // CRC-32C bit by bit, as the definition has it, so that a table of ours is not compared with itself.
  std::uint32_t crc = 0xFFFFFFFFU;
  for (char c : without) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
  }
  crc = ~crc;
  std::string value;
  for (int shift : {24, 16, 8, 0}) value += static_cast<char>(crc >> shift & 0xFF);
  EXPECT_EQ(read_all_ways(checksum(value)).state, State::done);
  EXPECT_EQ(read_all_ways(checksum(value)).source, "192.0.2.1:56324");
  std::string damaged = checksum(value);
  damaged[17] ^= 1;
  EXPECT_EQ(read_all_ways(damaged).state, State::refused);
  const std::string twice = version_2(
      0x21, 0x11,
      kIpv4 + std::string("\x03\x00\x04\x00\x00\x00\x00", 7) + std::string("\x03\x00\x04\x00\x00\x00\x00", 7));
  EXPECT_EQ(read_all_ways(twice).state, State::refused);
}

TEST(ProxyProtocol, TheChecksumIsCastagnolis) {  // "123456789" -> E3069283, of every catalogue of checksums
  std::uint32_t crc = 0xFFFFFFFFU;
  for (char c : std::string("123456789")) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78U : crc >> 1;
  }
  EXPECT_EQ(~crc, 0xE3069283U);
}

TEST(ProxyProtocol, RefusesEverythingElseOfVersion2) {
  for (const std::string& header :
       {version_2(0x11, 0x11, kIpv4), version_2(0x22, 0x11, kIpv4), version_2(0x31, 0x11, kIpv4),
        version_2(0x21, 0x12, kIpv4), version_2(0x21, 0x10, kIpv4), version_2(0x21, 0x41, kIpv4),
        version_2(0x21, 0x22, std::string(36, 'x')), version_2(0x21, 0x32, std::string(216, 'x')),
        version_2(0x21, 0x11, kIpv4.substr(1)), version_2(0x21, 0x21, kIpv4), version_2(0x21, 0x31, kIpv4)}) {
    EXPECT_EQ(read_all_ways(header).state, State::refused);
  }
  std::string damaged = version_2(0x21, 0x11, kIpv4);
  damaged[11] = 'x';
  EXPECT_EQ(read_all_ways(damaged).state, State::refused);
}

TEST(ProxyProtocol, ALongHeaderIsRefusedBeforeItIsRead) {
  const std::string header = version_2(0x21, 0x11, kIpv4 + std::string("\xEE\x10\x00", 3) + std::string(4096, 'x'));
  const Outcome outcome = read(header);
  EXPECT_EQ(outcome.state, State::refused);
  EXPECT_EQ(outcome.taken, 16U);
  EXPECT_EQ(read(header, kBytesMax, 8192).state, State::done);
}

TEST(ProxyProtocol, WhatIsWrittenIsReadAsTheSame) {
  for (auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
    for (auto [source, destination] :
         {std::pair{"192.0.2.1:56324", "198.51.100.2:443"}, std::pair{"[2001:db8::1]:1", "[::1]:65535"}}) {
      const Outcome told = read_all_ways(proxy_header(version, *Address::parse(source), *Address::parse(destination)));
      EXPECT_EQ(told.state, State::done);
      EXPECT_EQ(told.source, source);
      EXPECT_EQ(told.destination, destination);
    }
    for (const Address& other : {Address(), *Address::parse("[::1]:1"), *Address::parse("unix:/x")}) {
      const Outcome told = read_all_ways(proxy_header(version, *Address::parse("1.2.3.4:5"), other));
      EXPECT_EQ(told.state, State::done);
      EXPECT_EQ(told.source, "");
    }
  }
  EXPECT_EQ(proxy_header(ProxyVersion::v2, *Address::parse("192.0.2.1:56324"), *Address::parse("198.51.100.2:443")),
            version_2(0x21, 0x11, kIpv4));
}

}  // namespace
}  // namespace lotse::net

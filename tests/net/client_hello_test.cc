#include "net/client_hello.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>

namespace lotse::net {
namespace {

using State = ClientHelloReader::State;
constexpr std::size_t kBytesMax = 16 * 1024;

std::string number(std::size_t value, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
  return text;
}
std::string vector(const std::string& body, int length_bytes) { return number(body.size(), length_bytes) + body; }
std::string extension(std::size_t type, const std::string& body) { return number(type, 2) + vector(body, 2); }
std::string sni(const std::string& name) { return extension(0, vector('\0' + vector(name, 2), 2)); }

// A whole message, its handshake header first.
std::string message(const std::string& extensions, const std::string& version = "\x03\x03") {
  const std::string body = version + std::string(32, 'r') + vector(std::string(32, 's'), 1) +
                           vector("\x13\x01\x13\x02", 2) + vector(std::string(1, '\0'), 1) + vector(extensions, 2);
  return '\x01' + vector(body, 3);
}
std::string records(const std::string& text, std::size_t bytes_each = 16'384) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += bytes_each)
    out += std::string("\x16\x03\x01", 3) + vector(text.substr(at, bytes_each), 2);
  return out;
}
std::string hello(const std::string& extensions) { return records(message(extensions)); }

struct Outcome {
  State state = State::wants_more;
  std::string name, reason;
  bool operator==(const Outcome&) const = default;
};

Outcome read(const std::string& bytes, std::size_t step, std::size_t bytes_max = kBytesMax) {
  ClientHelloReader reader(bytes_max);
  State state = State::wants_more;
  for (std::size_t at = 0; at < bytes.size() && state == State::wants_more; at += step)
    state = reader.feed({bytes.data() + at, std::min(step, bytes.size() - at)});
  return {state, reader.server_name(), reader.reason()};
}

// Whole and split at every byte: the same.
Outcome read_all_ways(const std::string& bytes) {
  const Outcome whole = read(bytes, bytes.size());
  EXPECT_EQ(read(bytes, 1), whole);
  for (std::size_t at = 1; at < bytes.size(); ++at) {
    ClientHelloReader reader(kBytesMax);
    State state = reader.feed({bytes.data(), at});
    if (state == State::wants_more) state = reader.feed({bytes.data() + at, bytes.size() - at});
    EXPECT_EQ((Outcome{state, reader.server_name(), reader.reason()}), whole) << at;
  }
  return whole;
}

std::string openssl_hello(const char* name, int min_version = TLS1_2_VERSION) {
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), min_version);
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), SSL_free);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  if (name != nullptr)
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name));
  SSL_connect(ssl.get());
  char* bytes = nullptr;
  const long count = BIO_ctrl(out, BIO_CTRL_INFO, 0, &bytes);
  return {bytes, static_cast<std::size_t>(count)};
}

TEST(ClientHello, ReadsTheNameThatOpenSslAsksFor) {
  EXPECT_EQ(read_all_ways(openssl_hello("shop.example.com")), (Outcome{State::done, "shop.example.com", ""}));
  EXPECT_EQ(read_all_ways(openssl_hello("Shop.Example.COM", TLS1_3_VERSION)).name, "shop.example.com");
  EXPECT_EQ(read_all_ways(openssl_hello(nullptr)), (Outcome{State::done, "", ""}));
}

TEST(ClientHello, IsReadHoweverManyRecordsBringIt) {
  const std::string text = message(sni("db.test") + extension(16, "whatever"));
  for (std::size_t bytes : {1UL, 2UL, 3UL, 4UL, 5UL, 17UL, 100UL}) {
    const std::string cut = records(text, bytes);
    EXPECT_EQ(read(cut, 1), (Outcome{State::done, "db.test", ""})) << bytes;
    EXPECT_EQ(read(cut, cut.size()), (Outcome{State::done, "db.test", ""})) << bytes;
  }
}

TEST(ClientHello, WhatFollowsInOtherRecordsIsNotLookedAt) {
  EXPECT_EQ(read_all_ways(hello(sni("a.test")) + "\x17\x03\x03 early data").state, State::done);
}

TEST(ClientHello, NamesAreHostNames) {
  EXPECT_EQ(read_all_ways(hello(sni("a_b-c.test."))).name, "a_b-c.test");
  EXPECT_EQ(read_all_ways(hello("")).state, State::done);
  for (const std::string& name : {std::string(""), std::string("."), std::string("a..b"), std::string(".a"),
                                  std::string("a b"), std::string("a\0b", 3), std::string("*.test"),
                                  std::string("[::1]"), std::string("\xC3\xA4.test"), std::string(256, 'a')}) {
    EXPECT_EQ(read_all_ways(hello(sni(name))).state, State::refused) << name;
  }
}

TEST(ClientHello, HasExtensionsOnceEachAndOneName) {
  EXPECT_EQ(read_all_ways(hello(sni("a.test") + sni("b.test"))).state, State::refused);
  EXPECT_EQ(read_all_ways(hello(extension(5, "") + extension(5, ""))).state, State::refused);
  const std::string one = '\0' + vector("a.test", 2);
  EXPECT_EQ(read_all_ways(hello(extension(0, vector(one + one, 2)))).state, State::refused);
  EXPECT_EQ(read_all_ways(hello(extension(0, vector("", 2)))).state, State::refused);
  EXPECT_EQ(read_all_ways(hello(extension(0, ""))).state, State::refused);
  EXPECT_EQ(read_all_ways(hello(extension(0, vector('\1' + vector("a.test", 2), 2)))).state, State::refused);
  EXPECT_EQ(read_all_ways(hello(extension(0, vector(one, 2) + "x"))).state, State::refused);
}

TEST(ClientHello, LengthsFitIntoEachOther) {
  const std::string good = message(sni("a.test"));
  for (std::size_t at : {1UL, 2UL, 3UL, 38UL, 71UL, 72UL, 77UL, 79UL, 80UL, 83UL, 84UL, 85UL, 86UL, 88UL, 89UL}) {
    for (int change : {-1, 1}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] + change);
      EXPECT_NE(read_all_ways(records(bad)).state, State::done) << at << " " << change;
    }
  }
}

TEST(ClientHello, OtherThingsThanClientHellosAreRefusedAtOnce) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n"), std::string("\x16\x02"), std::string("\x15\x03\x03\x00\x02\x02\x28", 7),
        std::string("\x80\x2e\x01\x03\x01"), std::string("\x16\x03\x01\x00\x00", 5),
        std::string("\x16\x03\x01\x40\x01", 5), std::string("\x16\x03\x01\x00\x04\x02", 6),
        records(message(sni("a.test"), "\x02\x00")), records(message(sni("a.test"), "\x03\x04")),
        records(message(sni("a.test")) + "x")}) {
    EXPECT_EQ(read_all_ways(bytes).state, State::refused) << bytes;
  }
  const std::string text = message(sni("a.test"));
  EXPECT_EQ(read_all_ways(records(text.substr(0, 20)) + std::string("\x14\x03\x01\x00\x01\x01", 6)).state,
            State::refused);
}

TEST(ClientHello, IsBounded) {
  const std::string large = hello(sni("a.test") + extension(21, std::string(3000, '\0')));
  EXPECT_EQ(read(large, large.size(), 4096).state, State::done);
  EXPECT_EQ(read(large, large.size(), 2048).state, State::refused);
  EXPECT_EQ(read(large.substr(0, 20), 1, 2048).state, State::refused);  // as soon as it says how long it is
  const std::string tiny = records(message(sni("a.test") + extension(21, std::string(3000, '\0'))), 1);
  EXPECT_EQ(read(tiny, 7, 4096).state, State::refused);  // headers of records count
  EXPECT_EQ(read_all_ways(large.substr(0, large.size() - 1)).state, State::wants_more);
}

}  // namespace
}  // namespace lotse::net

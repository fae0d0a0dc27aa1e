#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <string>

#include "net/tls.h"
#include "tests/net/tls_fixture.h"

namespace lotse::net {
namespace {

// What a client of OpenSSL's own sees that knows certain signatures only: the type of the server's key, and the names.
struct Seen {
  std::string key_type, common_name, cipher;
};

class TlsContextTest : public TlsTest {
 protected:
  Seen look(const std::string& name, const char* signatures, int version = TLS1_3_VERSION) {
    Address address = listener->address();
    auto seen = std::async(std::launch::async, [=] {
      Seen result;
      int fd = ::socket(AF_INET, SOCK_STREAM, 0);
      EXPECT_EQ(::connect(fd, address.raw(), sizeof(sockaddr_in)), 0);
      SSL_CTX* client = SSL_CTX_new(TLS_client_method());
      SSL_CTX_set_max_proto_version(client, version);
      SSL_CTX_set1_sigalgs_list(client, signatures);
      SSL* ssl = SSL_new(client);
      if (!name.empty()) {
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(name.c_str()));
      }
      SSL_set_fd(ssl, fd);
      if (SSL_connect(ssl) == 1) {
        X509* certificate = SSL_get0_peer_certificate(ssl);
        result.key_type = EVP_PKEY_get0_type_name(X509_get0_pubkey(certificate));
        char text[256];
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
        result.common_name = text;
        result.cipher = SSL_get_cipher(ssl);
      }
      SSL_free(ssl);
      SSL_CTX_free(client);
      ::close(fd);
      return result;
    });
    run_until([&] { return seen.wait_for(0s) == std::future_status::ready; });
    return seen.get();
  }
};

constexpr const char* kBoth = "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256";
constexpr const char* kRsaOnly = "RSA-PSS+SHA256:RSA+SHA256";

TEST_F(TlsContextTest, TheNamePicksTheCertificateExactThenWildcardThenDefault) {
  serve({.certificates = {issue({.names = {"default.test"}}, "a"), issue({.names = {"*.apps.test"}}, "b"),
                          issue({.names = {"Shop.apps.test", "other.test"}}, "c")}});
  EXPECT_EQ(look("default.test", kBoth).common_name, "default.test");
  EXPECT_EQ(look("x.apps.test", kBoth).common_name, "*.apps.test");
  EXPECT_EQ(look("X.APPS.test", kBoth).common_name, "*.apps.test");
  EXPECT_EQ(look("shop.apps.TEST", kBoth).common_name, "Shop.apps.test");
  EXPECT_EQ(look("other.test", kBoth).common_name, "Shop.apps.test");
  EXPECT_EQ(look("a.b.apps.test", kBoth).common_name, "default.test") << "a wildcard stands for one label";
  EXPECT_EQ(look("apps.test", kBoth).common_name, "default.test");
  EXPECT_EQ(look("unknown.test", kBoth).common_name, "default.test");
  EXPECT_EQ(look("", kBoth).common_name, "default.test");
}

TEST_F(TlsContextTest, EcdsaAndRsaStandSideBySide) {
  serve({.certificates = {issue({.names = {"shop.test"}, .is_rsa = true}, "rsa"),
                          issue({.names = {"shop.test", "ec.test"}}, "ec"),
                          issue({.names = {"other.test"}, .is_rsa = true}, "other")}});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    EXPECT_EQ(look("shop.test", kBoth, version).key_type, "EC");
    EXPECT_EQ(look("shop.test", kRsaOnly, version).key_type, "RSA");
    EXPECT_EQ(look("", kRsaOnly, version).key_type, "RSA") << "the default has its partner, too";
    EXPECT_EQ(look("", kBoth, version).key_type, "EC");
    EXPECT_EQ(look("other.test", kBoth, version).key_type, "RSA");
    EXPECT_EQ(look("ec.test", kRsaOnly, version).key_type, "") << "no certificate for this client";
  }
}

TEST_F(TlsContextTest, PoliciesAreMozillas) {
  auto certificate = issue({.names = {"shop.test"}}, "shop");
  serve({.certificates = {certificate}, .policy = TlsPolicy::modern});
  EXPECT_EQ(look("shop.test", kBoth, TLS1_2_VERSION).cipher, "");
  EXPECT_EQ(server().tls->failure(), "unsupported protocol");
  EXPECT_EQ(look("shop.test", kBoth).cipher, "TLS_AES_256_GCM_SHA384") << "the client's order counts";
  serve({.certificates = {certificate}, .min_version = TlsVersion::tls1_3});
  EXPECT_EQ(look("shop.test", kBoth, TLS1_2_VERSION).cipher, "");
  serve({.certificates = {certificate}});
  EXPECT_EQ(look("shop.test", kBoth, TLS1_2_VERSION).cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
  EXPECT_EQ(look("shop.test", kBoth, TLS1_1_VERSION).cipher, "");
}

TEST_F(TlsTest, ACertificateTellsItsNamesKeyAndEnd) {
  auto certificate = issue({.names = {"Shop.test", "*.shop.test"}, .days = 10}, "shop");
  EXPECT_EQ(certificate->names(), (std::vector<std::string>{"shop.test", "*.shop.test"}));
  EXPECT_EQ(certificate->key_type(), "EC");
  EXPECT_EQ(certificate->fingerprint().size(), 64u);
  auto left = certificate->not_after() - loop.clock().wall();
  EXPECT_LT(left, 241h);
  EXPECT_GT(left, 239h);
}

TEST_F(TlsTest, FilesThatCannotBeUsedAreNamed) {
  test::PemPair good = authority.issue({.names = {"shop.test"}}, "good");
  test::PemPair other = authority.issue({.names = {"shop.test"}}, "other");
  const std::string garbage = folder.path() + "/garbage.pem", broken = folder.path() + "/broken.pem";
  std::ofstream(garbage) << "not PEM at all";
  std::ofstream(broken) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  auto problem = [](const std::string& cert, const std::string& key) {
    auto loaded = TlsCertificate::load(cert, key);
    return loaded ? "" : loaded.error().text();
  };
  EXPECT_EQ(problem(good.cert, good.key), "");
  EXPECT_EQ(problem("/nowhere.pem", good.key), "/nowhere.pem: No such file or directory");
  EXPECT_EQ(problem(good.cert, "/nowhere.key"), "/nowhere.key: No such file or directory");
  EXPECT_EQ(problem(garbage, good.key), garbage + ": holds no certificate (PEM)");
  EXPECT_EQ(problem(broken, good.key).find(broken + ": holds a broken certificate: "), 0u) << problem(broken, good.key);
  EXPECT_EQ(problem(good.cert, garbage).find(garbage + ": holds no private key that can be read"), 0u);
  EXPECT_EQ(problem(good.cert, other.key), other.key + ": is not the key of the certificate in " + good.cert);
}

}  // namespace
}  // namespace lotse::net

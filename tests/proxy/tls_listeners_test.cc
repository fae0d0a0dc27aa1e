// Listeners with TLS through a whole proxy: files that change, sessions that resume, clients with certificates.
#include <openssl/ssl.h>

#include <filesystem>
#include <fstream>

#include "tests/certificates.h"
#include "tests/proxy/harness.h"
#include "tests/temporary_folder.h"

namespace lotse::proxy::test {
namespace {

using lotse::test::Authority;
using lotse::test::PemPair;
using SslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Session = std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)>;

struct Seen {  // of one connection
  bool is_connected = false, is_resumed = false;
  std::string certificate;  // the subject that the server showed
  Session session{nullptr, SSL_SESSION_free};
  std::string answer;
};

// A client that is OpenSSL's, not ours, and waits: the proxy's workers have threads of their own.
class Client {
 public:
  explicit Client(const std::string& ca_file, int version = 0) {
    SSL_CTX_load_verify_file(context_.get(), ca_file.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT);
    if (version != 0) SSL_CTX_set_max_proto_version(context_.get(), version);
  }
  void show(const PemPair& pair) {
    SSL_CTX_use_certificate_file(context_.get(), pair.cert.c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context_.get(), pair.key.c_str(), SSL_FILETYPE_PEM);
  }
  // One connection, one request, read to its end.
  Seen ask(const net::Address& address, const std::string& request, SSL_SESSION* session = nullptr) {
    Seen seen;
    int fd = socket(address.raw()->sa_family, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(fd, address.raw(), address.length()), 0);
    std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), SSL_free);
    char name[] = "shop.test";  // SSL_set_tlsext_host_name() is a macro with a C cast
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name);
    SSL_set_fd(ssl.get(), fd);
    if (session != nullptr) SSL_set_session(ssl.get(), session);
    if (SSL_connect(ssl.get()) == 1 && SSL_write(ssl.get(), request.data(), static_cast<int>(request.size())) > 0) {
      seen.is_connected = true;
      char buffer[4096];
      for (int count = 0; (count = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;)
        seen.answer.append(buffer, static_cast<std::size_t>(count));
      seen.is_resumed = SSL_session_reused(ssl.get()) == 1;
      seen.session.reset(SSL_get1_session(ssl.get()));
      if (X509* shown = SSL_get0_peer_certificate(ssl.get())) {
        char subject[256] = "";
        X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, subject, sizeof subject);
        seen.certificate = subject;
      }
    }
    SSL_shutdown(ssl.get());  // OpenSSL resumes no session whose connection was cut off
    close(fd);
    return seen;
  }

 private:
  SslContext context_{SSL_CTX_new(TLS_client_method()), SSL_CTX_free};
};

const std::string kNobody = "GET /nobody HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n";

class TlsListenersTest : public ::testing::Test {
 protected:
  TlsListenersTest() { harness.config.listeners[0].tls = ListenerTlsConfig{.certificates = {issue("first.test")}}; }

  CertificateConfig issue(const std::string& subject) {
    PemPair pair = authority.issue({.names = {subject, "shop.test"}}, "server");
    return {pair.cert, pair.key};
  }
  static void overwrite(const std::string& file, const std::string& text) { std::ofstream(file) << text; }
  std::string shown() { return Client(authority.file()).ask(harness.address(), kNobody).certificate; }
  // A request that an endpoint answers: our loop has to run meanwhile.
  std::string seen_by_endpoint(Client& client, const std::string& extra = "") {
    if (!backend) {
      backend = std::make_unique<Backend>(harness.loop, "b");
      harness.apply({Harness::endpoint("/app", *backend)});
    }
    backend->last_request.clear();
    bool is_done = false;
    Seen seen;
    std::thread asking([&] {
      seen = client.ask(harness.address(),
                        "GET /app HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n" + extra + "\r\n");
      harness.loop.post([&] { is_done = true; });
    });
    EXPECT_TRUE(harness.run_until([&] { return is_done; }));
    asking.join();
    return backend->last_request;
  }

  TemporaryFolder folder;
  Authority authority{folder.path()};
  Harness harness;
  std::unique_ptr<Backend> backend;
};

TEST_F(TlsListenersTest, ANewCertificateIsUsedWithoutAReload) {
  harness.start();
  EXPECT_EQ(shown(), "first.test");
  issue("second.test");
  EXPECT_TRUE(harness.run_until([&] { return harness.metric("lotse_tls_reloads_total") > 0; }));
  EXPECT_TRUE(harness.run_until([&] { return shown() == "second.test"; }));
  EXPECT_EQ(harness.metric("lotse_tls_reload_failures_total"), 0U);
}

TEST_F(TlsListenersTest, ABrokenPairLeavesTheOldOneInUseAndIsTold) {
  harness.start();
  const CertificateConfig& files = harness.config.listeners[0].tls->certificates[0];
  overwrite(files.cert, "-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n");
  EXPECT_TRUE(harness.run_until([&] { return harness.metric("lotse_tls_reload_failures_total") > 0; }));
  EXPECT_EQ(harness.metric("lotse_tls_files_good{listener=\"web\"}"), 0U);
  EXPECT_EQ(shown(), "first.test");
  issue("third.test");
  EXPECT_TRUE(harness.run_until([&] { return harness.metric("lotse_tls_files_good{listener=\"web\"}") == 1; }));
  EXPECT_TRUE(harness.run_until([&] { return shown() == "third.test"; }));
}

TEST_F(TlsListenersTest, AConfigurationWhoseCertificateCannotBeUsedIsRefusedWhole) {
  harness.start();
  harness.config.listeners[0].tls->certificates[0].key = folder.path() + "/nowhere.key";
  auto applied = harness.reload();
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().text().find("nowhere.key"), std::string::npos) << applied.error().text();
  EXPECT_EQ(shown(), "first.test");
}

TEST_F(TlsListenersTest, TellsWhenACertificateEnds) {
  harness.start();
  std::string text;
  harness.proxy->write_metrics(text);
  const std::size_t at = text.find("lotse_tls_certificate_not_after_seconds{listener=\"web\"");
  ASSERT_NE(at, std::string::npos);
  const long long end = std::stoll(text.substr(text.find("} ", at) + 2));
  EXPECT_NEAR(static_cast<double>(end), static_cast<double>(time(nullptr)) + 30 * 86400.0, 60);
}

// Two workers, each with a listening socket of its own: a ticket of one is good with the other, after a reload too.
TEST_F(TlsListenersTest, SessionsResumeWithAnyWorkerAndAfterAReload) {
  harness.start();
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Client client(authority.file(), version);
    Session session = std::move(client.ask(harness.address(), kNobody).session);
    for (int i = 0; i < 16; ++i) {
      Seen again = client.ask(harness.address(), kNobody, session.get());
      EXPECT_TRUE(again.is_resumed) << version << " " << i;
      session = std::move(again.session);
    }
    ASSERT_TRUE(harness.reload());
    ASSERT_TRUE(harness.run_until([&] { return harness.proxy->is_ready(); }));
    EXPECT_TRUE(client.ask(harness.address(), kNobody, session.get()).is_resumed) << version;
  }
  EXPECT_GE(harness.metric("lotse_tls_resumptions_total"), 34U);
}

TEST_F(TlsListenersTest, WhoeverHasToShowACertificateGetsNothingWithoutAGoodOne) {
  harness.config.listeners[0].tls->client_ca = authority.file();
  harness.start();
  EXPECT_EQ(Client(authority.file()).ask(harness.address(), kNobody).answer, "");
  Authority other(folder.path(), "Other Authority");
  Client stranger(authority.file());
  stranger.show(other.issue({.names = {"mallory"}}, "mallory"));
  EXPECT_EQ(stranger.ask(harness.address(), kNobody).answer, "");
  Client friendly(authority.file());
  friendly.show(authority.issue({.names = {"alice"}}, "alice"));
  EXPECT_NE(friendly.ask(harness.address(), kNobody).answer.find(" 404 "), std::string::npos);
}

TEST_F(TlsListenersTest, EndpointsAreToldWhatAClientShowedAndNothingThatItMadeUp) {
  harness.config.listeners[0].tls->client_ca = authority.file();
  harness.config.listeners[0].tls->client_certificate = ClientCertificate::optional;
  harness.config.http.keep_underscore_fields = true;
  harness.start();
  const std::string forged =
      "X-Forwarded-Client-Cert: Hash=00;Subject=\"CN=root\"\r\nx-forwarded-CLIENT-cert: Hash=01\r\n"
      "X_Forwarded_Client_Cert: Hash=02\r\nConnection: X-Forwarded-Client-Cert\r\n";
  Client nobody(authority.file());
  EXPECT_EQ(seen_by_endpoint(nobody, forged).find("Hash="), std::string::npos) << backend->last_request;
  Client alice(authority.file());
  PemPair pair = authority.issue({.names = {"al\"ice"}}, "alice");
  alice.show(pair);
  const std::string request = seen_by_endpoint(alice, forged);
  auto loaded = net::TlsCertificate::load(pair.cert, pair.key);
  ASSERT_TRUE(loaded);
  const std::string line = "X-Forwarded-Client-Cert: Hash=" + (*loaded)->fingerprint() + ";Subject=\"";
  EXPECT_NE(request.find(line), std::string::npos) << request;
  EXPECT_NE(request.find("CN=al\\\\\\\"ice\"\r\n"), std::string::npos) << request;
  EXPECT_EQ(request.find("Hash=0"), std::string::npos) << request;
}

// A resumed session is good only where the same certificates are asked for.
TEST_F(TlsListenersTest, ASessionWithoutACertificateOpensNoListenerThatAsksForOne) {
  harness.config.listeners.push_back(harness.config.listeners[0]);
  harness.config.listeners[1].name = "inner";
  harness.config.listeners[1].address = "127.0.0.1:0#2";
  harness.config.listeners[1].tls->client_ca = authority.file();
  harness.start();
  Client client(authority.file());
  Seen outside = client.ask(harness.address(0), kNobody);
  ASSERT_TRUE(outside.session);
  EXPECT_EQ(client.ask(harness.address(1), kNobody, outside.session.get()).answer, "");
}

}  // namespace
}  // namespace lotse::proxy::test

// A listener with TLS and clients of it, both ours, on one loop.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "net/tls.h"
#include "tests/certificates.h"
#include "tests/net/net_fixture.h"
#include "tests/temporary_folder.h"

namespace lotse::net {

class TlsTest : public NetTest {
 protected:
  struct Side {
    Peer peer;
    TlsStream* tls = nullptr;
  };

  std::shared_ptr<const TlsCertificate> issue(const test::Wanted& wanted, const std::string& file) {
    test::PemPair pair = authority.issue(wanted, file);
    auto loaded = TlsCertificate::load(pair.cert, pair.key);
    EXPECT_TRUE(loaded) << loaded.error().text();
    return *loaded;
  }

  void serve(const TlsServerOptions& options) {
    auto made = TlsServerContext::make(options);
    ASSERT_TRUE(made) << made.error().text();
    context = *made;
    if (listener) return;
    listener = listen("127.0.0.1:0", [this](std::unique_ptr<Stream> accepted) {
      auto side = std::make_unique<Side>();
      auto tls = tls_accept(loop, std::move(accepted), context, side->peer);
      side->tls = tls.get();
      side->peer.stream = std::move(tls);
      side->peer.stream->start_reading();
      servers.push_back(std::move(side));
    });
  }
  void serve(std::vector<std::string> names = {"shop.test"}) {
    serve(TlsServerOptions{.certificates = {issue({.names = names}, "shop")}, .protocols = {"h2", "http/1.1"}});
  }

  std::unique_ptr<Side> connect_tls(const std::string& name, TlsClientOptions options = {}) {
    if (options.ca_file.empty()) options.ca_file = authority.file();
    auto made = TlsClientContext::make(options);
    EXPECT_TRUE(made) << made.error().text();
    auto side = std::make_unique<Side>();
    auto tls = tls_connect(loop, listener->address(), *made, name, side->peer);
    side->tls = tls.get();
    side->peer.stream = std::move(tls);
    side->peer.stream->start_reading();
    return side;
  }
  // Both sides have heard how the handshake went.
  std::unique_ptr<Side> shake_hands(const std::string& name, TlsClientOptions options = {}) {
    std::size_t before = servers.size();
    auto client = connect_tls(name, std::move(options));
    run_until([&] {
      return !client->peer.events.empty() && servers.size() > before && !servers.back()->peer.events.empty();
    });
    return client;
  }
  Side& server() { return *servers.back(); }

  TemporaryFolder folder;
  test::Authority authority{folder.path()};
  std::shared_ptr<const TlsServerContext> context;
  std::vector<std::unique_ptr<Side>> servers;
  std::unique_ptr<Listener> listener;
};

}  // namespace lotse::net

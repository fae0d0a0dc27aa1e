#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/net/tls_fixture.h"

namespace lotse::net {
namespace {

using Events = std::vector<std::string>;

TEST_F(TlsTest, CarriesBytesBothWaysInBothVersions) {
  serve();
  for (TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
    auto client = shake_hands("shop.test", {.max_version = version});
    ASSERT_EQ(client->peer.events, Events{"connected"}) << client->tls->failure();
    ASSERT_EQ(server().peer.events, Events{"connected"}) << server().tls->failure();
    EXPECT_EQ(server().tls->version(), version);
    EXPECT_EQ(server().tls->server_name(), "shop.test");
    EXPECT_FALSE(server().tls->is_resumed());

    client->peer.stream->write("ping");
    run_until([&] { return server().peer.received == "ping"; });
    server().peer.stream->write("pong");
    run_until([&] { return client->peer.received == "pong"; });
  }
}

TEST_F(TlsTest, ManyPiecesAndManyRecordsArriveInOrder) {
  serve();
  auto client = shake_hands("shop.test");
  std::string expected;
  std::vector<std::string> parts;
  for (std::size_t size : {1, 0, 100, 16383, 16384, 16385, 3, 200'000, 7, 40'000}) {
    parts.emplace_back(size, static_cast<char>('a' + parts.size()));
    expected += parts.back();
  }
  std::vector<std::string_view> pieces(parts.begin(), parts.end());
  client->peer.stream->write(pieces);
  run_until([&] { return server().peer.received.size() >= expected.size(); });
  EXPECT_EQ(server().peer.received, expected);
  server().peer.stream->write(expected);
  run_until([&] { return client->peer.received.size() >= expected.size(); });
  EXPECT_EQ(client->peer.received, expected);
}

TEST_F(TlsTest, WhatIsWrittenBeforeTheHandshakeGoesWithIt) {
  serve();
  auto client = connect_tls("shop.test");
  client->peer.stream->write("early");
  EXPECT_EQ(client->peer.stream->queued_bytes(), 5u);
  client->peer.stream->shutdown();
  run_until([&] { return !servers.empty() && server().peer.events.size() == 3; });
  EXPECT_EQ(server().peer.received, "early");
  EXPECT_EQ(server().peer.events, (Events{"connected", "bytes", "end"}));
}

TEST_F(TlsTest, AgreesOnAProtocol) {
  serve();
  auto client = shake_hands("shop.test", {.protocols = {"http/1.1", "h2"}});
  EXPECT_EQ(server().tls->protocol(), "h2") << "the server's order counts";
  EXPECT_EQ(client->tls->protocol(), "h2");
  EXPECT_EQ((shake_hands("shop.test", {.protocols = {"http/1.1"}}), server().tls->protocol()), "http/1.1");
  EXPECT_EQ((shake_hands("shop.test"), server().tls->protocol()), "");
  auto stranger = shake_hands("shop.test", {.protocols = {"spdy/3"}});
  EXPECT_EQ(stranger->peer.errors.size(), 1u);
  EXPECT_EQ(server().tls->failure(), "no application protocol");
}

TEST_F(TlsTest, ACloseIsAnEndAndACutIsAnError) {
  serve();
  auto polite = shake_hands("shop.test");
  polite->peer.stream->write("whole");
  polite->peer.stream->shutdown();
  run_until([&] { return server().peer.events.size() > 2; });
  EXPECT_EQ(server().peer.events, (Events{"connected", "bytes", "end"}));
  server().peer.stream->write("still there");  // TLS 1.3 closes one direction at a time
  run_until([&] { return !polite->peer.received.empty(); });
  EXPECT_EQ(polite->peer.received, "still there");

  auto destroyed = shake_hands("shop.test");
  destroyed->peer.stream.reset();
  run_until([&] { return server().peer.events.size() > 1; });
  EXPECT_EQ(server().peer.events, (Events{"connected", "end"})) << "closing a stream says goodbye";

  auto cut = shake_hands("shop.test");
  cut->peer.stream->reset();
  run_until([&] { return server().peer.events.size() > 1; });
  ASSERT_EQ(server().peer.errors.size(), 1u);
}

TEST_F(TlsTest, AFinWithoutCloseNotifyIsACut) {
  serve();
  // A client that is cut off by somebody on the way: its socket ends, its TLS does not.
  Peer relay_in, relay_out;
  auto relay = listen("127.0.0.1:0", [&](std::unique_ptr<Stream> accepted) {
    relay_in.adopt(std::move(accepted));
    relay_out.stream = connect(loop, listener->address(), relay_out);
    relay_in.on_bytes_hook = [&] { relay_out.stream->write(std::exchange(relay_in.received, {})); };
    relay_out.on_bytes_hook = [&] { relay_in.stream->write(std::exchange(relay_out.received, {})); };
    relay_in.stream->start_reading();
    relay_out.stream->start_reading();
  });
  auto made = TlsClientContext::make({.ca_file = authority.file()});
  Peer client;
  client.stream = tls_connect(loop, relay->address(), *made, "shop.test", client);
  client.stream->start_reading();
  run_until([&] { return !servers.empty() && !server().peer.events.empty() && !client.events.empty(); });
  relay_out.stream->shutdown();
  relay_in.stream->shutdown();
  run_until([&] { return !server().peer.errors.empty() && !client.errors.empty(); });
  EXPECT_EQ(server().peer.errors[0].code, Errc::end_of_stream);
  EXPECT_EQ(client.errors[0].code, Errc::end_of_stream);
}

TEST_F(TlsTest, TheListenerOfTheHandshakeMayHandTheStreamOn) {
  serve();
  Peer http;
  auto client = connect_tls("shop.test");
  client->peer.on_connected_hook = [&] { client->peer.stream->write("GET /"); };  // with the client's Finished
  run_until([&] { return !servers.empty(); });
  server().peer.on_connected_hook = [&] {
    http.stream = std::move(server().peer.stream);
    http.stream->set_listener(&http);
    http.stream->start_reading();
  };
  run_until([&] { return http.received == "GET /"; });
  EXPECT_EQ(server().peer.events, Events{"connected"});
}

TEST_F(TlsTest, AListenerThatDoesNotReadGetsNothingUntilItDoes) {
  serve();
  auto client = shake_hands("shop.test");
  server().peer.stream->stop_reading();
  client->peer.stream->write(std::string(300'000, 'x'));
  for (int i = 0; i < 20; ++i) loop.run_once_ready();
  EXPECT_EQ(server().peer.received.size(), 0u);
  server().peer.stream->start_reading();
  run_until([&] { return server().peer.received.size() == 300'000; });
}

TEST_F(TlsTest, TheStreamMayBeDestroyedInAnyCallback) {
  serve();
  for (int which = 0; which < 3; ++which) {
    auto client = connect_tls("shop.test");
    auto go = [&] { client->peer.stream.reset(); };
    if (which == 0) client->peer.on_connected_hook = go;
    if (which == 1) client->peer.on_bytes_hook = go;
    if (which == 2) client->peer.on_end_hook = go;
    run_until([&] { return servers.size() > std::size_t(which) && !server().peer.events.empty(); });
    if (server().peer.stream) {
      server().peer.stream->write("bytes");
      server().peer.stream->shutdown();
    }
    run_until([&] { return client->peer.stream == nullptr; });
  }
}

TEST_F(TlsTest, WhatIsNoHandshakeFailsWithAReason) {
  serve();
  Peer plain;
  plain.stream = connect(loop, listener->address(), plain);
  plain.stream->start_reading();
  plain.stream->write("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
  run_until([&] { return !servers.empty() && !server().peer.errors.empty(); });
  EXPECT_EQ(server().peer.errors[0].code, Errc::protocol);
  EXPECT_EQ(server().tls->failure(), "http request");
}

TEST_F(TlsTest, AClientBelievesTheNameAndTheAuthorityOnly) {
  serve({"shop.test", "*.apps.test"});
  EXPECT_TRUE(shake_hands("shop.test")->peer.errors.empty());
  EXPECT_TRUE(shake_hands("a.apps.test")->peer.errors.empty());
  EXPECT_TRUE(shake_hands("127.0.0.1")->peer.errors.empty());
  for (const char* name : {"other.test", "a.b.apps.test", "apps.test", "127.0.0.2"}) {
    auto client = shake_hands(name);
    ASSERT_EQ(client->peer.errors.size(), 1u) << name;
    EXPECT_NE(client->tls->failure().find("mismatch"), std::string::npos) << client->tls->failure();
  }
  test::Authority stranger(folder.path(), "Stranger");
  auto client = shake_hands("shop.test", {.ca_file = stranger.file()});
  ASSERT_EQ(client->peer.errors.size(), 1u);
  EXPECT_EQ(client->tls->failure(), "unable to get local issuer certificate");
  EXPECT_TRUE(shake_hands("whatever.test", {.verifies = false})->peer.errors.empty());
  EXPECT_EQ(connect_tls("")->peer.events.size(), 0u);
  auto nameless = connect_tls("");
  run_until([&] { return !nameless->peer.errors.empty(); });
}

TEST_F(TlsTest, HandshakesBeyondATurnsTimeWaitTheirTurn) {
  serve();
  auto made = TlsClientContext::make({.ca_file = authority.file()});
  std::vector<std::unique_ptr<Peer>> clients;
  for (int i = 0; i < 50; ++i) {
    auto peer = std::make_unique<Peer>();
    peer->stream = tls_connect(loop, listener->address(), *made, "shop.test", *peer);
    peer->stream->start_reading();
    if (i % 5 == 4) clients.front().reset(), clients.erase(clients.begin());  // while it may be waiting
    clients.push_back(std::move(peer));
  }
  run_until([&] {
    return std::all_of(clients.begin(), clients.end(), [](const auto& one) { return !one->events.empty(); });
  });
  for (const auto& one : clients) EXPECT_EQ(one->events.front(), "connected");
}

}  // namespace
}  // namespace lotse::net

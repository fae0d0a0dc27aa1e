#include "http/client.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <optional>

#include "base/async.h"
#include "http/client_async.h"
#include "http/server.h"
#include "tests/http/peers.h"

namespace lotse::http {
namespace {

using std::chrono::milliseconds;

class ClientTest : public testing::Test {
 protected:
  Endpoint endpoint_of(const net::Address& address) { return {.host = address.ip(), .port = address.port()}; }
  ClientRequest get(std::string target = "/") {
    return {.endpoint = endpoint_of(raw_.address()), .target = std::move(target)};
  }

  Result<ClientResponse> fetch_one(ClientRequest request) {
    std::optional<Result<ClientResponse>> answer;
    const auto call =
        client_->send(std::move(request), [&](Result<ClientResponse> got) { answer.emplace(std::move(got)); });
    EXPECT_FALSE(answer) << "never from inside send()";
    run_until(loop_, [&] { return answer.has_value(); });
    if (!answer) return fail(Error{});
    return std::move(*answer);
  }
  Errc error_of(ClientRequest request) {
    auto answer = fetch_one(std::move(request));
    return answer ? Errc::internal : answer.error().code;
  }
  void turn(int times = 50) {
    for (int i = 0; i < times; ++i) loop_.run_once_ready();
  }

  net::Loop loop_;
  RawServer raw_{loop_};
  std::unique_ptr<Client> client_ = std::make_unique<Client>(loop_);
};

constexpr const char* kHi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi";

TEST_F(ClientTest, SendsARequestAndGathersTheAnswer) {
  raw_.script({kHi});
  auto request = get("/x?y");
  request.fields = {{"Accept", "text/plain"}};
  const auto answer = fetch_one(std::move(request));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "hi");
  EXPECT_EQ(*find_field(answer->fields, "x-a"), "b");
  EXPECT_EQ(raw_.requests[0], "GET /x?y HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(raw_.address().port()) +
                                  "\r\nAccept: text/plain\r\nUser-Agent: lotse\r\n\r\n");
}

TEST_F(ClientTest, SendsABody) {
  raw_.on_heard = [](RawPeer& peer) {
    if (peer.heard.ends_with("\r\n\r\nbody!")) peer.say(kHi);
  };
  auto request = get();
  request.method = "POST";
  request.body = "body!";
  ASSERT_TRUE(fetch_one(std::move(request)));
  EXPECT_NE(raw_.peers[0]->heard.find("Content-Length: 5\r\n"), std::string::npos);
}

TEST_F(ClientTest, TakesAnswersOfEveryForm) {
  raw_.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
               "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
               "HTTP/1.1 204 No Content\r\n\r\n"});
  EXPECT_EQ(fetch_one(get())->body, "abcd");
  EXPECT_EQ(fetch_one(get())->status, 404);
  EXPECT_EQ(fetch_one(get())->status, 204);
  EXPECT_EQ(raw_.peers.size(), 1u);
  auto head = get();
  head.method = "HEAD";
  raw_.script({"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"});
  EXPECT_EQ(fetch_one(head)->body, "");
}

TEST_F(ClientTest, TakesAnAnswerThatEndsWithTheConnection) {
  raw_.on_heard = [](RawPeer& peer) {
    peer.say("HTTP/1.0 200 OK\r\n\r\nall of it");
    peer.finish();
  };
  EXPECT_EQ(fetch_one(get())->body, "all of it");
}

TEST_F(ClientTest, TakesAnAnswerInAnyPieces) {
  const std::string_view answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: x\r\n\r\n";
  for (std::size_t cut = 1; cut < answer.size(); ++cut) {
    raw_.on_heard = [&](RawPeer& peer) {
      peer.say(answer.substr(0, cut));
      loop_.defer([&] { peer.say(answer.substr(cut)); });
    };
    EXPECT_EQ(fetch_one(get())->body, "abc") << cut;
  }
  EXPECT_EQ(raw_.peers.size(), 1u);
}

TEST_F(ClientTest, RefusesBrokenAndTruncatedAnswers) {
  const auto answer_of = [&](std::string text) {
    raw_.on_heard = [text = std::move(text)](RawPeer& peer) {
      peer.say(text);
      peer.finish();
    };
    return error_of(get());
  };
  EXPECT_EQ(answer_of("junk\r\n\r\n"), Errc::protocol);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), Errc::protocol);
  EXPECT_EQ(answer_of("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), Errc::protocol);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), Errc::end_of_stream);
  EXPECT_EQ(answer_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"), Errc::end_of_stream);
  EXPECT_EQ(answer_of("HTTP/1.1 200"), Errc::end_of_stream);
  EXPECT_EQ(answer_of(""), Errc::end_of_stream);
}

TEST_F(ClientTest, BoundsTheAnswer) {
  raw_.script({kHi, kHi});
  auto request = get();
  request.body_bytes_max = 2;
  EXPECT_TRUE(fetch_one(request));
  request.body_bytes_max = 1;
  EXPECT_EQ(error_of(request), Errc::too_large);
}

TEST_F(ClientTest, FailsWhenNobodyListens) {
  const Endpoint endpoint = endpoint_of(raw_.address());
  raw_.stop_listening();
  EXPECT_EQ(error_of({.endpoint = endpoint}), Errc::refused);
  EXPECT_EQ(error_of({.endpoint = {.unix_path = "/nowhere/socket"}}), Errc::refused);
}

TEST_F(ClientTest, TriesEveryAddressOfAName) {
  raw_.script({kHi});  // listens on 127.0.0.1 only; localhost may be ::1 as well
  auto request = get();
  request.endpoint.host = "localhost";
  EXPECT_EQ(fetch_one(request)->body, "hi");
  request.endpoint.host = "no-such-host.invalid";
  EXPECT_EQ(error_of(request), Errc::resolve_failed);
}

TEST_F(ClientTest, TimesOut) {
  auto request = get();
  request.timeout = milliseconds(20);
  EXPECT_EQ(error_of(request), Errc::timed_out);
  run_until(loop_, [&] { return raw_.peers[0]->ended; });  // and closes
}

TEST_F(ClientTest, RefusesRequestsThatWouldBreakTheHead) {
  auto request = get("/a b");
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request = get("/\r\nX: y");
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request = get();
  request.fields = {{"X", "a\r\nY: b"}};
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request.fields = {{"X Y", "a"}};
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request.fields = {{"Transfer-Encoding", "chunked"}};
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request.fields = {{"Content-Length", "7"}};
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
  request.fields = {};
  request.method = "G T";
  EXPECT_EQ(error_of(request), Errc::invalid_argument);
}

TEST_F(ClientTest, SpeaksOverAUnixSocket) {
  std::string folder = "/tmp/lotse_http_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/s";
  Router router;
  router.add("GET", "/",
             [](ServerRequest& request, Responder responder) { responder.respond({.body = *request.field("host")}); });
  Server server(loop_, router, {});
  ASSERT_TRUE(server.listen(*net::Address::parse("unix:" + path)));
  EXPECT_EQ(fetch_one({.endpoint = {.unix_path = path}})->body, "localhost");
  unlink(path.c_str());
  rmdir(folder.c_str());
}

// Reuse -----------------------------------------------------------------------------------------------------------

TEST_F(ClientTest, ReusesAConnectionThatIsKeptAlive) {
  raw_.script({kHi, kHi, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", kHi});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(fetch_one(get()));
  EXPECT_EQ(raw_.peers.size(), 2u);
}

TEST_F(ClientTest, DropsAnIdleConnectionThatEndsOrSpeaksUnasked) {
  raw_.script({kHi, kHi, kHi});
  ASSERT_TRUE(fetch_one(get()));
  raw_.peers[0]->finish();
  run_until(loop_, [&] { return raw_.peers[0]->ended; });
  ASSERT_TRUE(fetch_one(get()));
  EXPECT_EQ(raw_.peers.size(), 2u);
  raw_.peers[1]->say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  run_until(loop_, [&] { return raw_.peers[1]->ended; });
  EXPECT_EQ(fetch_one(get())->body, "hi");
  EXPECT_EQ(raw_.peers.size(), 3u);
}

TEST_F(ClientTest, DoesNotReuseAConnectionWithBytesAfterTheAnswer) {
  raw_.script({std::string(kHi) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", kHi});
  EXPECT_EQ(fetch_one(get())->body, "hi");
  EXPECT_EQ(fetch_one(get())->body, "hi");
  EXPECT_EQ(raw_.peers.size(), 2u);
}

TEST_F(ClientTest, ReplaysAnIdempotentRequestOnceWhenAReusedConnectionDied) {
  int requests = 0;
  raw_.on_heard = [&](RawPeer& peer) {
    peer.heard.clear();
    if (++requests == 2) return peer.reset();  // the second one, on the reused connection
    peer.say(kHi);
  };
  ASSERT_TRUE(fetch_one(get()));
  EXPECT_EQ(fetch_one(get())->body, "hi");
  EXPECT_EQ(requests, 3);
  EXPECT_EQ(raw_.peers.size(), 2u);
}

TEST_F(ClientTest, ReplaysNeitherAPostNorOnAFreshConnection) {
  int requests = 0;
  raw_.on_heard = [&](RawPeer& peer) {
    peer.heard.clear();
    if (++requests != 1) return peer.close();
    peer.say(kHi);
  };
  ASSERT_TRUE(fetch_one(get()));
  auto post = get();
  post.method = "POST";
  EXPECT_EQ(error_of(post), Errc::end_of_stream);
  EXPECT_EQ(requests, 2);
  EXPECT_EQ(error_of(get()), Errc::end_of_stream);  // fresh: no second try
  EXPECT_EQ(requests, 3);
}

TEST_F(ClientTest, DoesNotReplayOnceTheAnswerHasBegun) {
  int requests = 0;
  raw_.on_heard = [&](RawPeer& peer) {
    peer.heard.clear();
    peer.say(++requests == 1 ? kHi : "H");
    if (requests > 1) peer.finish();
  };
  ASSERT_TRUE(fetch_one(get()));
  EXPECT_EQ(error_of(get()), Errc::end_of_stream);
  EXPECT_EQ(requests, 2);
}

TEST_F(ClientTest, KeepsNoMoreIdleConnectionsThanItsBoundAndNoLongerThanItsTime) {
  client_ =
      std::make_unique<Client>(loop_, Client::Options{.idle_connections_max = 1, .idle_timeout = milliseconds(20)});
  raw_.script({kHi, kHi});
  int done = 0;
  const auto count = [&](Result<ClientResponse>) { ++done; };
  const auto one = client_->send(get(), count);
  const auto two = client_->send(get(), count);
  run_until(loop_, [&] { return done == 2; });
  ASSERT_EQ(raw_.peers.size(), 2u);
  run_until(loop_, [&] { return raw_.peers[0]->ended != raw_.peers[1]->ended; });
  run_until(loop_, [&] { return raw_.peers[0]->ended && raw_.peers[1]->ended; });
}

// Ending ----------------------------------------------------------------------------------------------------------

TEST_F(ClientTest, CancelsWhenTheCallIsLetGo) {
  bool called = false;
  auto call = client_->send(get(), [&](Result<ClientResponse>) { called = true; });
  RawPeer& peer = raw_.wait_for_peer(0);
  call = nullptr;
  peer.wait_for_end();
  turn();
  EXPECT_FALSE(called);
}

TEST_F(ClientTest, CancelsLookUpsAndConnects) {
  auto request = get();
  request.endpoint.host = "localhost";
  {
    const auto call = client_->send(request, [](Result<ClientResponse>) { FAIL(); });
  }
  {
    const auto call = client_->send(get(), [](Result<ClientResponse>) { FAIL(); });
  }
  turn();
}

TEST_F(ClientTest, CancelsEveryCallWithTheClient) {
  const auto call = client_->send(get(), [](Result<ClientResponse>) { FAIL(); });
  raw_.wait_for_peer(0);
  client_ = nullptr;
  raw_.peers[0]->wait_for_end();
}

TEST_F(ClientTest, ACallbackMayDestroyItsCallOrTheClient) {
  raw_.script({kHi, kHi});
  std::unique_ptr<Call> call;
  bool done = false;
  call = client_->send(get(), [&](Result<ClientResponse>) {
    call = nullptr;
    done = true;
  });
  run_until(loop_, [&] { return done; });
  call = client_->send(get(), [&](Result<ClientResponse>) { client_ = nullptr; });
  run_until(loop_, [&] { return client_ == nullptr; });
}

TEST_F(ClientTest, ACallbackMayStartTheNextCall) {
  raw_.script({kHi, kHi, kHi});
  std::unique_ptr<Call> call;
  int done = 0;
  std::function<void(Result<ClientResponse>)> next = [&](Result<ClientResponse> answer) {
    ASSERT_TRUE(answer);
    if (++done < 3) call = client_->send(get(), next);
  };
  call = client_->send(get(), next);
  run_until(loop_, [&] { return done == 3; });
  EXPECT_EQ(raw_.peers.size(), 1u);
}

// Streaming -------------------------------------------------------------------------------------------------------

struct Listening final : ClientListener {
  void on_head(int got, const Fields&) override { status = got; }
  void on_body(std::string_view bytes) override {
    body += bytes;
    if (on_bytes) on_bytes();
  }
  void on_complete() override { complete = true; }
  void on_failed(Error got) override { error = got; }
  int status = 0;
  std::string body;
  bool complete = false;
  std::optional<Error> error;
  std::function<void()> on_bytes;
};

TEST_F(ClientTest, StreamsAnAnswerAsItComes) {
  raw_.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"});
  Listening listening;
  auto request = get();
  request.timeout = milliseconds(50);  // to the head; the stream may last longer
  const auto call = client_->stream(request, listening);
  run_until(loop_, [&] { return listening.body == "abc"; });
  EXPECT_EQ(listening.status, 200);
  bool later = false;
  net::Timer timer(loop_.timers(), [&] { later = true; });
  timer.start(milliseconds(80));
  run_until(loop_, [&] { return later; });
  raw_.peers[0]->say("1\r\nd\r\n0\r\n\r\n");
  run_until(loop_, [&] { return listening.complete; });
  EXPECT_EQ(listening.body, "abcd");
}

TEST_F(ClientTest, TellsAStreamThatWasCutOff) {
  raw_.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"});
  Listening listening;
  const auto call = client_->stream(get(), listening);
  run_until(loop_, [&] { return listening.body == "abc"; });
  raw_.peers[0]->close();
  run_until(loop_, [&] { return listening.error.has_value(); });
  EXPECT_EQ(listening.error->code, Errc::end_of_stream);
  EXPECT_FALSE(listening.complete);
}

TEST_F(ClientTest, PausesAndResumesAStream) {
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "400\r\n" + std::string(1024, 'x') + "\r\n";
  raw_.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"});
  Listening listening;
  std::unique_ptr<Call> call;
  listening.on_bytes = [&] { call->pause(); };
  call = client_->stream(get(), listening);
  run_until(loop_, [&] { return !listening.body.empty(); });
  const std::size_t heard = listening.body.size();
  turn();
  EXPECT_EQ(listening.body.size(), heard);
  EXPECT_LE(heard, 1024u);
  call->resume();
  EXPECT_EQ(listening.body.size(), heard);  // not from inside resume()
  run_until(loop_, [&] { return listening.body.size() > heard; });
  listening.on_bytes = nullptr;
  call->resume();
  run_until(loop_, [&] { return listening.complete; });
  EXPECT_EQ(listening.body.size(), 1024u * 1000);
}

TEST_F(ClientTest, AStreamMayBeLetGoInItsOwnCallback) {
  raw_.script({"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n"});
  Listening listening;
  std::unique_ptr<Call> call;
  listening.on_bytes = [&] { call = nullptr; };
  call = client_->stream(get(), listening);
  run_until(loop_, [&] { return call == nullptr; });
  raw_.peers[0]->wait_for_end();
  EXPECT_EQ(listening.body, "abc");
}

// Coroutines ------------------------------------------------------------------------------------------------------

Async<std::string> fetch_twice(Client& client, ClientRequest request) {
  ClientRequest again = request;
  Result<ClientResponse> first = co_await fetch(client, std::move(request));
  Result<ClientResponse> second = co_await fetch(client, std::move(again));
  co_return (first ? first->body : "-") + (second ? second->body : "-");
}

TEST_F(ClientTest, IsAwaitable) {
  raw_.script({kHi, kHi});
  Async<std::string> task = fetch_twice(*client_, get());
  task.start();
  run_until(loop_, [&] { return task.done(); });
  EXPECT_EQ(task.result(), "hihi");
}

TEST_F(ClientTest, DestroyingTheCoroutineCancels) {
  {
    Async<std::string> task = fetch_twice(*client_, get());
    task.start();
    raw_.wait_for_peer(0);
  }
  raw_.peers[0]->wait_for_end();
}

}  // namespace
}  // namespace lotse::http

// What an endpoint sends on an idle connection while a request for it is being read: it cannot be the answer.
#include "tests/proxy/harness.h"
#include "tests/proxy/held_worker.h"

namespace lotse::proxy::test {
namespace {

class ReusedConnectionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    harness.config.workers = 1;  // the one that is held
    harness.start();
    harness.apply({Harness::endpoint("/app", backend)}, {}, true);
    client = harness.connect();
    ASSERT_TRUE(harness.ask(*client, "GET /app HTTP/1.1\r\nHost: x\r\n\r\n").ends_with("real"));
    client->received.clear();
  }

  // The client's request and what `spoil` does to the idle connection reach the worker in this order, at once.
  std::string ask_while(const std::string& request, const std::function<void(Peer&)>& spoil) {
    {
      HeldWorker held;
      client->send(request);
      spoil(*backend.peers.front());
    }
    harness.run_until([&] { return Harness::is_response_whole(client->received) || client->is_over(); });
    return client->received;
  }

  Harness harness;
  Backend backend{harness.loop, "real"};
  std::unique_ptr<Peer> client;
};

const std::string kGet = "GET /app HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kPost = "POST /app HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

TEST_F(ReusedConnectionTest, BytesFromBeforeTheRequestAreNotItsAnswer) {
  std::string answer = ask_while(kGet, [](Peer& peer) { peer.send(Backend::ok("stale")); });
  EXPECT_TRUE(answer.ends_with("real")) << answer;
  EXPECT_EQ(backend.peers.size(), 2u);
}

TEST_F(ReusedConnectionTest, APostThatHasNotLeftGoesToAFreshConnection) {
  std::string answer = ask_while(kPost, [](Peer& peer) { peer.close(); });
  EXPECT_TRUE(answer.ends_with("real")) << answer;
  EXPECT_EQ(backend.peers.size(), 2u);
}

TEST_F(ReusedConnectionTest, AResetConnectionIsReplacedToo) {
  std::string answer = ask_while(kPost, [](Peer& peer) { peer.reset(); });
  EXPECT_TRUE(answer.ends_with("real")) << answer;
}

}  // namespace
}  // namespace lotse::proxy::test

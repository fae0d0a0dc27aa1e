// What the tests of streams share: a listener that writes down what it hears, and a loop with a watchdog. Every test
// ends with the loop closed, which aborts if a handle is left (Loop's destructor).
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/timers.h"

namespace lotse::net {

using namespace std::chrono_literals;

// Owns its stream; `on_*` hooks run last, so they may destroy the stream or stop the loop.
class Peer final : public StreamListener {
 public:
  std::unique_ptr<Stream> stream;
  std::string received;
  std::vector<std::string> events;  // "connected", "bytes" (once per run of them), "end", "drained", "error: ..."
  std::vector<Error> errors;
  std::function<void()> on_connected_hook, on_bytes_hook, on_end_hook, on_error_hook, on_drained_hook;

  Peer() = default;
  Peer(const Peer&) = delete;

  void adopt(std::unique_ptr<Stream> accepted) {
    stream = std::move(accepted);
    stream->set_listener(this);
  }
  void on_connected() override { say("connected", on_connected_hook); }
  void on_bytes(std::span<const char> bytes) override {
    received.append(bytes.data(), bytes.size());
    if (!events.empty() && events.back() == "bytes") events.pop_back();
    say("bytes", on_bytes_hook);
  }
  void on_end() override { say("end", on_end_hook); }
  void on_error(Error error) override {
    errors.push_back(error);
    say("error: " + std::string(to_string(error.code)), on_error_hook);
  }
  void on_drained() override { say("drained", on_drained_hook); }

 private:
  void say(std::string what, const std::function<void()>& hook) {
    events.push_back(std::move(what));
    if (auto copy = hook) copy();
  }
};

class NetTest : public testing::Test {
 protected:
  // Turns the loop until `done` says so; a test that hangs fails instead.
  void run_until(const std::function<bool()>& done) {
    bool is_late = false;
    Timer watchdog(loop.timers(), [&] { is_late = true; });
    Timer pulse(loop.timers(), [] {});  // so that a condition nobody signals is looked at
    watchdog.start(30s);
    while (!done() && !is_late) {
      pulse.start(1ms);
      loop.run_once();
    }
    EXPECT_FALSE(is_late) << "waited 30 s in vain";
  }

  std::unique_ptr<Listener> listen(const std::string& address, std::function<void(std::unique_ptr<Stream>)> on_accept) {
    auto fd = make_listening_socket(*Address::parse(address));
    EXPECT_TRUE(fd);
    auto listener = Listener::open(loop, std::move(*fd), std::move(on_accept));
    EXPECT_TRUE(listener);
    return std::move(*listener);
  }

  // `client` connected to `server` through `address`; neither reads.
  void connect_pair(Peer& client, Peer& server, const std::string& address = "127.0.0.1:0") {
    auto listener = listen(address, [&](std::unique_ptr<Stream> accepted) { server.adopt(std::move(accepted)); });
    client.stream = connect(loop, listener->address(), client);
    run_until([&] { return server.stream && !client.events.empty(); });
    ASSERT_EQ(client.events, std::vector<std::string>{"connected"});
    client.events.clear();
  }

  Loop loop;
};

}  // namespace lotse::net

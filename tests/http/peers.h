// The other end for tests: a loop with a watchdog, a raw connection that says exactly what it is told, and a raw server
// whose answers are written by the test.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/timers.h"

namespace lotse::http {

// Turns the loop until `is_done`; a test that waits for what never comes fails instead of hanging.
inline void run_until(net::Loop& loop, const std::function<bool()>& is_done) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!is_done()) {
    loop.run_once_ready();
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "waited in vain";
  }
}

class RawPeer final : public net::StreamListener {
 public:
  RawPeer(net::Loop& loop, const net::Address& address) : loop_(loop), stream_(net::connect(loop, address, *this)) {
    stream_->start_reading();
  }
  RawPeer(net::Loop& loop, std::unique_ptr<net::Stream> stream) : loop_(loop), stream_(std::move(stream)) {
    stream_->set_listener(this);
    stream_->start_reading();
  }

  void say(std::string_view bytes) { stream_->write(bytes); }
  void finish() { stream_->shutdown(); }  // FIN, still reading
  void close() { stream_.reset(); }
  void reset() { stream_->reset(); }
  net::Stream& stream() { return *stream_; }

  void wait_for(std::string_view text) {
    run_until(loop_, [&] { return heard.find(text) != std::string::npos || ended; });
    EXPECT_NE(heard.find(text), std::string::npos) << "heard: " << heard;
  }
  void wait_for_end() {
    run_until(loop_, [&] { return ended; });
  }

  void on_bytes(std::span<const char> bytes) override {
    heard.append(bytes.data(), bytes.size());
    if (on_heard) on_heard();
  }
  void on_end() override { ended = true; }
  void on_error(Error) override { ended = failed = true; }

  std::string heard;
  bool ended = false, failed = false;
  std::function<void()> on_heard;

 private:
  net::Loop& loop_;
  std::unique_ptr<net::Stream> stream_;
};

class RawServer {
 public:
  explicit RawServer(net::Loop& loop) : loop_(loop) {
    auto fd = net::make_listening_socket(*net::Address::parse("127.0.0.1:0"));
    auto listener = net::Listener::open(loop, std::move(*fd), [this](std::unique_ptr<net::Stream> stream) {
      peers.push_back(std::make_unique<RawPeer>(loop_, std::move(stream)));
      RawPeer& peer = *peers.back();
      peer.on_heard = [this, &peer] {
        if (on_heard) on_heard(peer);
      };
    });
    listener_ = std::move(*listener);
    address_ = listener_->address();
  }
  const net::Address& address() const { return address_; }
  // From now on answers the n-th whole request head of any connection with the n-th text.
  void script(std::vector<std::string> answers) {
    on_heard = [this, answers = std::move(answers), first = requests.size()](RawPeer& peer) {
      if (!peer.heard.ends_with("\r\n\r\n")) return;
      requests.push_back(std::exchange(peer.heard, ""));
      const std::size_t index = requests.size() - first - 1;
      if (index < answers.size()) peer.say(answers[index]);
    };
  }
  RawPeer& wait_for_peer(std::size_t index) {
    run_until(loop_, [&] { return peers.size() > index; });
    return *peers[index];
  }
  void stop_listening() { listener_ = nullptr; }

  std::vector<std::unique_ptr<RawPeer>> peers;
  std::vector<std::string> requests;
  std::function<void(RawPeer&)> on_heard;

 private:
  net::Loop& loop_;
  std::unique_ptr<net::Listener> listener_;
  net::Address address_;
};

}  // namespace lotse::http

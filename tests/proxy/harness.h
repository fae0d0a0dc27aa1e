// Raw sockets on both sides of a real Proxy: everything on this side of it lives on one loop, the test's, which is run
// until something is true. No sleeps; a condition that never comes true fails the test after a deadline.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "net/stream.h"
#include "net/timers.h"
#include "proxy/proxy.h"

namespace lotse::proxy::test {

using namespace std::chrono_literals;

// One connection as we see it: what came, and how it ended.
class Peer final : public net::StreamListener {
 public:
  std::string received;
  bool is_connected = false, has_ended = false, has_failed = false, is_drained = true;
  Error error;
  std::function<void(Peer&)> on_data;
  std::size_t requests_answered = 0;

  void adopt(std::unique_ptr<net::Stream> stream) {
    stream_ = std::move(stream);
    stream_->set_listener(this);
    stream_->start_reading();
    is_connected = true;
  }
  void connect(net::Loop& loop, const net::Address& address) { stream_ = net::connect(loop, address, *this); }

  void send(std::string_view text) {
    if (!stream_) return;
    stream_->write(text);
    is_drained = stream_->queued_bytes() == 0;
  }
  std::size_t queued_bytes() const { return stream_ ? stream_->queued_bytes() : 0; }
  void half_close() { stream_->shutdown(); }
  void close() { stream_.reset(); }
  void reset() {
    if (stream_) stream_->reset();
    stream_.reset();
  }
  void stop_reading() { stream_->stop_reading(); }
  void start_reading() {
    if (stream_) stream_->start_reading();
  }
  bool is_over() const { return has_ended || has_failed; }
  bool is_open() const { return stream_ != nullptr; }

 private:
  void on_connected() override {
    is_connected = true;
    stream_->start_reading();
  }
  void on_bytes(std::span<const char> bytes) override {
    received.append(bytes.data(), bytes.size());
    if (on_data) on_data(*this);
  }
  void on_end() override { has_ended = true; }
  void on_error(Error what) override {
    has_failed = true;
    error = what;
  }
  void on_drained() override { is_drained = true; }

  std::unique_ptr<net::Stream> stream_;
};

// Takes connections on a port of its own. By default answers every complete request head (and its Content-Length body)
// with 200 and its name as the body.
class Backend {
 public:
  Backend(net::Loop& loop, std::string name) : loop_(loop), name_(std::move(name)) { open(0); }

  void open(std::uint16_t port) {
    auto socket = net::make_listening_socket(*net::Address::from_ip("127.0.0.1", port));
    ASSERT_TRUE(socket);
    address_ = net::local_address(socket->get());
    auto listener = net::Listener::open(loop_, std::move(*socket), [this](std::unique_ptr<net::Stream> stream) {
      auto peer = std::make_unique<Peer>();
      peer->on_data = [this](Peer& one) { script(one); };
      peer->adopt(wrap ? wrap(std::move(stream), *peer) : std::move(stream));
      peers.push_back(std::move(peer));
      ++accepted;
    });
    ASSERT_TRUE(listener);
    listener_ = std::move(*listener);
  }
  void close_listener() { listener_.reset(); }
  void die() {  // as a killed process: the port refuses, connections are reset
    listener_.reset();
    for (auto& peer : peers) peer->reset();
  }

  std::uint16_t port() const { return address_.port(); }
  const std::string& name() const { return name_; }

  // What an accepted connection speaks: TLS, for one.
  std::function<std::unique_ptr<net::Stream>(std::unique_ptr<net::Stream>, net::StreamListener&)> wrap;
  std::function<void(Peer&)> script = [this](Peer& peer) { answer_all(peer, ok(name_)); };
  std::vector<std::unique_ptr<Peer>> peers;
  std::size_t accepted = 0, requests = 0;
  std::string last_request;

  static std::string ok(std::string_view body) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }
  // Takes each complete request from what came and sends `answer`.
  void answer_all(Peer& peer, const std::string& answer) {
    while (take_request(peer)) peer.send(answer);
  }
  bool take_request(Peer& peer) {
    std::size_t end = peer.received.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    std::size_t bytes = end + 4;
    if (std::size_t at = peer.received.find("Content-Length: "); at < end)
      bytes += std::stoul(peer.received.substr(at + 16));
    if (peer.received.size() < bytes) return false;
    last_request = peer.received.substr(0, bytes);
    peer.received.erase(0, bytes);
    ++requests;
    return true;
  }

 private:
  net::Loop& loop_;
  std::string name_;
  net::Address address_;
  std::unique_ptr<net::Listener> listener_;
};

class FakeConfirmer final : public TaskConfirmer {
 public:
  void confirm(const model::Endpoint& endpoint, std::function<void(Confirmation)> on_answer) override {
    asked.push_back(endpoint.task);
    if (is_mute) return waiting.push_back(std::move(on_answer));
    on_answer(answer);
  }
  Confirmation answer = Confirmation::confirmed;
  bool is_mute = false;
  std::vector<std::string> asked;
  std::vector<std::function<void(Confirmation)>> waiting;
};

class Harness {
 public:
  static constexpr auto kDeadline = 20s;

  Harness() {
    config.workers = 2;
    config.listeners.push_back(listener("web"));
    config.expose.path = true;
    config.expose.host = "{app}.test";
  }
  ~Harness() { proxy.reset(); }

  static ListenerConfig listener(const std::string& name, const std::string& address = "127.0.0.1:0") {
    return {.name = name, .address = address, .parsed_address = *net::Address::parse(address)};
  }

  void start() {
    proxy = std::make_unique<Proxy>(loop, confirmer);
    auto applied = proxy->apply_config(std::make_shared<const Config>(config));
    ASSERT_TRUE(applied) << applied.error().text();
    ASSERT_TRUE(run_until([this] { return proxy->is_ready(); }));
  }
  Result<Unit, Problem> reload() { return proxy->apply_config(std::make_shared<const Config>(config)); }

  static model::Endpoint endpoint(const std::string& app, const std::string& task, std::uint16_t port) {
    model::Endpoint one;
    one.app = app;
    one.is_default = true;
    one.task = task;
    one.version = "v1";
    one.host = "127.0.0.1";
    one.host_port = port;
    return one;
  }
  static model::Endpoint endpoint(const std::string& app, const Backend& backend) {
    return endpoint(app, backend.name(), backend.port());
  }
  void apply(std::vector<model::Endpoint> set, std::vector<model::Endpoint> removed = {}, bool is_snapshot = false) {
    bool is_applied = false;
    proxy->apply_endpoints({std::move(set), std::move(removed), is_snapshot}, [&] { is_applied = true; });
    ASSERT_TRUE(run_until([&] { return is_applied; }));
  }

  bool run_until(const std::function<bool()>& is_true) {
    Instant give_up = loop.clock().now() + kDeadline;
    while (!is_true()) {
      if (loop.clock().now() > give_up) return false;
      net::Timer tick(loop.timers(), [this] { loop.stop(); });
      tick.start(1ms);
      loop.run();
    }
    return true;
  }

  net::Address address(std::size_t index = 0) { return proxy->listen_addresses()[index]; }
  std::unique_ptr<Peer> connect(std::size_t listener_index = 0) {
    auto peer = std::make_unique<Peer>();
    peer->connect(loop, address(listener_index));
    return peer;
  }
  // Sends and waits for `count` complete responses (Content-Length ones).
  std::string ask(Peer& client, std::string_view request) {
    client.received.clear();
    client.send(request);
    EXPECT_TRUE(run_until([&] { return is_response_whole(client.received) || client.is_over(); })) << client.received;
    return client.received;
  }
  std::string get(const std::string& path, const std::string& host = "x") {
    auto client = connect();
    return ask(*client, "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
  }
  static bool is_response_whole(const std::string& text) { return response_bytes(text) > 0; }
  static std::size_t response_bytes(const std::string& text) {  // of the first final one; 0: not whole
    std::size_t begin = 0;
    for (;;) {
      std::size_t end = text.find("\r\n\r\n", begin);
      if (end == std::string::npos) return 0;
      if (text.compare(begin, 10, "HTTP/1.1 1") == 0) {
        begin = end + 4;
        continue;
      }
      std::size_t at = text.find("Content-Length: ", begin);
      if (at < end) {
        std::size_t whole = end + 4 + std::stoul(text.substr(at + 16));
        return text.size() >= whole ? whole : 0;
      }
      if (text.find("chunked", begin) < end) {
        std::size_t last = text.find("0\r\n\r\n", end);
        return last == std::string::npos ? 0 : last + 5;
      }
      return end + 4;
    }
  }
  std::uint64_t metric(const std::string& name) {
    std::string text;
    proxy->write_metrics(text);
    std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 2));
  }

  net::Loop loop;
  FakeConfirmer confirmer;
  Config config;
  std::unique_ptr<Proxy> proxy;
};

}  // namespace lotse::proxy::test

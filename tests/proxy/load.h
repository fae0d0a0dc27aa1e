// Closed-loop load for tests: each client asks, checks the answer, asks again, and counts what was not a 200.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/proxy/harness.h"

namespace lotse::proxy::test {

class Load {
 public:
  Load(Harness& harness, std::size_t count, std::string request) : harness_(harness), request_(std::move(request)) {
    for (std::size_t i = 0; i < count; ++i) add();
  }
  void add() {
    auto client = harness_.connect();
    client->on_data = [this](Peer& peer) { on_data(peer); };
    client->send(request_);
    clients.push_back(std::move(client));
  }
  // A client whose connection was closed between two requests (as HTTP allows) comes back; in the middle of one it
  // failed.
  void tend() {
    for (auto& client : clients) {
      if (!client->is_over()) continue;
      if (!wants_no_more) ++failed, last_failure = "closed: " + client->received;
      client->close();
    }
    std::size_t before = clients.size();
    std::erase_if(clients, [](const auto& one) { return !one->is_open(); });
    for (std::size_t i = clients.size(); i < before && !wants_no_more; ++i) add();
  }
  bool run_until(const std::function<bool()>& is_true) {
    return harness_.run_until([&] {
      tend();
      return is_true();
    });
  }
  bool finish() {
    wants_no_more = true;
    return harness_.run_until([&] { return idle == clients.size(); });
  }

  std::vector<std::unique_ptr<Peer>> clients;
  std::uint64_t answered = 0, failed = 0;
  std::size_t idle = 0;
  std::string last_failure;
  bool wants_no_more = false;

 private:
  void on_data(Peer& peer) {
    for (;;) {
      std::size_t bytes = Harness::response_bytes(peer.received);
      if (bytes == 0) return;
      ++answered;
      if (!peer.received.starts_with("HTTP/1.1 200 ")) ++failed, last_failure = peer.received.substr(0, bytes);
      const bool is_closing = peer.received.substr(0, bytes).find("Connection: close") != std::string::npos;
      peer.received.erase(0, bytes);
      if (wants_no_more || is_closing) {
        if (wants_no_more) ++idle;
        if (is_closing) reconnect(peer);
        return;
      }
      peer.send(request_);
    }
  }
  void reconnect(Peer& peer) {  // told to: not a failure
    if (wants_no_more) return;
    harness_.loop.defer([this, &peer] {
      peer.close();
      peer.has_ended = peer.has_failed = false;
      peer.connect(harness_.loop, harness_.address());
      peer.send(request_);
    });
  }

  Harness& harness_;
  std::string request_;
};

}  // namespace lotse::proxy::test

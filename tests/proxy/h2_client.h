// A client of HTTP/2 for the tests of the proxy: sends whatever bytes it is told to over a real socket, and reads what
// comes back as frames. Heads are decoded by a session of our own, fed on the side.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/http/h2_frames.h"
#include "tests/http/h2_peer.h"
#include "tests/proxy/harness.h"

namespace lotse::proxy::test {

namespace h2 = http::h2;

class H2Client {
 public:
  explicit H2Client(Harness& harness) : harness_(harness), peer_(harness.connect()) {}

  void send(std::string_view bytes) { peer_->send(bytes); }
  bool run_until(const std::function<bool()>& is_true) {
    return harness_.run_until([&] {
      read();
      return is_true();
    });
  }
  void read() {
    for (h2::Frame& one : h2::take_frames(peer_->received)) frames.push_back(std::move(one));
  }
  const h2::Frame* find(std::uint8_t type, std::uint32_t stream = 0) {
    for (const h2::Frame& one : frames)
      if (one.type == type && (one.stream == stream || type == h2::goaway)) return &one;
    return nullptr;
  }
  bool has(std::uint8_t type, std::uint32_t stream = 0) { return find(type, stream) != nullptr; }
  bool has_ended(std::uint32_t stream) {
    for (const h2::Frame& one : frames)
      if (one.stream == stream && (one.type == h2::data || one.type == h2::headers) &&
          (one.flags & h2::end_stream) != 0)
        return true;
    return false;
  }
  std::string body(std::uint32_t stream) {
    std::string all;
    for (const h2::Frame& one : frames)
      if (one.type == h2::data && one.stream == stream) all += one.payload;
    return all;
  }
  Peer& peer() { return *peer_; }

  std::vector<h2::Frame> frames;

 private:
  Harness& harness_;
  std::unique_ptr<Peer> peer_;
};

// The same through a session, which reads heads, opens windows and keeps to the rules.
class H2Session final {
 public:
  explicit H2Session(Harness& harness, const http::H2Options& options = {.is_client = true})
      : harness_(harness), peer_(harness.connect()), session(options) {}
  ~H2Session() = default;

  http::H2Peer::Stream& open(const h2::Fields& fields, bool ends = true) {
    std::vector<http::Field> views;
    for (const auto& [name, value] : fields) views.push_back({name, value});
    return session.open(views, ends);
  }
  bool run_until(const std::function<bool()>& is_true) {
    return harness_.run_until([&] {
      turn();
      return is_true();
    });
  }
  void turn() {
    if (const std::string out = session.take(); !out.empty()) peer_->send(out);
    if (!peer_->received.empty()) session.feed(std::exchange(peer_->received, {}));
    if (const std::string out = session.take(); !out.empty()) peer_->send(out);
  }
  bool says(std::string_view text) const { return session.text.find(text) != std::string::npos; }
  bool hears(std::string_view text) {
    return run_until([&] { return says(text) || peer_->is_over(); }) && says(text);
  }
  Peer& peer() { return *peer_; }

 private:
  Harness& harness_;
  std::unique_ptr<Peer> peer_;

 public:
  http::H2Peer session;
};

}  // namespace lotse::proxy::test

#include "dns/server.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "net/stream.h"
#include "net/timers.h"

namespace lotse::dns {
namespace {

constexpr std::size_t kLengthBytes = 2;
constexpr int kPortTries = 16;  // port 0: one that is free for UDP may be taken for TCP

std::size_t length_at(std::string_view bytes) {
  return static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[0])) << 8 | static_cast<std::uint8_t>(bytes[1]);
}

}  // namespace

// One client by TCP: messages with two bytes of length before them, as many as it likes, answered in order.
class Server::Connection final : public net::StreamListener {
 public:
  Connection(Server& server, std::unique_ptr<net::Stream> stream)
      : server_(server), stream_(std::move(stream)), idle_(server.loop_.timers(), [this] { close(); }) {
    stream_->set_listener(this);
    stream_->start_reading();
    idle_.start(server_.options_.idle_max);
  }

  void on_bytes(std::span<const char> bytes) override {
    pending_.append(bytes.data(), bytes.size());
    if (!answer_pending()) return close();
    if (stream_->queued_bytes() > server_.options_.queued_bytes_max) stream_->stop_reading();
  }
  void on_end() override { close(); }
  void on_error(Error) override { close(); }
  void on_drained() override {
    if (!answer_pending()) return close();
    if (stream_->queued_bytes() <= server_.options_.queued_bytes_max && !stream_->is_reading())
      stream_->start_reading();
  }

 private:
  // False: what comes is no DNS.
  bool answer_pending() {
    std::size_t at = 0;
    while (pending_.size() - at >= kLengthBytes && stream_->queued_bytes() <= server_.options_.queued_bytes_max) {
      const std::string_view rest = std::string_view(pending_).substr(at);
      const std::size_t length = length_at(rest);
      if (length > kQueryBytesMax) return false;
      if (rest.size() < kLengthBytes + length) break;
      const std::string answer = server_.reply(rest.substr(kLengthBytes, length), kTcpBytesMax, false, false);
      if (answer.empty()) return false;
      const std::array<char, kLengthBytes> prefix{static_cast<char>(answer.size() >> 8),
                                                  static_cast<char>(answer.size() & 0xff)};
      const std::array<std::string_view, 2> pieces{std::string_view(prefix.data(), prefix.size()), answer};
      stream_->write(pieces);
      at += kLengthBytes + length;
      idle_.start(server_.options_.idle_max);
    }
    pending_.erase(0, at);
    return true;
  }
  // Not from inside of the stream's callback: the stream goes with us.
  void close() {
    if (std::exchange(is_closing_, true)) return;
    stream_->stop_reading();
    server_.loop_.defer([this, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired()) server_.drop(*this);
    });
  }

  Server& server_;
  std::unique_ptr<net::Stream> stream_;
  net::Timer idle_;
  std::string pending_;  // at most one read and one query that is not whole
  bool is_closing_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

Server::Server(net::Loop& loop, const NameSource& names, ServerOptions options)
    : loop_(loop), names_(names), options_(options), rate_limit_(options.udp_answers_per_second) {}

Server::~Server() = default;

Result<std::unique_ptr<Server>, Problem> Server::open(net::Loop& loop, const net::Address& address,
                                                      const NameSource& names, ServerOptions options) {
  std::unique_ptr<Server> server(new Server(loop, names, options));
  Server& self = *server;
  auto problem = [&](const char* protocol, const Error& error) {
    return fail(
        Problem{address.to_string(), std::string("cannot be listened on by ") + protocol + ": " + describe(error)});
  };
  for (int tries = 1;; ++tries) {
    auto udp = net::UdpSocket::open(loop, address, [&self](std::span<const char> bytes, const net::Address& from) {
      self.on_datagram(bytes, from);
    });
    if (!udp) return problem("UDP", udp.error());
    self.udp_ = std::move(*udp);
    auto socket = net::make_listening_socket(self.udp_->address());
    if (!socket && address.port() == 0 && tries < kPortTries) continue;
    if (!socket) return problem("TCP", socket.error());
    auto on_accept = [&self](std::unique_ptr<net::Stream> stream) { self.on_accept(std::move(stream)); };
    auto listener = net::Listener::open(loop, std::move(*socket), on_accept);
    if (!listener) return problem("TCP", listener.error());
    self.tcp_ = std::move(*listener);
    return server;
  }
}

net::Address Server::address() const { return udp_->address(); }

std::string Server::reply(std::string_view bytes, std::size_t bytes_max, bool is_udp, bool is_limited) {
  const Decoded decoded = decode(bytes);
  ++(is_udp ? counters_.udp_queries : counters_.tcp_queries);
  if (decoded.is_dropped || decoded.rcode == Rcode::format_error) ++counters_.malformed;
  if (decoded.is_dropped) return {};
  Response response{.rcode = decoded.rcode};
  if (decoded.rcode == Rcode::no_error && !is_limited) response = answer(decoded.query, names_, random_);
  if (response.rcode == Rcode::refused) ++counters_.refused;
  if (is_limited) ++counters_.limited;
  if (is_udp) bytes_max = std::min(bytes_max, decoded.query.udp_bytes_max);
  std::string wire = encode(decoded.query, response, bytes_max, is_limited);
  constexpr std::size_t kFlagsAt = 2;
  constexpr char kTruncated = 0x02;
  if (wire.size() > kFlagsAt && (wire[kFlagsAt] & kTruncated) != 0) ++counters_.truncated;
  return wire;
}

void Server::on_datagram(std::span<const char> bytes, const net::Address& from) {
  if (from.port() == 0) return;  // nobody can be answered there
  const bool is_limited = !rate_limit_.takes(from.ip(), loop_.now());
  const std::string wire = reply({bytes.data(), bytes.size()}, kEdnsUdpBytesMax, true, is_limited);
  if (!wire.empty()) udp_->send(from, wire);
}

void Server::on_accept(std::unique_ptr<net::Stream> stream) {
  if (connections_.size() >= options_.connections_max) {
    connections_.pop_front();
    ++counters_.connections_closed;
  }
  connections_.push_back(std::make_unique<Connection>(*this, std::move(stream)));
}

void Server::drop(Connection& connection) {
  std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
}

}  // namespace lotse::dns

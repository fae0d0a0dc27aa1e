// Answers DNS queries on one address, by UDP and TCP, out of a NameSource. Everything a client can make it hold has a
// bound. Owns its sockets; borrows the names. One loop thread.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "dns/answer.h"
#include "dns/rate_limit.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/udp.h"

namespace lotse::dns {

struct ServerOptions {
  std::size_t connections_max = 256;             // TCP: at the bound the oldest goes
  Duration idle_max = std::chrono::seconds(10);  // TCP: without a whole query
  std::size_t queued_bytes_max = 256 * 1024;     // TCP: unread answers of one client, then it is not read either
  std::uint32_t udp_answers_per_second = 1000;   // per network: beyond, only "ask by TCP". 0: no bound
};

struct ServerCounters {
  std::uint64_t udp_queries = 0, tcp_queries = 0, malformed = 0, refused = 0, truncated = 0, limited = 0,
                connections_closed = 0;
};

class Server {
 public:
  // Port 0 picks one that both have.
  static Result<std::unique_ptr<Server>, Problem> open(net::Loop& loop, const net::Address& address,
                                                       const NameSource& names, ServerOptions options = {});
  ~Server();
  Server(const Server&) = delete;

  net::Address address() const;
  const ServerCounters& counters() const { return counters_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  class Connection;
  Server(net::Loop& loop, const NameSource& names, ServerOptions options);

  std::string reply(std::string_view query, std::size_t bytes_max, bool is_udp, bool is_limited);
  void on_datagram(std::span<const char> bytes, const net::Address& from);
  void on_accept(std::unique_ptr<net::Stream> stream);
  void drop(Connection& connection);

  net::Loop& loop_;
  const NameSource& names_;
  ServerOptions options_;
  Random random_ = Random::from_system();
  RateLimit rate_limit_;
  ServerCounters counters_;
  std::list<std::unique_ptr<Connection>> connections_;  // the oldest first
  std::unique_ptr<net::UdpSocket> udp_;
  std::unique_ptr<net::Listener> tcp_;
};

}  // namespace lotse::dns

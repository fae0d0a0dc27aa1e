// The client's idle connections, by endpoint; the most recently used goes first. Owned by the Client, outlives every
// connection's callbacks. A connection that dies, speaks unasked or rests too long leaves by itself. Internal.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "http/client.h"
#include "http/client_connection.h"

namespace lotse::http {

class ClientPool {
 public:
  ClientPool(net::Loop& loop, const Client::Options& options) : loop_(loop), options_(options) {}
  ~ClientPool();

  std::shared_ptr<ClientConnection> take(const Endpoint& endpoint);  // null: none is idle
  void put(std::shared_ptr<ClientConnection> connection);
  void remove(const ClientConnection& connection);
  net::Loop& loop() { return loop_; }

 private:
  net::Loop& loop_;
  const Client::Options& options_;
  std::map<Endpoint, std::vector<std::shared_ptr<ClientConnection>>> idle_;
};

}  // namespace lotse::http

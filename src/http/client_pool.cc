#include "http/client_pool.h"

#include <algorithm>

namespace lotse::http {

ClientPool::~ClientPool() {
  for (auto& [endpoint, connections] : idle_) {
    for (const auto& connection : connections) connection->close();
  }
}

std::shared_ptr<ClientConnection> ClientPool::take(const Endpoint& endpoint) {
  const auto found = idle_.find(endpoint);
  if (found == idle_.end()) return nullptr;
  auto connection = std::move(found->second.back());
  found->second.pop_back();
  if (found->second.empty()) idle_.erase(found);
  return connection;
}

void ClientPool::put(std::shared_ptr<ClientConnection> connection) {
  if (options_.idle_connections_max == 0) return connection->close();
  auto& connections = idle_[connection->endpoint()];
  if (connections.size() >= options_.idle_connections_max) {
    connections.front()->close();
    connections.erase(connections.begin());
  }
  connection->rest(options_.idle_timeout);
  connections.push_back(std::move(connection));
}

void ClientPool::remove(const ClientConnection& connection) {
  const auto found = idle_.find(connection.endpoint());
  if (found == idle_.end()) return;
  std::erase_if(found->second, [&](const auto& one) { return one.get() == &connection; });
  if (found->second.empty()) idle_.erase(found);
}

}  // namespace lotse::http

#include "proxy/upstream_pool.h"

#include "proxy/upstream_connection.h"
#include "proxy/worker.h"

namespace lotse::proxy {

UpstreamConnection* UpstreamPool::take() {
  UpstreamConnection* connection = idle_.back();
  if (connection == nullptr) return nullptr;
  connection->ListNode<InPool>::unlink();
  connection->ListNode<InIdleList>::unlink();
  return connection;
}

void UpstreamPool::put(UpstreamConnection& connection) { idle_.push_back(connection); }

void UpstreamPool::close_idle() {
  while (UpstreamConnection* connection = take()) connection->abandon();
}

UpstreamPools::UpstreamPools(Worker& worker)
    : worker_(worker), oldest_(worker.loop(), [this] {
        Turn turn(worker_);
        close_old_ones();
      }) {}
UpstreamPools::~UpstreamPools() = default;

void UpstreamPools::configure(Duration idle_timeout, std::size_t connections_max) {
  idle_timeout_ = idle_timeout;
  connections_max_ = connections_max;
}

void UpstreamPools::put(UpstreamConnection& connection) {
  if (open_ > connections_max_) return connection.abandon();  // the bound was lowered
  connection.state().pool.put(connection);
  by_age_.push_back(connection);
  if (!oldest_.is_set()) oldest_.set(idle_timeout_);
}

bool UpstreamPools::make_room() {
  if (open_ < connections_max_) return true;
  UpstreamConnection* oldest = by_age_.front();
  if (oldest == nullptr) return false;
  oldest->abandon();
  return true;
}

void UpstreamPools::close_all_idle() {
  while (UpstreamConnection* connection = by_age_.front()) connection->abandon();
}

// One timer for all: it sleeps until the oldest of the moment is due, however often that one was used meanwhile.
void UpstreamPools::close_old_ones() {
  Instant now = worker_.loop().now();
  while (UpstreamConnection* oldest = by_age_.front()) {
    Duration idle = now - oldest->idle_since();
    if (idle < idle_timeout_) return oldest_.set(idle_timeout_ - idle);
    oldest->abandon();
  }
}

}  // namespace lotse::proxy

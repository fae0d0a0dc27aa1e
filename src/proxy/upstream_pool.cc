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

void UpstreamPools::put(UpstreamConnection& connection) {
  // The bound was lowered, or a replay took a fresh connection though there was a pooled one.
  if (open_ > bounds_.connections_max || connection.state().pool.open > bounds_.per_endpoint_max)
    return connection.abandon();
  connection.state().pool.put(connection);
  watch_idle(connection);
}

void UpstreamPools::watch_idle(Upstream& connection) {
  by_age_.push_back(connection);
  if (!oldest_.is_set()) oldest_.set(bounds_.idle_timeout);
}

bool UpstreamPools::make_room() {
  if (open_ < bounds_.connections_max) return true;
  Upstream* oldest = by_age_.front();
  if (oldest == nullptr) return false;
  worker_.counters().upstream_evictions.add();
  oldest->abandon();
  return true;
}

void UpstreamPools::close_all_idle() {
  while (Upstream* connection = by_age_.front()) connection->abandon();
}

// One timer for all: it sleeps until the oldest of the moment is due, however often that one was used meanwhile.
void UpstreamPools::close_old_ones() {
  Instant now = worker_.loop().now();
  while (Upstream* oldest = by_age_.front()) {
    Duration idle = now - oldest->idle_since();
    if (idle < bounds_.idle_timeout) return oldest_.set(bounds_.idle_timeout - idle);
    worker_.counters().upstream_idle_closes.add();
    oldest->abandon();
  }
}

}  // namespace lotse::proxy

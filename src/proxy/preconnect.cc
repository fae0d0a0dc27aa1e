#include "proxy/preconnect.h"

#include <algorithm>

#include "proxy/upstream_connection.h"
#include "proxy/worker.h"

namespace lotse::proxy {

namespace {
constexpr Duration kTick = std::chrono::seconds(1);  // an endpoint that refuses is not asked more often
constexpr int kOpensPerTick = 64;
}  // namespace

Preconnector::Preconnector(Worker& worker)
    : worker_(worker), next_(worker.loop(), [this] {
        Turn turn(worker_);
        tick();
      }) {}
Preconnector::~Preconnector() = default;

void Preconnector::watch(EndpointRecord& record) {
  const bool is_wanted = record.states[worker_.index()].preconnect > 0;
  auto place = std::find(watched_.begin(), watched_.end(), &record);
  if (!is_wanted && place != watched_.end()) watched_.erase(place);
  if (!is_wanted || worker_.is_draining()) return;
  if (place == watched_.end()) watched_.push_back(&record);
  next_.set(Duration::zero());  // after the whole update
}

void Preconnector::forget(EndpointRecord& record) { std::erase(watched_, &record); }

void Preconnector::stop() {
  watched_.clear();
  next_.stop();
}

void Preconnector::tick() {
  give_up_late_ones();
  int left = kOpensPerTick;
  for (EndpointRecord* record : watched_) open_for(*record, left);
  if (left < kOpensPerTick && !watched_.empty()) std::rotate(watched_.begin(), watched_.begin() + 1, watched_.end());
  if (!watched_.empty()) next_.set(kTick);
}

void Preconnector::open_for(EndpointRecord& record, int& left) {
  const EndpointState& state = record.states[worker_.index()];
  if (state.is_removed || state.state != model::EndpointState::up) return;
  if (!record.endpoint.agent.empty() && worker_.freshness().is_stale()) return;  // only with a question, for a request
  if (state.speaks_h2) {                                                         // one is enough for many requests
    if (left == 0 || state.h2.open() > 0 || !worker_.pools().has_unused_room()) return;
    --left;
    return worker_.open_h2_upstream(record).connect();
  }
  while (left > 0 && state.pool.open < state.preconnect && worker_.pools().has_unused_room()) {
    --left;
    UpstreamConnection& connection = worker_.open_upstream(record);
    connecting_.push_back(connection);
    connection.connect_for_pool();
  }
}

void Preconnector::give_up_late_ones() {
  const Instant late = worker_.loop().now() - worker_.config().timeouts.connect;
  while (UpstreamConnection* connection = connecting_.front()) {
    if (connection->idle_since() > late) return;
    connection->abandon();
  }
}

}  // namespace lotse::proxy

// The idle connections to one endpoint of one worker (UpstreamPool): last in, first out, so that the surplus grows old
// and goes; and what a worker bounds over all of them (UpstreamPools): idle time and the number of connections. Knows
// nothing of requests and never connects. One loop thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "proxy/deadline.h"
#include "proxy/intrusive_list.h"
#include "proxy/upstream.h"

namespace lotse::proxy {

class UpstreamConnection;
class Worker;
struct InPool;  // tag: idle, in its endpoint's pool

class UpstreamPool {
 public:
  UpstreamConnection* take();  // the one used last, unlinked; null: none is idle
  void put(UpstreamConnection& connection);
  void close_idle();
  std::size_t open = 0;  // connecting, busy and idle ones; kept by UpstreamConnection

 private:
  IntrusiveList<UpstreamConnection, InPool> idle_;
};

class UpstreamPools {
 public:
  explicit UpstreamPools(Worker& worker);
  ~UpstreamPools();
  struct Bounds {
    Duration idle_timeout{};
    std::size_t connections_max = 0;  // over all endpoints
    std::size_t per_endpoint_max = 0;
  };
  void configure(const Bounds& bounds) { bounds_ = bounds; }

  void put(UpstreamConnection& connection);  // its answer is over: to its endpoint's pool
  void watch_idle(Upstream& connection);     // nobody uses it: it goes when that lasts, or when room is needed
  // Is there room for one more? Closes the longest idle one for it, whichever endpoint it belongs to.
  bool make_room();
  bool has_unused_room() const { return open_ < bounds_.connections_max; }
  bool has_room() const { return open_ < bounds_.connections_max || !by_age_.empty(); }  // or could make it
  void close_all_idle();
  void stop() { oldest_.stop(); }  // before the loop ends
  void on_opened() { ++open_; }
  void on_closed() { --open_; }
  std::size_t open() const { return open_; }

 private:
  void close_old_ones();

  Worker& worker_;
  Bounds bounds_;
  std::size_t open_ = 0;
  IntrusiveList<Upstream, InIdleList> by_age_;  // the longest idle in front
  Deadline oldest_;
};

}  // namespace lotse::proxy

// Keeps apps.*.preconnect connections open to each of an app's endpoints that is up, so that a burst after a quiet time
// finds them made. Opens a few per tick, never in another's place, and never while the table may be old (P2). Knows
// nothing of requests: what it opens goes to the pool. One per worker; one loop thread.
#pragma once

#include <cstddef>
#include <vector>

#include "proxy/deadline.h"
#include "proxy/endpoint_record.h"
#include "proxy/intrusive_list.h"

namespace lotse::proxy {

class UpstreamConnection;
class Worker;
struct InPreconnect;  // tag: being connected for nobody yet

class Preconnector {
 public:
  explicit Preconnector(Worker& worker);
  ~Preconnector();

  void watch(EndpointRecord& record);  // its state, or how many it is to have, is new
  void forget(EndpointRecord& record);
  void stop();  // before the loop ends, and when draining

 private:
  void tick();
  void open_for(EndpointRecord& record, int& left);
  void give_up_late_ones();

  Worker& worker_;
  std::vector<EndpointRecord*> watched_;  // in the worker's table, with a preconnect above 0
  IntrusiveList<UpstreamConnection, InPreconnect> connecting_;
  Deadline next_;
};

}  // namespace lotse::proxy

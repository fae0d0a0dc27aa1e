// A connection to an endpoint as its worker keeps it, whatever it speaks: UpstreamConnection is HTTP/1.1, H2Upstream
// HTTP/2. Owned by the worker's list until it is buried; one loop thread.
#pragma once

#include "base/clock.h"
#include "proxy/intrusive_list.h"

namespace lotse::proxy {

struct InUpstreams;  // tag: every upstream connection of the worker
struct InIdleList;   // tag: idle, by age, over all endpoints of the worker

class Upstream : public ListNode<InUpstreams>, public ListNode<InIdleList> {
 public:
  virtual ~Upstream() = default;
  virtual void abandon() = 0;                         // close at once; nobody is told
  Instant idle_since() const { return idle_since_; }  // of one that connects for the pool: since when it does

 protected:
  Instant idle_since_{};
};

}  // namespace lotse::proxy

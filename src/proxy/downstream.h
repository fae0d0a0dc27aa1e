// A client's connection as its worker keeps it, whatever it speaks. Owned by the worker's list until it is buried; one
// loop thread.
#pragma once

#include <cstddef>

#include "proxy/intrusive_list.h"

namespace lotse::proxy {

struct WorkerListener;
struct InDownstreams;  // tag: every downstream connection of the worker

class Downstream : public ListNode<InDownstreams> {
 public:
  virtual ~Downstream() = default;
  virtual void drain() = 0;  // finish what is begun, then close; an idle one gets a moment for a request under way
  virtual void close() = 0;  // at once
  // Of limits.memory_bytes_max. free_memory(): it holds the most; what is idle gives its buffers back, the rest ends.
  virtual std::size_t held_bytes() const { return 0; }
  virtual void free_memory() { close(); }
  virtual bool is_of(const WorkerListener& listener) const = 0;
};

}  // namespace lotse::proxy

// What the proxy wants to know of the world outside: which endpoints there are, and whether a task is still where the
// table says. Owned by the proxy (the consumer); `cli` plugs discovery into it. Main thread of the proxy only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "model/routes.h"

namespace lotse::proxy {

// A change of the merged table (all sources). An endpoint is named by its identity, see model::Endpoint.
struct EndpointChange {
  std::vector<model::Endpoint> set;      // new, or replaces the one of the same identity
  std::vector<model::Endpoint> removed;  // only the identity counts
  bool is_snapshot = false;              // `set` is all there is: whatever else is known goes
};

enum class Confirmation : std::uint8_t { confirmed, denied, silent };  // denied: the agent says the task is not there

// Asked by a stale proxy before it opens a new connection to an endpoint that has an agent (P2, design section 6).
class TaskConfirmer {
 public:
  virtual void confirm(const model::Endpoint& endpoint, std::function<void(Confirmation)> on_answer) = 0;

 protected:
  ~TaskConfirmer() = default;
};

}  // namespace lotse::proxy

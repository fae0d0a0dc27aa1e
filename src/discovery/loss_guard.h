// P3: decides whether endpoints that one source reports as lost may go, or are held back because too many are lost in a
// short time. Counts only; knows no endpoints. One per source.
#pragma once

#include <cstddef>
#include <deque>

#include "base/clock.h"

namespace lotse::discovery {

class LossGuard {
 public:
  struct Options {
    int max_removal_percent = 50;  // of the source's endpoints, within `window`; 100: the guard is off
    Duration window = std::chrono::seconds(10);
    std::size_t always_allowed = 4;  // endpoints within `window`: small tables are not guarded
  };
  explicit LossGuard(Options options) : options_(options) {}
  void set_options(Options options) { options_ = options; }

  // `lost` endpoints of `endpoints` (before the loss) are reported at once. The event goes or is held as a whole: a
  // table that came back empty is wrong in all of its lines, not in the half beyond the limit.
  bool allows(std::size_t lost, std::size_t endpoints, Instant now);

 private:
  struct Loss {
    Instant when;
    std::size_t count = 0;
    bool has_gone = false;
  };
  Options options_;
  std::deque<Loss> losses_;  // of the last window; losses of the same instant are one
};

}  // namespace lotse::discovery

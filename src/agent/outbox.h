// Task statuses on their way to the scheduler: numbered without gaps per data directory, on disk until acknowledged, so
// that a death seen by an agent that dies itself is still told. The number is what makes "exactly once" possible.
// Writes are batched: add() as often as wanted, flush() once per turn; only flushed statuses may be sent.
// Owned by the agent; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "agent/unit_result.h"
#include "model/agent_protocol.h"

namespace lotse::agent {

class Outbox {
 public:
  static constexpr std::size_t kStatusesMax = 8192;  // beyond: statuses overtaken by a later one of their task go

  explicit Outbox(std::string path) : path_(std::move(path)) {}
  Done load();

  std::uint64_t add(model::TaskStatus status);  // sets and returns its number
  Done flush();                                 // what was added is on disk, or the Problem says why not
  bool needs_flush() const { return is_dirty_; }

  // Everything up to `number` is committed by the scheduler. A number we never gave out (our disk was restored from an
  // older copy) moves our own counter beyond it, or the scheduler would take new statuses for old ones.
  void acknowledge(std::uint64_t number);

  std::vector<model::TaskStatus> first(std::size_t count) const;  // the oldest unacknowledged, ascending
  bool has_status_of(const model::TaskId& task) const;
  std::size_t size() const { return statuses_.size(); }
  std::uint64_t last_number() const { return next_number_ - 1; }

 private:
  void drop_overtaken();

  std::string path_;
  std::deque<model::TaskStatus> statuses_;
  std::uint64_t next_number_ = 1;
  bool is_dirty_ = false;  // by add(). Acknowledgements ride along with the next write: telling twice does no harm
};

}  // namespace lotse::agent

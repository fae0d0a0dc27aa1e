// The wires between the simulated processes. Requests may be lost, late (even after their sender gave up) or answered
// in vain; streams deliver in order until they break. Nothing outlives the end of the scheduler it was sent to.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "tests/simulation/timeline.h"

namespace lotse::simulation {

struct Faults {
  bool network = true;     // lost, late, doubled messages; broken streams
  bool scheduler = true;   // crashes, failed writes
  bool agents = true;      // crashes, partitions
  bool containers = true;  // deaths, failed starts, failed health checks
  bool proxies = true;     // crashes, joins
};

class Network {
 public:
  Network(Timeline& timeline, Dice& dice, const Faults& faults) : timeline_(timeline), dice_(dice), faults_(faults) {}

  // One way of a request or an answer.
  void send(std::function<void()> arrive) {
    if (faults_.network && dice_.once_in(60)) return;
    Duration delay = dice_.between(200us, 20ms);
    if (faults_.network && dice_.once_in(60)) delay = dice_.between(1s, 15s);
    timeline_.after(delay, std::move(arrive));
  }

 private:
  Timeline& timeline_;
  Dice& dice_;
  const Faults& faults_;
};

// One connection from the scheduler to an agent or a proxy. Held by both ends; either may close it.
class Stream {
 public:
  Stream(Timeline& timeline, Dice& dice, const Faults& faults, std::function<void()> on_break)
      : timeline_(timeline), dice_(dice), faults_(faults), on_break_(std::move(on_break)) {}

  static void send(const std::shared_ptr<Stream>& stream, std::function<void()> arrive) {
    if (!stream->open_) return;
    if (stream->faults_.network && stream->dice_.once_in(200)) {
      stream->close();
      return;
    }
    stream->last_ = std::max(stream->last_, stream->timeline_.now + stream->dice_.between(200us, 20ms));
    stream->timeline_.at(stream->last_, [stream, arrive = std::move(arrive)] {
      if (stream->open_) arrive();
    });
  }
  void close() {  // what is under way is lost; the receiver notices in a while
    if (!std::exchange(open_, false)) return;
    timeline_.after(dice_.between(1ms, 3s), std::exchange(on_break_, nullptr));
  }
  bool is_open() const { return open_; }

 private:
  Timeline& timeline_;
  Dice& dice_;
  const Faults& faults_;
  std::function<void()> on_break_;
  Instant last_{};
  bool open_ = true;
};

}  // namespace lotse::simulation

// One event loop and what belongs to its thread: timers, clock, the shared read buffer. Wraps uv_loop_t, which only the
// net room sees. Everything is used from the loop's thread, except post() and stop().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "base/clock.h"
#include "net/loop_load.h"

struct uv_loop_s;

namespace lotse::net {

class SplicePipes;
class TlsBench;
class Timers;

class Loop {
 public:
  Loop();
  ~Loop();  // every handle's owner must be gone: runs the loop empty and CHECKs that it closes
  Loop(const Loop&) = delete;

  void run();   // until stop(); with set_keep_alive(false) also until no handle, armed timer or posted work is left
  void stop();  // any thread; run() returns after the current callbacks
  void run_once_ready();                 // one non-blocking turn (tests)
  void run_once();                       // one turn that waits for something to happen (tests)
  void set_keep_alive(bool keep_alive);  // default: true, as a worker may have nothing to do but wait for post()

  // Any thread: runs `work` on the loop's thread, in order per caller. Work posted after run() ended runs at the next
  // run() or is destroyed with the loop.
  void post(std::function<void()> work);

  // From a loop callback: runs `work` after the current callbacks, before polling again. Safe way to delete oneself.
  void defer(std::function<void()> work);

  // Called in every turn when the poll's callbacks are over, before what was deferred. One per loop; empty: none.
  void set_after_poll(std::function<void()> work);

  Timers& timers();
  const Clock& clock() const;
  // Read once a turn, when first asked for after a poll: every callback of the turn sees one time, good to the
  // microsecond at the turn's beginning. clock().now() asks the kernel.
  Instant now() const;

  std::span<char> read_buffer();  // 64 KiB shared by every stream of the loop: an idle connection owns none
  TlsBench& tls_bench();          // what TLS streams share in the same way; made when the first one asks
  SplicePipes& splice_pipes();    // what Stream::splice_to() takes its pipes from
  std::uint64_t turns() const;    // loop iterations so far
  // Any thread: bytes that streams of this loop hold because their sockets did not take them. They report each change.
  std::size_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }
  void count_queued(std::size_t more, std::size_t less) {
    queued_bytes_.store(queued_bytes_.load(std::memory_order_relaxed) + more - less, std::memory_order_relaxed);
  }
  LoopLoad& load();  // any thread

  uv_loop_s* raw();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<std::size_t> queued_bytes_{0};  // written by the loop's thread only
};

}  // namespace lotse::net

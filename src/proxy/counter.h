// A number that one thread writes and any thread may read: a relaxed load and store, no locked instruction, so that
// counting costs the request path an addition. Not for two writers. Merged on read, see proxy_metrics.cc.
#pragma once

#include <atomic>
#include <cstdint>

namespace lotse::proxy {

class Counter {
 public:
  void add(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
  void subtract(std::uint64_t amount = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - amount, std::memory_order_relaxed);
  }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

}  // namespace lotse::proxy

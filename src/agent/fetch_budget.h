// What one task's fetching may cost: bytes, time, and whether anybody still wants it. Shared by the loop thread, which
// may cancel, and the thread that fetches; that one alone spends. Every loop of the fetching asks it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace lotse::agent {

struct FetchBounds {
  static constexpr std::size_t kTasksMax = 4;            // fetching at once; the others wait in line
  static constexpr std::size_t kEntriesMax = 200'000;    // files and folders of one archive
  std::int64_t bytes_max = std::int64_t{4} << 30;        // of one task: what is downloaded, copied and unpacked
  std::chrono::milliseconds time_max{600'000};           // of one task, from its first byte on
  std::int64_t cache_bytes_max = std::int64_t{2} << 30;  // of all that is kept for `cache: true`; the oldest goes first
};

class FetchBudget {
 public:
  explicit FetchBudget(const FetchBounds& bounds)
      : bytes_max_(bounds.bytes_max),
        time_max_(bounds.time_max),
        deadline_(std::chrono::steady_clock::now() + bounds.time_max) {}

  void cancel() { is_cancelled_.store(true, std::memory_order_relaxed); }

  // Why it must end now; nullopt: go on. Also after spending `bytes` more.
  std::optional<std::string> spend(std::int64_t bytes) {
    bytes_ += bytes;
    if (is_cancelled_.load(std::memory_order_relaxed)) return "is not wanted any more";
    if (bytes_ > bytes_max_) {
      return "brings more than " + std::to_string(bytes_max_ >> 20) + " MiB, which is what one task may fetch here";
    }
    if (std::chrono::steady_clock::now() >= deadline_) {
      return "takes longer than the " + std::to_string(time_max_.count() / 1000) + " s that fetching may take here";
    }
    return std::nullopt;
  }
  std::int64_t bytes() const { return bytes_; }

 private:
  std::atomic<bool> is_cancelled_{false};
  std::int64_t bytes_ = 0, bytes_max_;
  std::chrono::milliseconds time_max_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace lotse::agent

// The access log: one JSON line per request. Workers format into a buffer of their own (AccessLogBuffer) and hand it
// over when it is full or 100 ms old; one writer thread writes. Nothing here blocks a loop: when the writer lags behind
// a bound whole buffers are dropped and counted. Owned by the Proxy; a buffer belongs to its worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "net/listen.h"
#include "proxy/deadline.h"

namespace lotse::proxy {

class AccessLog {
 public:
  static constexpr std::size_t kQueuedBytesMax = 4 * 1024 * 1024;

  AccessLog() = default;
  ~AccessLog();  // writes what is queued, for at most a second
  AccessLog(const AccessLog&) = delete;

  Result<Unit, Problem> open(const std::string& path);  // "-": standard output; again: reopens (SIGHUP)

  // Any thread. Takes the contents of `lines` and leaves an empty string with a capacity.
  void submit(std::string& lines, std::size_t count);
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }  // lines

 private:
  void run();
  bool write(int fd, std::string_view text);

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::string> queue_, spare_;  // guarded by the mutex, as the rest up to `thread_`
  std::size_t queued_bytes_ = 0;
  net::UniqueFd reopened_;
  bool has_reopened_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::chrono::steady_clock::time_point give_up_at_ = std::chrono::steady_clock::time_point::max();  // the writer's
  std::thread thread_;
};

struct AccessLogEntry {
  std::string_view client, method, host, path;
  int status = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;  // of bodies
  Duration took{};
  std::string_view app, task, endpoint;
  int attempts = 0;
  std::string_view error;
};

class AccessLogBuffer {  // one loop thread
 public:
  AccessLogBuffer(net::Loop& loop, AccessLog& log);
  ~AccessLogBuffer() { flush(); }
  void write(const AccessLogEntry& entry);
  void flush();

 private:
  static constexpr std::size_t kBufferBytes = 32 * 1024;
  net::Loop& loop_;
  AccessLog& log_;
  std::string lines_;
  std::size_t count_ = 0;
  WallTime formatted_time_{};
  std::string time_text_;  // of formatted_time_: many requests end in one millisecond
  Deadline deadline_;
};

}  // namespace lotse::proxy

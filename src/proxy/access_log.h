// The access log: one JSON line per request. Workers format into a block of their own (AccessLogBuffer) and hand it
// over when it is full or 100 ms old; one writer thread writes each with one call. Nothing here blocks a loop: when the
// writer lags behind a bound, whole blocks are dropped and their lines counted. Owned by the Proxy; a buffer belongs to
// its worker.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "net/listen.h"
#include "proxy/deadline.h"

namespace lotse::proxy {

// Lines on their way to the writer. Blocks go round: the writer gives empty ones back.
struct LogBlock {
  std::unique_ptr<char[]> bytes;
  std::size_t capacity = 0, size = 0, lines = 0;

  // Room for `more` bytes after what is there.
  char* reserve(std::size_t more) {
    if (capacity - size < more) grow(size + more);
    return bytes.get() + size;
  }
  void commit(const char* end) {
    size = static_cast<std::size_t>(end - bytes.get());
    ++lines;
  }
  void clear() { size = lines = 0; }
  std::string_view text() const { return {bytes.get(), size}; }

 private:
  void grow(std::size_t wanted);
};

class AccessLog {
 public:
  AccessLog() = default;
  ~AccessLog();  // writes what is queued, for at most a second
  AccessLog(const AccessLog&) = delete;

  Result<Unit, Problem> open(const std::string& path);  // "-": standard output; again: reopens (SIGHUP)

  // Bytes that may wait for the writer, over all workers.
  void set_queued_bytes_max(std::size_t bytes) { queued_bytes_max_.store(bytes, std::memory_order_relaxed); }

  // Any thread. Takes what is in `block`, or drops it when too much waits already, and leaves an empty one.
  void submit(LogBlock& block);
  std::uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }  // lines

 private:
  void run();
  bool write(int fd, std::string_view text);
  void tell_drops();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<LogBlock> queue_, spare_;  // guarded by the mutex, as the rest up to `thread_`
  std::size_t queued_bytes_ = 0;
  net::UniqueFd reopened_;
  bool has_reopened_ = false;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::uint64_t> dropped_ = 0;
  std::atomic<std::size_t> queued_bytes_max_ = std::size_t{4} * 1024 * 1024;
  // The writer's.
  bool line_is_torn_ = false;  // the disk took only a part of the last line
  std::uint64_t drops_told_ = 0;
  std::chrono::steady_clock::time_point told_at_ = std::chrono::steady_clock::time_point::min();
  std::chrono::steady_clock::time_point give_up_at_ = std::chrono::steady_clock::time_point::max();  // the writer's
  std::thread thread_;
};

struct AccessLogEntry {
  std::string_view client, method, host, path;
  int status = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;  // of bodies
  Duration took{}, first_byte{};              // first_byte: of the endpoint that answered; 0: none did
  std::string_view app, task, endpoint;
  int attempts = 0;
  std::string_view error;
  std::string_view http_version = "1.1";
};

struct ConnectionLogEntry {  // a connection of a TCP listener
  std::string_view listener, client, server_name;
  std::uint64_t bytes_in = 0, bytes_out = 0;  // from the client, to the client
  Duration took{}, connect{};                 // connect: to the endpoint that has it; 0: none has
  std::string_view app, task, endpoint;
  std::uint32_t attempts = 0;
  std::string_view error;
};

class AccessLogBuffer {  // one loop thread
 public:
  AccessLogBuffer(net::Loop& loop, AccessLog& log);
  ~AccessLogBuffer() { flush(); }
  void write(const AccessLogEntry& entry);
  void write_connection(const ConnectionLogEntry& entry);
  void flush();

 private:
  std::string_view time_of_turn();
  char* begin_line(std::size_t bytes_max);
  void end_line(char* out);

  net::Loop& loop_;
  AccessLog& log_;
  LogBlock block_;
  Instant turn_{};  // that time_text_ belongs to: the wall clock is read once per turn of the loop
  std::chrono::sys_seconds formatted_second_{};
  std::string time_text_;  // as of turn_
  Deadline deadline_;
};

}  // namespace lotse::proxy

#include "proxy/access_log.h"

#include <fcntl.h>
#include <fmt/compile.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iterator>
#include <utility>

namespace lotse::proxy {

namespace {

constexpr Duration kFlushInterval = std::chrono::milliseconds(100);
constexpr auto kLastWords = std::chrono::seconds(1);
constexpr std::size_t kPipeBytes = 4096;  // PIPE_BUF: a pipe that polls writable takes this much without blocking

// JSON strings: control characters, quotes and backslashes escaped; bytes above ASCII that may not be UTF-8 as \u00xx,
// so that every line is valid JSON whatever a client sends.
void append_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte == '"' || byte == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += name;
  append_string(out, value);
}

}  // namespace

// The buffer of a worker -----------------------------------------------------------------------------------------

AccessLogBuffer::AccessLogBuffer(net::Loop& loop, AccessLog& log)
    : loop_(loop), log_(log), deadline_(loop, [this] { flush(); }) {
  lines_.reserve(kBufferBytes + 4096);
}

void AccessLogBuffer::write(const AccessLogEntry& entry) {
  if (WallTime now = loop_.clock().wall(); now != formatted_time_ || time_text_.empty()) {
    formatted_time_ = now;
    time_text_ = format_timestamp(now);
  }
  lines_ += R"({"time":")";
  lines_ += time_text_;
  lines_ += '"';
  append_field(lines_, R"(,"client":)", entry.client);
  append_field(lines_, R"(,"method":)", entry.method);
  append_field(lines_, R"(,"host":)", entry.host);
  append_field(lines_, R"(,"path":)", entry.path);
  fmt::format_to(std::back_inserter(lines_),
                 FMT_COMPILE(R"(,"status":{},"bytes_in":{},"bytes_out":{},"duration_ms":{}.{:03})"), entry.status,
                 entry.bytes_in, entry.bytes_out, entry.took.count() / 1'000'000, entry.took.count() / 1000 % 1000);
  append_field(lines_, R"(,"app":)", entry.app);
  append_field(lines_, R"(,"task":)", entry.task);
  append_field(lines_, R"(,"endpoint":)", entry.endpoint);
  if (entry.attempts > 0) fmt::format_to(std::back_inserter(lines_), FMT_COMPILE(R"(,"attempts":{})"), entry.attempts);
  append_field(lines_, R"(,"error":)", entry.error);
  lines_ += "}\n";
  ++count_;
  if (lines_.size() >= kBufferBytes) return flush();
  if (!deadline_.is_set()) deadline_.set(kFlushInterval);
}

void AccessLogBuffer::flush() {
  deadline_.clear();
  if (count_ == 0) return;
  log_.submit(lines_, std::exchange(count_, 0));
}

// The writer ------------------------------------------------------------------------------------------------------

AccessLog::~AccessLog() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Result<Unit, Problem> AccessLog::open(const std::string& path) {
  net::UniqueFd fd(path == "-" ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                               : ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) return fail(Problem{"access_log.path", "cannot open " + path + ": " + std::strerror(errno)});
  {
    std::lock_guard lock(mutex_);
    reopened_ = std::move(fd);
    has_reopened_ = true;
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake_.notify_one();
  return Unit{};
}

void AccessLog::submit(std::string& lines, std::size_t count) {
  {
    std::lock_guard lock(mutex_);
    if (queued_bytes_ + lines.size() > kQueuedBytesMax) {
      dropped_.fetch_add(count, std::memory_order_relaxed);
      lines.clear();
      return;
    }
    queued_bytes_ += lines.size();
    std::string empty;
    if (!spare_.empty()) {
      empty = std::move(spare_.back());
      spare_.pop_back();
    }
    empty.clear();
    queue_.push_back(std::exchange(lines, std::move(empty)));
  }
  wake_.notify_one();
}

void AccessLog::run() {
  net::UniqueFd fd;
  std::vector<std::string> batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || has_reopened_ || !queue_.empty(); });
    if (std::exchange(has_reopened_, false)) fd = std::move(reopened_);
    if (queue_.empty() && stopping_) return;
    batch.swap(queue_);
    std::size_t bytes = 0;
    lock.unlock();
    for (const std::string& lines : batch) {
      bytes += lines.size();
      if (!write(fd.get(), lines)) {
        dropped_.fetch_add(static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n')),
                           std::memory_order_relaxed);
      }
    }
    lock.lock();
    queued_bytes_ -= bytes;
    for (std::string& lines : batch) {
      if (spare_.size() < 8) spare_.push_back(std::move(lines));
    }
    batch.clear();
  }
}

bool AccessLog::write(int fd, std::string_view text) {
  struct stat about {};
  const bool is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  using Time = std::chrono::steady_clock::time_point;
  while (!text.empty()) {
    if (!is_file) {  // a pipe or terminal may block for ever: look first, so that a stop is seen
      pollfd poll_fd{fd, POLLOUT, 0};
      if (poll(&poll_fd, 1, 100) == 0) {
        auto now = std::chrono::steady_clock::now();
        if (stopping_ && give_up_at_ == Time::max()) give_up_at_ = now + kLastWords;
        if (now >= give_up_at_) return false;
        continue;
      }
    }
    ssize_t written = ::write(fd, text.data(), is_file ? text.size() : std::min(text.size(), kPipeBytes));
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace lotse::proxy

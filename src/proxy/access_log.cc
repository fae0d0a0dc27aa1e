#include "proxy/access_log.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "proxy/log_line.h"

namespace lotse::proxy {

namespace {

constexpr Duration kFlushInterval = std::chrono::milliseconds(100);
constexpr auto kLastWords = std::chrono::seconds(1);
constexpr std::size_t kPipeBytes = 4096;  // PIPE_BUF: a pipe that polls writable takes this much without blocking

constexpr std::size_t kSpareBlocksMax = 64;
constexpr std::size_t kBlockBytes = 32 * 1024;  // then a block goes to the writer
constexpr auto kTellDropsEvery = std::chrono::seconds(10);

char* put_field(char* out, std::string_view name, std::string_view value) {
  return value.empty() ? out : put_string(put(out, name), value);
}

char* put_count(char* out, std::string_view name, std::uint64_t value) { return put_number(put(out, name), value); }

char* put_milliseconds(char* out, std::string_view name, Duration duration) {  // 12.345
  auto micros = static_cast<std::uint64_t>(duration.count() > 0 ? duration.count() / 1000 : 0);
  out = put_count(out, name, micros / 1000);
  auto rest = micros % 1000;
  *out++ = '.';
  *out++ = static_cast<char>('0' + rest / 100);
  *out++ = static_cast<char>('0' + rest / 10 % 10);
  *out++ = static_cast<char>('0' + rest % 10);
  return out;
}

std::size_t bytes_max(std::initializer_list<std::string_view> texts) {
  constexpr std::size_t kNamesAndNumbers = 512;
  std::size_t bytes = kNamesAndNumbers;
  for (std::string_view text : texts) bytes += json_string_bytes_max(text);
  return bytes;
}

std::size_t bytes_max(const AccessLogEntry& entry) {
  return bytes_max(
      {entry.client, entry.method, entry.host, entry.path, entry.app, entry.task, entry.endpoint, entry.error});
}

}  // namespace

// The block of a worker ------------------------------------------------------------------------------------------

void LogBlock::grow(std::size_t wanted) {
  auto larger = std::make_unique_for_overwrite<char[]>(wanted);
  if (size > 0) std::memcpy(larger.get(), bytes.get(), size);
  bytes = std::move(larger);
  capacity = wanted;
}

AccessLogBuffer::AccessLogBuffer(net::Loop& loop, AccessLog& log)
    : loop_(loop), log_(log), deadline_(loop, [this] { flush(); }) {}

std::string_view AccessLogBuffer::time_of_turn() {
  if (Instant now = loop_.now(); now != turn_) {
    turn_ = now;
    const WallTime wall = loop_.clock().wall();
    const auto second = std::chrono::floor<std::chrono::seconds>(wall);
    if (time_text_.empty() || second != formatted_second_) {
      formatted_second_ = second;
      time_text_ = format_timestamp(wall);
    } else {  // "2015-08-26T20:23:39.463Z": only the milliseconds have moved
      auto millis = (wall - second).count();
      time_text_[20] = static_cast<char>('0' + millis / 100);
      time_text_[21] = static_cast<char>('0' + millis / 10 % 10);
      time_text_[22] = static_cast<char>('0' + millis % 10);
    }
  }
  return time_text_;
}

char* AccessLogBuffer::begin_line(std::size_t room) {
  if (block_.size > 0 && block_.capacity - block_.size < room) flush();
  if (block_.capacity == 0) block_.reserve(kBlockBytes + 4096);
  char* out = block_.reserve(room);
  out = put(out, R"({"time":")");
  out = put(out, time_of_turn());
  *out++ = '"';
  return out;
}

void AccessLogBuffer::end_line(char* out) {
  out = put(out, "}\n");
  block_.commit(out);
  if (block_.size >= kBlockBytes) return flush();
  if (!deadline_.is_set()) deadline_.set(kFlushInterval);
}

void AccessLogBuffer::write(const AccessLogEntry& entry) {
  char* out = begin_line(bytes_max(entry));
  out = put_field(out, R"(,"client":)", entry.client);
  out = put_field(out, R"(,"method":)", entry.method);
  out = put_field(out, R"(,"host":)", entry.host);
  out = put_field(out, R"(,"path":)", entry.path);
  out = put(out, R"(,"http_version":")");
  out = put(out, entry.http_version);
  *out++ = '"';
  out = put_count(out, R"(,"status":)", static_cast<std::uint64_t>(entry.status));
  out = put_count(out, R"(,"bytes_in":)", entry.bytes_in);
  out = put_count(out, R"(,"bytes_out":)", entry.bytes_out);
  out = put_milliseconds(out, R"(,"duration_ms":)", entry.took);
  if (entry.first_byte > Duration::zero()) out = put_milliseconds(out, R"(,"first_byte_ms":)", entry.first_byte);
  out = put_field(out, R"(,"app":)", entry.app);
  out = put_field(out, R"(,"task":)", entry.task);
  out = put_field(out, R"(,"endpoint":)", entry.endpoint);
  if (entry.attempts > 0) out = put_count(out, R"(,"attempts":)", static_cast<std::uint64_t>(entry.attempts));
  out = put_field(out, R"(,"error":)", entry.error);
  end_line(out);
}

void AccessLogBuffer::write_connection(const ConnectionLogEntry& entry) {
  char* out = begin_line(
      bytes_max({entry.listener, entry.client, entry.server_name, entry.app, entry.task, entry.endpoint, entry.error}));
  out = put_field(out, R"(,"client":)", entry.client);
  out = put_field(out, R"(,"listener":)", entry.listener);
  out = put(out, R"(,"protocol":"tcp")");
  out = put_field(out, R"(,"server_name":)", entry.server_name);
  out = put_count(out, R"(,"bytes_in":)", entry.bytes_in);
  out = put_count(out, R"(,"bytes_out":)", entry.bytes_out);
  out = put_milliseconds(out, R"(,"duration_ms":)", entry.took);
  if (entry.connect > Duration::zero()) out = put_milliseconds(out, R"(,"connect_ms":)", entry.connect);
  out = put_field(out, R"(,"app":)", entry.app);
  out = put_field(out, R"(,"task":)", entry.task);
  out = put_field(out, R"(,"endpoint":)", entry.endpoint);
  if (entry.attempts > 0) out = put_count(out, R"(,"attempts":)", entry.attempts);
  out = put_field(out, R"(,"error":)", entry.error);
  end_line(out);
}

void AccessLogBuffer::flush() {
  deadline_.clear();
  if (block_.lines > 0) log_.submit(block_);
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
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {  // a limit of the system, met by a reload: no reason to end
      return fail(Problem{"access_log", std::string("cannot start its writer: ") + error.what()});
    }
  }
  wake_.notify_one();
  return Unit{};
}

void AccessLog::submit(LogBlock& block) {
  {
    std::lock_guard lock(mutex_);
    if (queued_bytes_ + block.size > queued_bytes_max_.load(std::memory_order_relaxed)) {
      dropped_.fetch_add(block.lines, std::memory_order_relaxed);
      block.clear();
      return;
    }
    queued_bytes_ += block.size;
    LogBlock empty;
    if (!spare_.empty()) {
      empty = std::move(spare_.back());
      spare_.pop_back();
    }
    queue_.push_back(std::exchange(block, std::move(empty)));
  }
  wake_.notify_one();
}

void AccessLog::run() {
  net::UniqueFd fd;
  std::vector<LogBlock> batch;
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stopping_ || has_reopened_ || !queue_.empty(); });
    if (std::exchange(has_reopened_, false)) fd = std::move(reopened_);
    if (queue_.empty() && stopping_) return;
    batch.swap(queue_);
    std::size_t bytes = 0;
    lock.unlock();
    for (LogBlock& block : batch) {
      bytes += block.size;
      if (!write(fd.get(), block.text())) dropped_.fetch_add(block.lines, std::memory_order_relaxed);
      block.clear();
    }
    tell_drops();
    lock.lock();
    queued_bytes_ -= bytes;
    for (LogBlock& block : batch) {
      if (spare_.size() < kSpareBlocksMax && block.capacity <= 2 * kBlockBytes) spare_.push_back(std::move(block));
    }
    batch.clear();
  }
}

// In words for those who do not look at metrics, but not once per block.
void AccessLog::tell_drops() {
  std::uint64_t drops = dropped();
  auto now = std::chrono::steady_clock::now();
  if (drops == drops_told_ || (told_at_ != told_at_.min() && now - told_at_ < kTellDropsEvery)) return;
  log::warn("proxy", "{} lines of the access log were dropped: it cannot be written, or not fast enough",
            drops - drops_told_);
  drops_told_ = drops;
  told_at_ = now;
}

// False: the text, or the rest of it, is lost. The next line then begins on a line of its own.
bool AccessLog::write(int fd, std::string_view text) {
  struct stat about {};
  const bool is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
  if (line_is_torn_ && is_file && ::write(fd, "\n", 1) == 1) line_is_torn_ = false;
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
    line_is_torn_ = text[static_cast<std::size_t>(written) - 1] != '\n';
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace lotse::proxy

#include "agent/process_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "agent/log_demux.h"
#include "net/listen.h"

namespace lotse::agent {
namespace {

using namespace std::chrono_literals;

constexpr Duration kFollowInterval = 100ms;
constexpr std::int64_t kFirstBytes = 64 * 1024;  // a follower begins this far back

std::int64_t size_of(int fd) {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? static_cast<std::int64_t>(status.st_size) : 0;
}

}  // namespace

void cut_log(const std::string& path, std::int64_t bytes_max) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || status.st_size <= bytes_max) return;
  std::error_code ignored;
  std::filesystem::copy_file(path, path + ".1", std::filesystem::copy_options::overwrite_existing, ignored);
  static_cast<void>(!::truncate(path.c_str(), 0));
}

std::string read_log_tail(const std::string& path, std::size_t bytes_max) {
  net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  auto wanted = static_cast<std::int64_t>(bytes_max) + 4096;  // more, so that it can begin at a line
  std::int64_t from = std::max<std::int64_t>(0, size_of(fd.get()) - wanted);
  std::string text(static_cast<std::size_t>(wanted), '\0');
  ssize_t count = ::pread(fd.get(), text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  keep_tail(text, bytes_max);
  return text;
}

FileLogFollower::FileLogFollower(net::Loop& loop, std::vector<std::string> paths, std::function<bool()> is_running,
                                 LogCallbacks callbacks)
    : is_running_(std::move(is_running)), callbacks_(std::move(callbacks)), timer_(loop.timers(), [this] { poll(); }) {
  for (std::string& path : paths) {
    net::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::int64_t size = fd ? size_of(fd.get()) : 0;
    files_.push_back({std::move(path), std::move(fd), std::max<std::int64_t>(0, size - kFirstBytes)});
  }
  timer_.start(Duration::zero());
}

void FileLogFollower::poll() {
  bool was_running = is_running_();  // asked before reading: what was written before its end is read
  bool found_more = false;
  for (File& file : files_) {
    if (!is_paused_ && read_more(file)) found_more = true;
  }
  if (!was_running && !found_more && !is_paused_) return callbacks_.on_end();
  timer_.start(found_more ? Duration::zero() : kFollowInterval);
}

bool FileLogFollower::read_more(File& file) {
  if (!file.fd) file.fd = net::UniqueFd(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.fd) return false;
  if (size_of(file.fd.get()) < file.offset) file.offset = 0;  // it was cut
  std::array<char, 32 * 1024> buffer;
  ssize_t count = ::pread(file.fd.get(), buffer.data(), buffer.size(), static_cast<off_t>(file.offset));
  if (count <= 0) return false;
  file.offset += count;
  callbacks_.on_text(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
  return true;
}

}  // namespace lotse::agent

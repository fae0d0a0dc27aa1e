#include "net/splice_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace lotse::net {
namespace {

// A pipe counts in slots of one piece of a packet each, 16 by default: with packets of 1.4 KiB that is 23 KiB. 64 of
// them are a quarter of what an unprivileged user may have in one pipe, and 256 pipes all that it may have in sum.
constexpr int kPipeBytes = 256 * 1024;

ssize_t move(int from, int to, std::size_t bytes_max) {
  for (;;) {
    ssize_t count = splice(from, nullptr, to, nullptr, bytes_max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (count >= 0) return count;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace

std::unique_ptr<SplicePipe> SplicePipe::open() {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  auto pipe = std::make_unique<SplicePipe>();
  pipe->read_end_ = UniqueFd(ends[0]);
  pipe->write_end_ = UniqueFd(ends[1]);
  fcntl(ends[1], F_SETPIPE_SZ, kPipeBytes);  // refused to a user who has many: then it stays as it is
  return pipe;
}

ssize_t SplicePipe::fill(int socket, std::size_t bytes_max) {
  ssize_t count = move(socket, write_end_.get(), bytes_max);
  if (count > 0) bytes_ += static_cast<std::size_t>(count);
  return count;
}

ssize_t SplicePipe::empty_into(int socket) {
  ssize_t count = move(read_end_.get(), socket, bytes_);
  if (count > 0) bytes_ -= static_cast<std::size_t>(count);
  return count;
}

void SplicePipe::take_out(std::vector<char>& into, std::size_t bytes_max) {
  into.resize(std::min(bytes_, bytes_max));
  ssize_t count = read(read_end_.get(), into.data(), into.size());
  into.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  bytes_ -= into.size();
}

void SplicePipes::set_max(std::size_t pipes_max) {
  pipes_max_ = pipes_max;
  if (pipes_max == 0) free_.clear();
}

std::unique_ptr<SplicePipe> SplicePipes::take() {
  if (in_use_ >= pipes_max_) return nullptr;
  std::unique_ptr<SplicePipe> pipe;
  if (!free_.empty()) {
    pipe = std::move(free_.back());
    free_.pop_back();
  } else {
    pipe = SplicePipe::open();
  }
  if (pipe != nullptr) ++in_use_;
  return pipe;
}

void SplicePipes::give_back(std::unique_ptr<SplicePipe> pipe) {
  --in_use_;
  if (pipe->bytes() == 0 && free_.size() < kKeptMax && in_use_ + free_.size() < pipes_max_)
    free_.push_back(std::move(pipe));
}

}  // namespace lotse::net

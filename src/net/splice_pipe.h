// Pipes through which bytes pass from one socket to another without coming to user space (splice(2)), and the bounded
// pool of them that a loop has. A pipe belongs to the stream that sends what is in it, and only for as long as
// something is in it: while peers keep up, one pipe serves every connection of the loop. For net's .cc files, but for
// the pool's bound and counts. One loop thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <vector>

#include "net/listen.h"

namespace lotse::net {

class SplicePipe {
 public:
  static std::unique_ptr<SplicePipe> open();  // null: no descriptor or no memory for one

  // From the socket, at most `bytes_max`. 0: the peer has sent FIN. Negative: -errno; -EAGAIN: nothing that can be
  // moved.
  ssize_t fill(int socket, std::size_t bytes_max);
  // Into the socket, as much as that takes. Negative: -errno.
  ssize_t empty_into(int socket);
  // Out of the pipe by copying; `into` is as large as what is wanted.
  void take_out(std::vector<char>& into, std::size_t bytes_max);
  std::size_t bytes() const { return bytes_; }

 private:
  UniqueFd read_end_, write_end_;
  std::size_t bytes_ = 0;
};

class SplicePipes {
 public:
  void set_max(std::size_t pipes_max);  // 0: none. Those in use beyond a lower bound are closed when they come back
  std::size_t max() const { return pipes_max_; }
  std::size_t in_use() const { return in_use_; }

  bool has_free() const { return in_use_ < pipes_max_; }
  std::unique_ptr<SplicePipe> take();                // null: all are in use, or none could be opened
  void give_back(std::unique_ptr<SplicePipe> pipe);  // one with bytes in it is closed, and they are lost

 private:
  static constexpr std::size_t kDefaultMax = 256;
  static constexpr std::size_t kKeptMax = 16;  // more are closed after a peak
  std::size_t pipes_max_ = kDefaultMax;
  std::size_t in_use_ = 0;
  std::vector<std::unique_ptr<SplicePipe>> free_;
};

}  // namespace lotse::net

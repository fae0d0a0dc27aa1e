// The file of a listening unix socket, which the kernel leaves behind: goes with its owner, unless it is another
// socket's by now. Owned by whoever bound the socket; knows nothing of accepting.
#pragma once

#include <cstdint>
#include <string>

#include "net/address.h"

namespace lotse::net {

class SocketFile {
 public:
  SocketFile() = default;
  explicit SocketFile(const Address& bound);  // just now; nothing for other addresses, abstract ones included
  SocketFile(SocketFile&& other) noexcept { swap(other); }
  SocketFile& operator=(SocketFile&& other) noexcept {
    swap(other);
    return *this;
  }
  ~SocketFile() { remove(); }
  void remove();
  void release() { path_.clear(); }  // it is another process's now

 private:
  void swap(SocketFile& other) noexcept;
  std::string path_;
  std::uint64_t device_ = 0, inode_ = 0;
};

}  // namespace lotse::net

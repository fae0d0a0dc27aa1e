#include "net/socket_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace lotse::net {

SocketFile::SocketFile(const Address& bound) {
  if (!bound.is_unix()) return;
  std::string path = bound.to_string().substr(5);
  struct stat found {};
  if (path.starts_with('@') || lstat(path.c_str(), &found) != 0) return;
  path_ = std::move(path);
  device_ = found.st_dev;
  inode_ = found.st_ino;
}

void SocketFile::remove() {
  const std::string path = std::exchange(path_, {});
  struct stat found {};
  if (path.empty() || lstat(path.c_str(), &found) != 0) return;
  if (found.st_dev == device_ && found.st_ino == inode_) unlink(path.c_str());
}

void SocketFile::swap(SocketFile& other) noexcept {
  path_.swap(other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
}

}  // namespace lotse::net

#include "net/descriptor_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <utility>

#include "net/loop.h"
#include "net/uv_error.h"
#include "net/uv_handle.h"

namespace lotse::net {
namespace {

constexpr int kMessagesPerTurnMax = 16;
constexpr int kAcceptsPerTurnMax = 8, kBacklog = 8;

UniqueFd make_socket() { return UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

// A path of any length: a socket's name has room for 107 bytes, which the folder's descriptor is made to fit.
class NamedInFolder {
 public:
  explicit NamedInFolder(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == path.npos ? "." : path.substr(0, slash + 1);
    folder_ = UniqueFd(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    name_.sun_family = AF_UNIX;
    int length = std::snprintf(name_.sun_path, sizeof name_.sun_path, "/proc/self/fd/%d/%s", folder_.get(),
                               path.c_str() + (slash == path.npos ? 0 : slash + 1));
    if (length < 0 || static_cast<std::size_t>(length) >= sizeof name_.sun_path) folder_.close();
  }
  explicit operator bool() const { return static_cast<bool>(folder_); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&name_); }
  static socklen_t length() { return sizeof(sockaddr_un); }

 private:
  UniqueFd folder_;
  sockaddr_un name_{};
};

class PollChannel final : public DescriptorChannel {
 public:
  PollChannel(Loop& loop, UniqueFd fd, Callbacks callbacks)
      : loop_(loop), fd_(std::move(fd)), callbacks_(std::move(callbacks)) {}
  ~PollChannel() override {
    if (gone_ != nullptr) *gone_ = true;
    handle_.close();
  }

  int open() {
    int code = handle_.open(*this, [&](uv_poll_t* raw) { return uv_poll_init(loop_.raw(), raw, fd_.get()); });
    if (code == 0) watch();
    return code;
  }
  void set_callbacks(Callbacks callbacks) override { callbacks_ = std::move(callbacks); }
  void send(std::string_view message, std::vector<UniqueFd> descriptors) override;
  PeerProcess peer() const override;

 private:
  using Handle = UvHandle<uv_poll_t, PollChannel>;
  struct Outgoing {
    std::string message;
    std::vector<UniqueFd> descriptors;
  };
  enum class Sent : std::uint8_t { all, later, failed };

  void watch();
  void on_ready(int status, int events);
  bool receive_one();  // false: nothing more now, or we are gone or closed
  Sent send_one(const Outgoing& outgoing);
  bool send_queued();
  void close_and_tell();
  void close_later();

  Loop& loop_;
  UniqueFd fd_;
  Callbacks callbacks_;
  Handle handle_;
  std::deque<Outgoing> queue_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
  bool is_closed_ = false;
  bool* gone_ = nullptr;  // set while a callback may destroy us
};

void PollChannel::watch() {
  if (is_closed_) return;
  uv_poll_start(handle_.raw(), UV_READABLE | (queue_.empty() ? 0 : UV_WRITABLE),
                [](uv_poll_t* raw, int status, int events) {
                  if (PollChannel* self = Handle::owner_of(raw); self != nullptr) self->on_ready(status, events);
                });
}

void PollChannel::on_ready(int status, int events) {
  // An error is the other side's end, before which there may be messages.
  const bool has_failed = status < 0 || ((events & UV_WRITABLE) != 0 && !send_queued());
  bool gone = false;
  gone_ = &gone;
  bool goes_on = has_failed || (events & UV_READABLE) != 0;
  for (int i = 0; goes_on && i < kMessagesPerTurnMax; ++i) {
    goes_on = receive_one();
    if (gone) return;
  }
  gone_ = nullptr;
  if (has_failed && !goes_on) return close_and_tell();
  watch();
}

bool PollChannel::receive_one() {
  std::array<char, kMessageBytesMax> buffer;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control;
  iovec piece{buffer.data(), buffer.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t count = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
  // It closed with messages of ours unread: told once, and before what it had sent.
  if (count < 0 && (errno == EINTR || errno == ECONNRESET)) return true;
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* one = count < 0 ? nullptr : CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = 0; at + sizeof(int) <= one->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(one) + at, sizeof fd);
      descriptors.emplace_back(fd);
    }
  }
  if (count <= 0 || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    close_and_tell();
    return false;
  }
  auto on_message = callbacks_.on_message;  // it may replace the callbacks, or destroy us
  on_message({buffer.data(), static_cast<std::size_t>(count)}, std::move(descriptors));
  return true;
}

void PollChannel::send(std::string_view message, std::vector<UniqueFd> descriptors) {
  if (is_closed_) return;
  if (message.empty() || message.size() > kMessageBytesMax || descriptors.size() > kDescriptorsMax ||
      queue_.size() >= kQueuedMax) {
    return close_later();
  }
  queue_.push_back({std::string(message), std::move(descriptors)});
  if (!send_queued()) return close_later();
  watch();
}

bool PollChannel::send_queued() {
  while (!queue_.empty()) {
    Sent sent = send_one(queue_.front());
    if (sent == Sent::later) return true;
    if (sent == Sent::failed) return false;
    queue_.pop_front();
  }
  return true;
}

PollChannel::Sent PollChannel::send_one(const Outgoing& outgoing) {
  iovec piece{const_cast<char*>(outgoing.message.data()), outgoing.message.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  if (const std::size_t bytes = outgoing.descriptors.size() * sizeof(int); bytes > 0) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(bytes);
    std::size_t at = 0;
    for (const UniqueFd& descriptor : outgoing.descriptors) {
      const int fd = descriptor.get();
      std::memcpy(CMSG_DATA(rights) + at, &fd, sizeof fd);
      at += sizeof fd;
    }
  }
  for (;;) {
    if (::sendmsg(fd_.get(), &header, MSG_NOSIGNAL) >= 0) return Sent::all;
    if (errno == EINTR) continue;
    // ETOOMANYREFS: descriptors under way to others; they are bounded per user and will be received.
    bool is_full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
    return is_full ? Sent::later : Sent::failed;
  }
}

void PollChannel::close_and_tell() {
  if (std::exchange(is_closed_, true)) return;
  uv_poll_stop(handle_.raw());
  auto on_closed = callbacks_.on_closed;
  on_closed();
}

void PollChannel::close_later() {  // never from inside the caller's call
  loop_.defer([this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) close_and_tell();
  });
}

PeerProcess PollChannel::peer() const {
  ucred found{};
  socklen_t length = sizeof found;
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &found, &length) != 0) return {};
  return {found.pid, found.uid};
}

class PollDescriptorListener final : public DescriptorListener {
 public:
  PollDescriptorListener(Loop& loop, UniqueFd fd, std::string path, std::function<void(UniqueFd)> on_accept)
      : loop_(loop), fd_(std::move(fd)), path_(std::move(path)), on_accept_(std::move(on_accept)) {
    struct stat found {};
    if (lstat(path_.c_str(), &found) == 0) device_ = found.st_dev, inode_ = found.st_ino;
  }
  ~PollDescriptorListener() override {
    handle_.close();
    struct stat found {};
    if (lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ && found.st_ino == inode_) unlink(path_.c_str());
  }
  int open() {
    int code = handle_.open(*this, [&](uv_poll_t* raw) { return uv_poll_init(loop_.raw(), raw, fd_.get()); });
    if (code != 0) return code;
    return uv_poll_start(handle_.raw(), UV_READABLE, [](uv_poll_t* raw, int, int) {
      if (PollDescriptorListener* self = Handle::owner_of(raw); self != nullptr) self->accept_some();
    });
  }

 private:
  using Handle = UvHandle<uv_poll_t, PollDescriptorListener>;
  void accept_some() {
    auto on_accept = on_accept_;  // it may destroy us
    std::vector<UniqueFd> accepted;
    for (int i = 0; i < kAcceptsPerTurnMax; ++i) {
      UniqueFd fd(accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) break;
      accepted.push_back(std::move(fd));
    }
    for (UniqueFd& fd : accepted) on_accept(std::move(fd));
  }

  Loop& loop_;
  UniqueFd fd_;
  std::string path_;
  std::function<void(UniqueFd)> on_accept_;
  std::uint64_t device_ = 0, inode_ = 0;
  Handle handle_;
};

}  // namespace

Result<std::unique_ptr<DescriptorChannel>> DescriptorChannel::adopt(Loop& loop, UniqueFd fd, Callbacks callbacks) {
  auto channel = std::make_unique<PollChannel>(loop, std::move(fd), std::move(callbacks));
  if (int code = channel->open(); code != 0) return fail(error_from_uv(code));
  return std::unique_ptr<DescriptorChannel>(std::move(channel));
}

Result<std::unique_ptr<DescriptorChannel>> DescriptorChannel::connect(Loop& loop, const std::string& path,
                                                                      Callbacks callbacks) {
  NamedInFolder name(path);
  UniqueFd fd = make_socket();
  if (!fd || !name) return fail(error_from_errno());
  if (::connect(fd.get(), name.raw(), NamedInFolder::length()) != 0) return fail(error_from_errno());
  return adopt(loop, std::move(fd), std::move(callbacks));
}

Result<std::unique_ptr<DescriptorListener>> DescriptorListener::open(Loop& loop, const std::string& path,
                                                                     std::function<void(UniqueFd)> on_accept) {
  const std::string draft = path + ".new";
  ::unlink(draft.c_str());
  NamedInFolder name(draft);
  UniqueFd fd = make_socket();
  if (!fd || !name) return fail(error_from_errno());
  // The file is made with the mode of the socket: at no moment may others connect.
  bool is_listening = fchmod(fd.get(), 0600) == 0 && ::bind(fd.get(), name.raw(), NamedInFolder::length()) == 0 &&
                      ::listen(fd.get(), kBacklog) == 0 && std::rename(draft.c_str(), path.c_str()) == 0;
  if (!is_listening) {
    const Error error = error_from_errno();
    ::unlink(draft.c_str());
    return fail(error);
  }
  auto listener = std::make_unique<PollDescriptorListener>(loop, std::move(fd), path, std::move(on_accept));
  if (int code = listener->open(); code != 0) return fail(error_from_uv(code));
  return std::unique_ptr<DescriptorListener>(std::move(listener));
}

}  // namespace lotse::net

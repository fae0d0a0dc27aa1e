// Messages with descriptors between two processes of one machine (SCM_RIGHTS over SOCK_SEQPACKET): each arrives whole,
// with its descriptors, or not at all. Says who the other side is (SO_PEERCRED); knows nothing of what they say.
// Sizes and queues are bounded: a peer that breaks a bound is closed. One loop thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/listen.h"

namespace lotse::net {

class Loop;

struct PeerProcess {
  pid_t pid = -1;
  uid_t uid = static_cast<uid_t>(-1);
};

class DescriptorChannel {
 public:
  static constexpr std::size_t kMessageBytesMax = 64 * 1024;
  static constexpr std::size_t kDescriptorsMax = 64;  // of one message; the kernel's own bound is 253
  static constexpr std::size_t kQueuedMax = 1024;     // messages that wait for the other side to read

  struct Callbacks {  // either may destroy the channel
    std::function<void(std::string_view message, std::vector<UniqueFd> descriptors)> on_message;
    std::function<void()> on_closed;  // the other side has gone or broke a bound; the last callback
  };
  // A connected SOCK_SEQPACKET socket. Takes the descriptor.
  static Result<std::unique_ptr<DescriptorChannel>> adopt(Loop& loop, UniqueFd fd, Callbacks callbacks);
  // Blocks no longer than connect(2) on a unix socket does.
  static Result<std::unique_ptr<DescriptorChannel>> connect(Loop& loop, const std::string& path, Callbacks callbacks);
  virtual ~DescriptorChannel() = default;  // closes; what is queued is lost

  virtual void set_callbacks(Callbacks callbacks) = 0;
  // Not empty. The descriptors are closed here once they were sent. A failure comes through on_closed.
  virtual void send(std::string_view message, std::vector<UniqueFd> descriptors) = 0;
  virtual PeerProcess peer() const = 0;
};

// Listens on a path that only our user may connect to (mode 0600 from the first moment).
class DescriptorListener {
 public:
  // Made beside `path` and moved there, so that whoever connects finds the old socket or this one.
  static Result<std::unique_ptr<DescriptorListener>> open(Loop& loop, const std::string& path,
                                                          std::function<void(UniqueFd)> on_accept);
  virtual ~DescriptorListener() = default;  // removes the path, unless it is another socket's by now
};

}  // namespace lotse::net

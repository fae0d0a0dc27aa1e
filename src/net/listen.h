// Listening sockets: made once (so that a failure is known before anything is torn down) and then adopted by a loop.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "base/result.h"
#include "net/address.h"
#include "net/stream.h"

namespace lotse::net {

class Loop;

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = other.release();
    }
    return *this;
  }
  ~UniqueFd() { close(); }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

struct ListenOptions {
  bool reuse_port = false;  // one socket per worker on the same address (SO_REUSEPORT)
  int backlog = 4096;
};

// Bound and listening, non-blocking, close-on-exec. Port 0 picks one: ask local_address(). A unix path that nobody
// listens on any more is replaced.
Result<UniqueFd> make_listening_socket(const Address& address, ListenOptions options = {});
Address local_address(int fd);

class Listener {
 public:
  // Takes the descriptor. `on_accept` gets connections with TCP_NODELAY set, not yet reading.
  // Returns null with errno's Error when the loop cannot watch it.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, UniqueFd fd,
                                                std::function<void(std::unique_ptr<Stream>)> on_accept);
  virtual ~Listener() = default;  // closes the socket: what waits in its queue is reset
  virtual void pause() = 0;       // stop accepting; the kernel queues
  virtual void resume() = 0;
  // For a stop without a reset, before accept_all_queued() and closing: from here on the kernel ignores new clients
  // (SYN dropped: they try again after a second and find whoever listens then), while handshakes under way still
  // finish. False: this socket has no handshakes (unix), or the kernel cannot do it.
  virtual bool ignore_new_clients() = 0;
  // Until EAGAIN, also when paused, for a final stop. False: descriptors ran out, or the call came from the callback of
  // an accept, which goes on to the end.
  virtual bool accept_all_queued() = 0;
  virtual Address address() const = 0;
};

}  // namespace lotse::net

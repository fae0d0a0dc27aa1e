// The listening sockets of one address over all workers, and those that came from elsewhere: of the process before us
// (takeover) or from systemd. Every socket has an accept queue of its own, so each must have a worker that accepts
// from it, however many there are of either. Main thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/listen.h"

namespace lotse::proxy {

// Sockets that nobody has taken yet; what is left is closed with it (another process may hold them still).
class InheritedSockets {
 public:
  // `names`: what a listener may know it by, beside the address that it is bound to.
  void add(std::vector<std::string> names, net::UniqueFd socket);
  // All that are known by one of these names or are bound to one of these addresses; may be none.
  std::vector<net::UniqueFd> take(const std::vector<std::string>& wanted);
  bool is_empty() const { return sockets_.empty(); }
  std::vector<std::string> addresses() const;  // bound ones, for people

 private:
  struct Socket {
    std::vector<std::string> names;
    net::UniqueFd fd;
  };
  std::vector<Socket> sockets_;
};

struct ListenerSockets {
  // One each per accept queue. They stay with the main thread, as what a takeover hands on. The kernel closes a socket
  // with its last copy: the main thread closes its own before a worker retires, never after.
  std::vector<net::UniqueFd> originals;
  std::vector<std::vector<net::UniqueFd>> per_worker;  // copies: at least one each, all originals among them
};

// Port 0: the first one's port is everyone's. A unix socket is shared by all workers.
Result<ListenerSockets> bind_listener(const net::Address& wanted, std::size_t workers);
// Too few for the workers are shared: a socket bound beside them would get its part of the clients at once.
Result<ListenerSockets> share_out(std::vector<net::UniqueFd> inherited, std::size_t workers);
// One more beside those (SO_REUSEPORT), if that can be had.
net::UniqueFd bind_beside(const std::vector<net::UniqueFd>& originals);

net::UniqueFd copy_of(const net::UniqueFd& socket);                               // none when descriptors ran out
std::vector<net::UniqueFd> copies_of(const std::vector<net::UniqueFd>& sockets);  // fewer when descriptors run out

}  // namespace lotse::proxy

#include "proxy/listener_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "net/uv_error.h"

namespace lotse::proxy {
namespace {

bool may_share_its_port(const net::UniqueFd& socket) {
  int value = 0;
  socklen_t length = sizeof value;
  return getsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &value, &length) == 0 && value != 0;
}

}  // namespace

void InheritedSockets::add(std::vector<std::string> names, net::UniqueFd socket) {
  names.push_back(net::local_address(socket.get()).to_string());
  sockets_.push_back({std::move(names), std::move(socket)});
}

std::vector<net::UniqueFd> InheritedSockets::take(const std::vector<std::string>& wanted) {
  std::vector<net::UniqueFd> taken;
  std::erase_if(sockets_, [&](Socket& socket) {
    const bool is_wanted = std::any_of(socket.names.begin(), socket.names.end(), [&](const std::string& known) {
      return !known.empty() && std::find(wanted.begin(), wanted.end(), known) != wanted.end();
    });
    if (is_wanted) taken.push_back(std::move(socket.fd));
    return is_wanted;
  });
  return taken;
}

std::vector<std::string> InheritedSockets::addresses() const {
  std::vector<std::string> all;
  for (const Socket& socket : sockets_) all.push_back(socket.names.back());
  return all;
}

Result<ListenerSockets> bind_listener(const net::Address& wanted, std::size_t workers) {
  std::vector<net::UniqueFd> originals;
  net::Address address = wanted;
  const std::size_t count = address.is_unix() ? 1 : workers;
  while (originals.size() < count) {
    auto socket = net::make_listening_socket(address, {.reuse_port = !address.is_unix()});
    if (!socket) return fail(socket.error());
    if (!address.is_unix()) address = net::local_address(socket->get());
    originals.push_back(std::move(*socket));
  }
  return share_out(std::move(originals), workers);
}

Result<ListenerSockets> share_out(std::vector<net::UniqueFd> inherited, std::size_t workers) {
  ListenerSockets sockets;
  sockets.originals = std::move(inherited);
  sockets.per_worker.resize(workers);
  const std::size_t shares = std::max(workers, sockets.originals.size());
  for (std::size_t i = 0; i < shares; ++i) {
    net::UniqueFd copy = copy_of(sockets.originals[i % sockets.originals.size()]);
    if (!copy) return fail(net::error_from_errno());
    sockets.per_worker[i % workers].push_back(std::move(copy));
  }
  return sockets;
}

net::UniqueFd bind_beside(const std::vector<net::UniqueFd>& originals) {
  if (originals.empty() || !may_share_its_port(originals.front())) return {};
  auto socket = net::make_listening_socket(net::local_address(originals.front().get()), {.reuse_port = true});
  return socket ? std::move(*socket) : net::UniqueFd();
}

net::UniqueFd copy_of(const net::UniqueFd& socket) { return net::UniqueFd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0)); }

std::vector<net::UniqueFd> copies_of(const std::vector<net::UniqueFd>& sockets) {
  std::vector<net::UniqueFd> copies;
  for (const net::UniqueFd& socket : sockets) {
    if (net::UniqueFd copy = copy_of(socket)) copies.push_back(std::move(copy));
  }
  return copies;
}

}  // namespace lotse::proxy

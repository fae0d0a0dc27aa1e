#include "http/server.h"

#include <unordered_map>

#include "http/server_connection.h"
#include "net/listen.h"
#include "net/loop.h"
#include "net/socket_file.h"

namespace lotse::http {

struct Server::Impl final : ServerConnectionOwner {
  Impl(net::Loop& on, const Router& routes, Options how) : loop_(on), router_(routes), options_(std::move(how)) {}

  net::Loop& loop() override { return loop_; }
  const Router& router() const override { return router_; }
  const Options& options() const override { return options_; }
  bool is_draining() const override { return is_draining_; }

  void forget(ServerConnection& connection) override {
    connections_.erase(&connection);
    if (is_full_ && connections_.size() < options_.connections_max) {
      is_full_ = false;
      if (is_draining_) return;
      for (const auto& listener : listeners_) listener->resume();
    }
  }

  void take(std::unique_ptr<net::Stream> stream) {
    auto connection = std::make_shared<ServerConnection>(*this, std::move(stream));
    connections_.emplace(connection.get(), connection);
    if (connections_.size() >= options_.connections_max && !is_draining_) {
      is_full_ = true;
      for (const auto& listener : listeners_) listener->pause();
    }
    connection->start();
  }

  std::vector<std::shared_ptr<ServerConnection>> all() const {
    std::vector<std::shared_ptr<ServerConnection>> list;
    list.reserve(connections_.size());
    for (const auto& [key, connection] : connections_) list.push_back(connection);
    return list;
  }

  net::Loop& loop_;
  const Router& router_;
  const Options options_;
  std::vector<std::unique_ptr<net::Listener>> listeners_;
  std::vector<net::SocketFile> files_;  // of unix sockets that we bound
  std::unordered_map<ServerConnection*, std::shared_ptr<ServerConnection>> connections_;
  bool is_full_ = false, is_draining_ = false;
};

Server::Server(net::Loop& loop, const Router& router, Options options)
    : impl_(std::make_unique<Impl>(loop, router, std::move(options))) {}

Server::~Server() {
  impl_->listeners_.clear();
  for (const auto& connection : impl_->all()) connection->close();
}

Result<net::Address> Server::listen(const net::Address& address) {
  auto fd = net::make_listening_socket(address);
  if (!fd) return fail(fd.error());
  net::SocketFile file(net::local_address(fd->get()));
  auto bound = adopt(std::move(*fd));
  if (bound) impl_->files_.push_back(std::move(file));
  return bound;
}

Result<net::Address> Server::adopt(net::UniqueFd listening_socket) {
  auto listener =
      net::Listener::open(impl_->loop_, std::move(listening_socket),
                          [impl = impl_.get()](std::unique_ptr<net::Stream> stream) { impl->take(std::move(stream)); });
  if (!listener) return fail(listener.error());
  const net::Address address = (*listener)->address();
  if (impl_->is_full_ || impl_->is_draining_) (*listener)->pause();
  impl_->listeners_.push_back(std::move(*listener));
  return address;
}

void Server::stop_accepting() {
  if (std::exchange(impl_->is_draining_, true)) return;
  impl_->files_.clear();
  // Closing the socket would reset what waits in its queue.
  for (const auto& listener : impl_->listeners_) listener->accept_all_queued();
  impl_->listeners_.clear();
  for (const auto& connection : impl_->all()) connection->close_if_idle();
}

void Server::hand_over() {
  impl_->is_draining_ = true;
  for (const auto& listener : impl_->listeners_) listener->pause();
  for (const auto& connection : impl_->all()) connection->close_if_idle();
}

void Server::take_back() {
  impl_->is_draining_ = false;
  if (impl_->is_full_) return;
  for (const auto& listener : impl_->listeners_) listener->resume();
}

std::size_t Server::connections() const { return impl_->connections_.size(); }

}  // namespace lotse::http

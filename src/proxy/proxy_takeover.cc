// Takeovers: listening sockets that come from the process before us, and those that go to the one after us.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "proxy/proxy.h"
#include "proxy/proxy_impl.h"

namespace lotse::proxy {

// The new side ------------------------------------------------------------------------------------------------------

void Proxy::inherit(InheritedSockets sockets, bool holds) {
  impl_->inherited = std::move(sockets);
  impl_->holds = holds;
}

std::vector<std::string> Proxy::drop_unused_sockets() {
  std::vector<std::string> addresses = impl_->inherited.addresses();
  impl_->inherited = {};
  return addresses;
}

void Proxy::Impl::give_socket(std::size_t worker, const ListenerRole& role, const std::string& address,
                              net::UniqueFd socket) {
  auto shared_socket = std::make_shared<net::UniqueFd>(std::move(socket));
  auto give = [this, worker, role, address, shared_socket] {
    workers[worker]->post(
        [shared_socket, role, address](Worker& here) { here.add_listener(role, address, std::move(*shared_socket)); });
  };
  if (!holds) return give();
  held_back.push_back(std::move(give));
}

void Proxy::begin_accepting() { impl_->begin_accepting(); }

void Proxy::Impl::begin_accepting() {
  if (!std::exchange(holds, false)) return;
  for (const auto& give : std::exchange(held_back, {})) give();
  for (ListenerInfo& listener : listeners) {
    if (listener.is_inherited) listener.file = net::SocketFile(listener.bound);
  }
}

// A worker that shares another's socket gets one of its own. Not before we accept: what came there would be lost if we
// failed until then.
void Proxy::Impl::bind_missing(ListenerInfo& listener, const ListenerRole& role) {
  while (listener.sockets.size() < workers.size()) {
    net::UniqueFd socket = bind_beside(listener.sockets);
    net::UniqueFd copy = socket ? copy_of(socket) : net::UniqueFd();
    if (!copy) return;  // they share
    const std::size_t worker = listener.sockets.size();
    listener.sockets.push_back(std::move(socket));
    give_socket(worker, role, listener.address, std::move(copy));
  }
}

std::vector<std::string> Proxy::inherited_listeners() const {
  std::vector<std::string> addresses;
  for (const auto& listener : impl_->listeners) {
    if (listener.is_inherited) addresses.push_back(listener.address);
  }
  return addresses;
}

// So that clients resume their sessions whichever process they come to. Rotation goes on in the same rhythm: a process
// that began it anew would never rotate where upgrades are frequent.
void Proxy::restore_ticket_keys(std::string_view bytes, Duration until_rotation) {
  if (!impl_->tls.restore_tickets(bytes, until_rotation)) {
    log::warn("proxy", "the ticket keys of the process before are of another form: TLS sessions begin anew");
  }
}

// The old side ------------------------------------------------------------------------------------------------------

std::vector<std::pair<std::string, std::vector<net::UniqueFd>>> Proxy::copies_of_sockets() const {
  std::vector<std::pair<std::string, std::vector<net::UniqueFd>>> all;
  for (const auto& listener : impl_->listeners) all.emplace_back(listener.address, copies_of(listener.sockets));
  return all;
}

void Proxy::hand_over(const std::vector<std::string>& kept, Duration deadline, std::function<void()> on_done) {
  impl_->hand_over(kept, deadline, std::move(on_done));
}

void Proxy::Impl::hand_over(const std::vector<std::string>& kept, Duration deadline, std::function<void()> on_done) {
  if (std::exchange(is_draining, true)) return;
  is_on_trial = true;
  on_drain_done = std::move(on_done);
  workers_empty = 0;
  drain_timer.start(deadline);
  for (ListenerInfo& one : listeners) {
    if (std::find(kept.begin(), kept.end(), one.address) != kept.end()) {
      one.file.release();
    } else {
      one.file.remove();
      one.sockets.clear();
    }
  }
  post_to_all([kept](Worker& worker) { worker.hand_over(kept); }, nullptr);
}

std::string Proxy::ticket_keys() const { return impl_->tls.tickets().serialize(); }
Duration Proxy::until_ticket_rotation() const { return impl_->tls.until_rotation(); }

void Proxy::take_back() { impl_->take_back(); }

void Proxy::Impl::take_back() {
  if (!std::exchange(is_draining, false)) return;
  is_on_trial = false;
  on_drain_done = nullptr;
  drain_timer.stop();
  for (ListenerInfo& one : listeners) {
    if (!one.sockets.empty()) one.file = net::SocketFile(one.bound);
  }
  post_to_all([](Worker& worker) { worker.take_back(); }, nullptr);
}

void Proxy::end_trial() { impl_->end_trial(); }

void Proxy::Impl::end_trial() {
  if (!std::exchange(is_on_trial, false)) return;
  if (workers_empty == workers.size()) end_drain();
}

void Proxy::set_takeovers(std::uint64_t count) { impl_->takeovers = count; }
std::uint64_t Proxy::takeovers() const { return impl_->takeovers; }
void Proxy::count_takeover_failure() { ++impl_->takeover_failures; }

}  // namespace lotse::proxy

#include "proxy/dialer.h"

#include <utility>

#include "proxy/endpoint_address.h"
#include "proxy/worker.h"

namespace lotse::proxy {

EndpointState& Dialer::state() { return record_.states[worker_.index()]; }

void Dialer::dial() {
  state().connects.add();
  lookup_ = find_address(worker_, record_, [this](Result<net::Address> found) {
    Turn turn(worker_);
    auto finished = std::move(lookup_);
    if (!found) return owner_.on_name_unknown();
    owner_.on_dialled(connect_upstream(worker_.loop(), record_, state(), *found, owner_));
  });
}

void Dialer::on_failed() { note_unreachable(state()); }

}  // namespace lotse::proxy

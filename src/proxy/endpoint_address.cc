#include "proxy/endpoint_address.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "proxy/worker.h"

namespace lotse::proxy {

namespace {

constexpr auto kLookupKept = std::chrono::seconds(10);  // how long a name's address is used without asking again

// IPv4 first, as published ports are there more often than not; the next one after each failure to connect.
net::Address one_of(std::vector<net::Address>& addresses, std::size_t turn) {
  std::stable_partition(addresses.begin(), addresses.end(),
                        [](const net::Address& one) { return one.raw()->sa_family == AF_INET; });
  return addresses[turn % addresses.size()];
}

}  // namespace

std::unique_ptr<net::Lookup> find_address(Worker& worker, EndpointRecord& record,
                                          std::function<void(Result<net::Address>)> on_found) {
  EndpointState& state = record.states[worker.index()];
  if (!record.address.is_empty()) return on_found(record.address), nullptr;
  if (state.resolved_until > worker.loop().now()) return on_found(state.resolved), nullptr;
  return net::resolve(worker.loop(), record.endpoint.host, record.endpoint.host_port,
                      [&worker, &state, on_found = std::move(on_found)](Result<std::vector<net::Address>> found) {
                        if (!found || found->empty()) return on_found(fail(Error{.code = Errc::resolve_failed}));
                        state.resolved = one_of(*found, state.resolve_turn);
                        state.resolved_until = worker.loop().now() + kLookupKept;
                        on_found(state.resolved);
                      });
}

std::unique_ptr<net::Lookup> find_address(net::Loop& loop, const EndpointRecord& record,
                                          std::function<void(Result<net::Address>)> on_found) {
  if (!record.address.is_empty()) return on_found(record.address), nullptr;
  return net::resolve(loop, record.endpoint.host, record.endpoint.host_port,
                      [on_found = std::move(on_found)](Result<std::vector<net::Address>> found) {
                        if (!found || found->empty()) return on_found(fail(Error{.code = Errc::resolve_failed}));
                        on_found(found->front());
                      });
}

void note_unreachable(EndpointState& state) {
  ++state.resolve_turn;
  state.resolved_until = {};
}

}  // namespace lotse::proxy

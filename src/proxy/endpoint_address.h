// The address of an endpoint: known, or looked up when its host is a name (and then kept for a while by each worker).
// The loop's thread.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/address.h"
#include "net/resolver.h"
#include "proxy/endpoint_record.h"

namespace lotse::proxy {

class Worker;

// `on_found` comes at once, and null is returned, when nothing has to be looked up. Destroying the Lookup cancels.
std::unique_ptr<net::Lookup> find_address(Worker& worker, EndpointRecord& record,
                                          std::function<void(Result<net::Address>)> on_found);
// The same of what is no worker, and keeps nothing.
std::unique_ptr<net::Lookup> find_address(net::Loop& loop, const EndpointRecord& record,
                                          std::function<void(Result<net::Address>)> on_found);
// A connection to it failed: a name's next address is another one, and fresh.
void note_unreachable(EndpointState& state);

}  // namespace lotse::proxy

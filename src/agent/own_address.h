// Under which address the tasks of this node are reached when nobody said: the local end of a route to the scheduler.
// No packet is sent. Blocks for a name look-up at most; called once at start.
#pragma once

#include <string>

#include "http/url.h"

namespace lotse::agent {

std::string own_address_towards(const http::Endpoint& scheduler);  // "127.0.0.1" for a scheduler on this machine

}  // namespace lotse::agent

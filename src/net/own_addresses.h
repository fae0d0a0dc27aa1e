// The addresses of this machine's interfaces, without loopback and link-local ones: what "0.0.0.0" means to others.
#pragma once

#include <string>
#include <vector>

namespace lotse::net {

std::vector<std::string> own_addresses(bool wants_ipv6);  // loopback when there is nothing else

}  // namespace lotse::net

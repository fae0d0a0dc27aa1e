// What the listeners with `tls:` answer handshakes with: loads the certificates that the configuration names and makes
// a context for each listener. Knows files and the configuration; nothing of workers or connections. Main thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/tls.h"
#include "proxy/config.h"

namespace lotse::proxy {

using TlsContexts = std::map<std::string, std::shared_ptr<const net::TlsServerContext>>;  // by the listener's address

// A file that cannot be used is a Problem. Blocks on the disk.
Result<TlsContexts, Problem> load_tls_contexts(const Config& config);

}  // namespace lotse::proxy

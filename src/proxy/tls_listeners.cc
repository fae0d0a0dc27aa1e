#include "proxy/tls_listeners.h"

#include <utility>

namespace lotse::proxy {

Result<TlsContexts, Problem> load_tls_contexts(const Config& config) {
  TlsContexts contexts;
  for (const ListenerConfig& listener : config.listeners) {
    if (!listener.tls) continue;
    net::TlsServerOptions options{.policy = listener.tls->policy, .min_version = listener.tls->min_version};
    if (!listener.is_tcp()) options.protocols = {"http/1.1"};  // what is inside of TCP is the endpoint's to say
    for (const CertificateConfig& one : listener.tls->certificates) {
      auto certificate = net::TlsCertificate::load(one.cert, one.key);
      if (!certificate) return fail(Problem{"listener " + listener.name, certificate.error().text()});
      options.certificates.push_back(std::move(*certificate));
    }
    auto context = net::TlsServerContext::make(options);
    if (!context) return fail(Problem{"listener " + listener.name, context.error().text()});
    contexts[listener.address] = std::move(*context);
  }
  return contexts;
}

}  // namespace lotse::proxy

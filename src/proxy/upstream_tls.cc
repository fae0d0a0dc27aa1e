#include "proxy/upstream_tls.h"

#include "base/log.h"
#include "proxy/endpoint_record.h"
#include "proxy/worker_counters.h"

namespace lotse::proxy {

void speak_tls(EndpointState& state, const std::shared_ptr<const UpstreamTls>& tls) {
  if (state.tls == tls) return;
  state.tls = tls;
  state.tls_session = {};  // it says that the endpoint was verified, by the context that was
  state.pool.close_idle();
  state.h2.close_idle();
}

std::unique_ptr<net::Stream> connect_upstream(net::Loop& loop, const EndpointRecord& record, EndpointState& state,
                                              const net::Address& address, net::StreamListener& listener) {
  if (!state.tls) return net::connect(loop, address, listener);
  const std::string& name = state.tls->server_name.empty() ? record.endpoint.host : state.tls->server_name;
  const auto& context = state.speaks_h2 ? state.tls->h2 : state.tls->h1;
  return net::tls_connect(loop, address, context, name, listener, &state.tls_session);
}

void count_upstream_handshake(const net::TlsStream& stream, WorkerCounters& counters) {
  counters.upstream_tls_handshakes.add();
  if (stream.is_resumed()) counters.upstream_tls_resumptions.add();
}

const char* note_upstream_tls_failure(const net::TlsStream& stream, const EndpointRecord& record,
                                      WorkerCounters& counters) {
  counters.upstream_tls_failures.add();
  const char* reason = stream.failure().data();
  log::debug("proxy", "TLS with endpoint {} of {} failed: {}", record.address_text, record.endpoint.app, reason);
  return reason;
}

}  // namespace lotse::proxy

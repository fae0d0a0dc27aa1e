// TLS towards endpoints as a worker needs it: what an app's endpoints are spoken to with, and the few places where a
// connection differs for it. Values are made by the UpstreamTlsBook, immutable and shared by all workers.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "model/app_id.h"
#include "net/stream.h"
#include "net/tls.h"

namespace lotse::proxy {

struct EndpointRecord;
struct EndpointState;
struct WorkerCounters;

struct UpstreamTls {
  std::shared_ptr<const net::TlsClientContext> h1, h2;  // they offer one protocol each (ALPN)
  std::string server_name;                              // empty: the endpoint's host
};
using UpstreamTlsByApp = std::map<model::AppId, std::shared_ptr<const UpstreamTls>>;

// From now on; what was connected otherwise, and waits for requests, goes.
void speak_tls(EndpointState& state, const std::shared_ptr<const UpstreamTls>& tls);

// A new connection, plain or with TLS. on_connected() comes when the handshake, too, is done.
std::unique_ptr<net::Stream> connect_upstream(net::Loop& loop, const EndpointRecord& record, EndpointState& state,
                                              const net::Address& address, net::StreamListener& listener);

void count_upstream_handshake(const net::TlsStream& stream, WorkerCounters& counters);
// Counts and logs it; the reason, static text.
const char* note_upstream_tls_failure(const net::TlsStream& stream, const EndpointRecord& record,
                                      WorkerCounters& counters);

}  // namespace lotse::proxy

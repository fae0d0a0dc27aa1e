// Which fields go on to the other side, and which we add: hop-by-hop fields removed, X-Forwarded-* and Forwarded set
// (PROXY.md "Posture" 6, 7 and 12). Pure; views only, what has to be composed goes into the exchange's arena.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "http/message.h"
#include "net/address.h"
#include "net/tls.h"
#include "proxy/config.h"

namespace lotse::proxy {

// Of one downstream connection; computed once when it is accepted.
struct ClientInfo {
  std::string ip;         // of the peer
  std::string forwarded;  // `for=192.0.2.1;proto=http;host="`, to be followed by the host and a quote
  std::string_view scheme = "http";
  std::string port;         // the one it connected to
  std::string certificate;  // what it showed, as X-Forwarded-Client-Cert tells it; empty: none
  bool is_trusted = false;  // the peer is a proxy whose X-Forwarded-* we believe
};
ClientInfo make_client_info(const net::Address& peer, const net::Address& local, const HttpConfig& http,
                            bool is_encrypted = false);

// `Hash=<SHA-256>;Subject="<RFC 2253>"`, as Envoy writes it. Empty when the client showed no certificate.
std::string describe_certificate(const net::TlsStream& stream);

// Appends the fields to send upstream: what the client sent, filtered, then ours.
void append_request_fields(const http::RequestHead& head, const ClientInfo& client, bool keep_underscore_fields,
                           Arena& arena, std::vector<http::Field>& fields);

// The protocol that the request asks to be upgraded to, as it goes on; empty: none. A tunnel of HTTP/2 would carry
// requests that no route has seen.
std::string_view tunnelled_protocol(const http::RequestHead& head);

void append_response_fields(const http::ResponseHead& head, std::vector<http::Field>& fields);

// What may stand in a trailer section: nothing that frames, routes or speaks of the connection (RFC 9110
// section 6.5.1). Copied into `arena` when there is one.
void append_trailers(std::span<const http::Field> trailers, Arena* arena, std::vector<http::Field>& fields);

// Who asks: the peer, or behind trusted peers the rightmost address of X-Forwarded-For that is not trusted. For the
// access log and, later, for access rules. A view of `client` or of the head.
std::string_view client_address(const http::RequestHead& head, const ClientInfo& client, const HttpConfig& http);

}  // namespace lotse::proxy

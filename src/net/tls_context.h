// The inside of TlsServerContext: one SSL_CTX for every set of certificates that share a name, and which name leads to
// which. For the tls_*.cc files of net. Immutable once made; any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "net/openssl.h"
#include "net/tls.h"
#include "net/tls_tickets.h"

namespace lotse::net {

class LoadedCertificate;

class ServerContext final : public TlsServerContext {
 public:
  Result<Unit, Problem> build(const TlsServerOptions& options);
  SSL_CTX* initial() const { return contexts_.front().get(); }  // the default's; the name switches it

 private:
  using Set = std::vector<const LoadedCertificate*>;  // at most one per type of key

  Result<SSL_CTX*, Problem> add_context(const TlsServerOptions& options, const Set& set);
  const char* set_sessions(SSL_CTX* context, const TlsServerOptions& options);
  static const char* ask_clients(SSL_CTX* context, const TlsServerOptions& options);
  SSL_CTX* find(std::string_view name) const;
  static int on_server_name(SSL* ssl, int* alert, void* self) noexcept;
  static int on_protocols(SSL* ssl, const unsigned char** chosen, unsigned char* chosen_bytes,
                          const unsigned char* offered, unsigned offered_bytes, void* self) noexcept;

  std::shared_ptr<TlsTicketKeys> tickets_;
  std::vector<SslContextPtr> contexts_;                       // the default first
  std::map<std::string, SSL_CTX*, std::less<>> exact_;        // "shop.example.com"
  std::map<std::string, SSL_CTX*, std::less<>> by_wildcard_;  // ".example.com" of "*.example.com"
  std::string protocols_;                                     // in wire format: a length and a name each
};

class ClientContext final : public TlsClientContext {
 public:
  Result<Unit, Problem> build(const TlsClientOptions& options);
  SSL_CTX* context() const { return context_.get(); }
  bool verifies() const { return verifies_; }

 private:
  SslContextPtr context_;
  bool verifies_ = true;
};

// Seals and opens the tickets of contexts that use_tickets(). SSL_CTX_set_tlsext_ticket_key_evp_cb(3).
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int seals) noexcept;
void use_tickets(SSL_CTX* context, TlsTicketKeys& keys);

// For contexts of clients; the SSL belongs to an OpenSslStream.
int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept;

// Versions, ciphers, curves and what every stream of ours needs. Null, or OpenSSL's reason.
const char* apply_policy(SSL_CTX* context, TlsPolicy policy, TlsVersion min_version);

}  // namespace lotse::net

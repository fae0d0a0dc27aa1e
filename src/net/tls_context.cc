#include "net/tls_context.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "net/tls_certificate.h"

namespace lotse::net {
namespace {

// Mozilla, "Server Side TLS". Order is the client's choice: all of them are good, and a phone without AES in hardware
// knows better than we do.
constexpr const char* kCiphers13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";
constexpr std::size_t kNameBytesMax = 253;

std::string wire_format(const std::vector<std::string>& protocols) {  // RFC 7301 section 3.1
  std::string bytes;
  for (const std::string& protocol : protocols) {
    bytes += static_cast<char>(protocol.size());
    bytes += protocol;
  }
  return bytes;
}

}  // namespace

const char* apply_policy(SSL_CTX* context, TlsPolicy policy, TlsVersion min_version) {
  const bool is_13_only = policy == TlsPolicy::modern || min_version == TlsVersion::tls1_3;
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // an idle connection keeps no 16 KiB records
  bool is_done = SSL_CTX_set_min_proto_version(context, is_13_only ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
                 SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
                 SSL_CTX_set_ciphersuites(context, kCiphers13) == 1 &&
                 SSL_CTX_set_cipher_list(context, kCiphers12) == 1 && SSL_CTX_set1_groups_list(context, kGroups) == 1;
  return is_done ? nullptr : take_openssl_reason();
}

Result<std::shared_ptr<const TlsServerContext>, Problem> TlsServerContext::make(const TlsServerOptions& options) {
  auto context = std::make_shared<ServerContext>();
  if (auto built = context->build(options); !built) return fail(built.error());
  return std::shared_ptr<const TlsServerContext>(std::move(context));
}

Result<Unit, Problem> ServerContext::build(const TlsServerOptions& options) {
  if (options.certificates.empty()) return fail(Problem{"", "needs a certificate"});
  tickets_ = options.tickets;
  protocols_ = wire_format(options.protocols);
  // What each name may be answered with: of one type of key, the first in the file.
  std::map<std::string, Set> by_name;
  for (const auto& one : options.certificates) {
    const auto* loaded = static_cast<const LoadedCertificate*>(one.get());
    for (const std::string& name : one->names()) {
      Set& set = by_name[name];
      bool has_type = std::any_of(set.begin(), set.end(),
                                  [&](const LoadedCertificate* other) { return other->key_type() == one->key_type(); });
      if (!has_type) set.push_back(loaded);
    }
  }
  const auto* first = static_cast<const LoadedCertificate*>(options.certificates.front().get());
  Set default_set{first};
  if (!first->names().empty()) {
    const Set& partners = by_name[first->names().front()];
    if (std::find(partners.begin(), partners.end(), first) != partners.end()) default_set = partners;
  }
  std::map<Set, SSL_CTX*> made;
  auto context_of = [&](const Set& set) -> Result<SSL_CTX*, Problem> {
    if (auto known = made.find(set); known != made.end()) return known->second;
    auto added = add_context(options, set);
    if (added) made[set] = *added;
    return added;
  };
  if (auto context = context_of(default_set); !context) return fail(context.error());
  for (const auto& [name, set] : by_name) {
    auto context = context_of(set);
    if (!context) return fail(context.error());
    if (name.starts_with("*."))
      by_wildcard_[name.substr(1)] = *context;
    else
      exact_[name] = *context;
  }
  return Unit{};
}

Result<SSL_CTX*, Problem> ServerContext::add_context(const TlsServerOptions& options, const Set& set) {
  SslContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (!context) return fail(Problem{"", take_openssl_reason()});
  if (const char* reason = apply_policy(context.get(), options.policy, options.min_version)) {
    return fail(Problem{"", reason});
  }
  for (const LoadedCertificate* certificate : set) {
    if (const char* reason = certificate->use_in(context.get())) {
      return fail(Problem{certificate->cert_file(), std::string("cannot be used: ") + reason});
    }
  }
  if (const char* reason = set_sessions(context.get(), options)) return fail(Problem{"", reason});
  if (!options.client_ca_file.empty()) {
    if (const char* reason = ask_clients(context.get(), options))
      return fail(Problem{options.client_ca_file, std::string("is no bundle of certificates: ") + reason});
  }
  // SSL_CTX_set_tlsext_servername_callback() is a macro with a C cast.
  SSL_CTX_callback_ctrl(context.get(), SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, reinterpret_cast<void (*)()>(on_server_name));
  SSL_CTX_set_tlsext_servername_arg(context.get(), this);
  if (!protocols_.empty()) SSL_CTX_set_alpn_select_cb(context.get(), on_protocols, this);
  contexts_.push_back(std::move(context));
  return contexts_.back().get();
}

Result<std::shared_ptr<const TlsClientContext>, Problem> TlsClientContext::make(const TlsClientOptions& options) {
  auto context = std::make_shared<ClientContext>();
  if (auto built = context->build(options); !built) return fail(built.error());
  return std::shared_ptr<const TlsClientContext>(std::move(context));
}

Result<Unit, Problem> ClientContext::build(const TlsClientOptions& options) {
  context_.reset(SSL_CTX_new(TLS_client_method()));
  verifies_ = options.verifies;
  if (!context_) return fail(Problem{"", take_openssl_reason()});
  if (const char* reason = apply_policy(context_.get(), TlsPolicy::intermediate, options.min_version)) {
    return fail(Problem{"", reason});
  }
  if (options.max_version == TlsVersion::tls1_2) SSL_CTX_set_max_proto_version(context_.get(), TLS1_2_VERSION);
  if (options.certificate) {
    const auto& certificate = static_cast<const LoadedCertificate&>(*options.certificate);
    if (const char* reason = certificate.use_in(context_.get())) {
      return fail(Problem{certificate.cert_file(), std::string("cannot be used: ") + reason});
    }
  }
  const std::string protocols = wire_format(options.protocols);
  if (!protocols.empty()) {
    SSL_CTX_set_alpn_protos(context_.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
  }
  // Sessions go to the TlsSessionSlots of those who connect, none stay here.
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_.get(), on_new_session);
  if (!options.verifies) return Unit{};
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(context_.get());
  } else if (SSL_CTX_load_verify_file(context_.get(), options.ca_file.c_str()) != 1) {
    return fail(Problem{options.ca_file, std::string("is no bundle of certificates: ") + take_openssl_reason()});
  }
  return Unit{};
}

// Sessions are kept by the clients, in tickets; a ticket is good where the scope is the same.
const char* ServerContext::set_sessions(SSL_CTX* context, const TlsServerOptions& options) {
  unsigned char scope[EVP_MAX_MD_SIZE];
  unsigned scope_bytes = 0;
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  if (EVP_Digest(options.session_scope.data(), options.session_scope.size(), scope, &scope_bytes, EVP_sha256(),
                 nullptr) != 1 ||
      SSL_CTX_set_session_id_context(context, scope, std::min(scope_bytes, unsigned{SSL_MAX_SID_CTX_LENGTH})) != 1)
    return take_openssl_reason();
  if (tickets_) {
    use_tickets(context, *tickets_);
  } else {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
  return nullptr;
}

const char* ServerContext::ask_clients(SSL_CTX* context, const TlsServerOptions& options) {
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.client_ca_file.c_str());
  if (names == nullptr || SSL_CTX_load_verify_file(context, options.client_ca_file.c_str()) != 1) {
    sk_X509_NAME_pop_free(names, X509_NAME_free);
    return take_openssl_reason();
  }
  SSL_CTX_set_client_CA_list(context, names);
  const int required = options.requires_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | required, nullptr);
  return nullptr;
}

SSL_CTX* ServerContext::find(std::string_view name) const {
  if (name.empty() || name.size() > kNameBytesMax) return nullptr;
  std::array<char, kNameBytesMax> lower;
  std::transform(name.begin(), name.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view wanted(lower.data(), name.size());
  if (auto found = exact_.find(wanted); found != exact_.end()) return found->second;
  // A wildcard stands for exactly one label (RFC 6125 section 6.4.3).
  std::size_t dot = wanted.find('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  auto found = by_wildcard_.find(wanted.substr(dot));
  return found != by_wildcard_.end() ? found->second : nullptr;
}

int ServerContext::on_server_name(SSL* ssl, int*, void* self) noexcept {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* context = static_cast<const ServerContext*>(self)->find(name);
  if (context != nullptr && context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

// The first of ours that the client offers; a client that offers none of ours is told so (RFC 7301 section 3.2).
int ServerContext::on_protocols(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                                const unsigned char* offered, unsigned offered_bytes, void* self) noexcept {
  const std::string& ours = static_cast<const ServerContext*>(self)->protocols_;
  unsigned char* out = nullptr;
  int outcome = SSL_select_next_proto(&out, chosen_bytes, reinterpret_cast<const unsigned char*>(ours.data()),
                                      static_cast<unsigned>(ours.size()), offered, offered_bytes);
  *chosen = out;
  return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace lotse::net

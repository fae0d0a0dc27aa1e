// TLS as streams: who we are (TlsServerContext), whom we believe (TlsClientContext), and a TlsStream on top of any
// other Stream. OpenSSL 3 stays inside the net room. Contexts are immutable and shared by all threads; a stream belongs
// to its loop's thread. Which files, which policy: the caller's options.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/stream.h"

namespace lotse::net {

class TlsTicketKeys;

enum class TlsVersion : std::uint8_t { tls1_2, tls1_3 };

// Mozilla's server side recommendations: `intermediate` is TLS 1.2 and 1.3 with forward secrecy and authenticated
// ciphers only, `modern` is TLS 1.3.
enum class TlsPolicy : std::uint8_t { modern, intermediate };

// A certificate with its chain and its private key, as read from two PEM files. Immutable, any thread.
class TlsCertificate {
 public:
  // The Problem's `where` is the file that is to blame. Blocks on the disk.
  static Result<std::shared_ptr<const TlsCertificate>, Problem> load(const std::string& cert_file,
                                                                     const std::string& key_file);
  virtual ~TlsCertificate() = default;
  virtual const std::vector<std::string>& names() const = 0;  // lower case: "shop.example.com", "*.example.com"
  virtual WallTime not_after() const = 0;
  virtual std::string_view key_type() const = 0;       // "EC", "RSA", "ED25519"
  virtual const std::string& fingerprint() const = 0;  // SHA-256 of the certificate, 64 hexadecimal digits
  virtual const std::string& cert_file() const = 0;
};

struct TlsServerOptions {
  std::vector<std::shared_ptr<const TlsCertificate>> certificates;  // the first one's name is the default
  TlsPolicy policy = TlsPolicy::intermediate;
  TlsVersion min_version = TlsVersion::tls1_2;
  std::vector<std::string> protocols;      // ALPN, best first; empty: the extension is ignored
  std::shared_ptr<TlsTicketKeys> tickets;  // null: nobody resumes
  // Sessions are resumed only where this is the same: it names the listener and whom it asks for certificates.
  std::string session_scope = "lotse";
  std::string client_ca_file;               // PEM bundle; empty: clients are not asked for a certificate
  bool requires_client_certificate = true;  // false: a client without one may come in, one with a bad one may not
};

// What a listener answers handshakes with. SNI picks among the certificates: the exact name, then a wildcard, then the
// default; for one name an ECDSA and an RSA certificate may stand side by side.
class TlsServerContext {
 public:
  static Result<std::shared_ptr<const TlsServerContext>, Problem> make(const TlsServerOptions& options);
  virtual ~TlsServerContext() = default;
};

struct TlsClientOptions {
  std::string ca_file;                                // PEM bundle of those we believe; empty: the system's
  bool verifies = true;                               // the chain and the name; false: anybody may answer
  std::shared_ptr<const TlsCertificate> certificate;  // ours, for servers that ask; null: none
  TlsVersion min_version = TlsVersion::tls1_2;
  TlsVersion max_version = TlsVersion::tls1_3;
  std::vector<std::string> protocols;  // ALPN, best first; empty: the extension is not sent
};

// Whom we believe, and who we are, when we connect.
class TlsClientContext {
 public:
  static Result<std::shared_ptr<const TlsClientContext>, Problem> make(const TlsClientOptions& options);
  virtual ~TlsClientContext() = default;
};

// What a client has from a server to resume with: the newest session. Whoever connects owns it, next to the address
// and the context that it belongs to: a session says that the server was verified, by that context and for one name.
// Outlives the streams it was given to; their loop's thread.
struct TlsSessionSlot {
  std::shared_ptr<void> session;  // OpenSSL's; null: a full handshake
};

// A stream that speaks TLS on another one. Its listener's on_connected() comes when the handshake is done, on_bytes()
// brings plain bytes, on_end() the peer's close_notify. A connection that ends without one was cut: on_error
// (end_of_stream), so that a body that ends with its connection cannot be shortened by a third party.
class TlsStream : public Stream {
 public:
  const TlsStream* tls() const final { return this; }
  virtual std::string_view protocol() const = 0;  // agreed by ALPN; empty: none
  virtual TlsVersion version() const = 0;
  virtual bool is_resumed() const = 0;
  virtual std::string_view server_name() const = 0;  // what the client asked for (SNI); empty: nothing
  // Of the certificate that the other side showed; empty: none. The subject as RFC 2253 writes it, the SHA-256 as 64
  // hexadecimal digits. They allocate.
  virtual std::string peer_subject() const = 0;
  virtual std::string peer_fingerprint() const = 0;
  // Why a handshake failed, for logs: OpenSSL's words, static text. Empty: it has not.
  virtual std::string_view failure() const = 0;
};

// The server's side on an accepted connection; starts reading at once. The listener may be changed in on_connected().
std::unique_ptr<TlsStream> tls_accept(Loop& loop, std::unique_ptr<Stream> stream,
                                      std::shared_ptr<const TlsServerContext> context, StreamListener& listener);

// The client's side, on a new connection to `address`. `server_name` is sent (SNI, unless it is an IP address) and is
// what the certificate must be for. `sessions` is where it is resumed from and what is offered for the next time goes;
// null: nobody resumes.
std::unique_ptr<TlsStream> tls_connect(Loop& loop, const Address& address,
                                       std::shared_ptr<const TlsClientContext> context, const std::string& server_name,
                                       StreamListener& listener, TlsSessionSlot* sessions = nullptr);

}  // namespace lotse::net

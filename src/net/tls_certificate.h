// The inside of TlsCertificate: OpenSSL's objects for one PEM pair. For the tls_*.cc files of net. Immutable.
#pragma once

#include <string>
#include <vector>

#include "net/openssl.h"
#include "net/tls.h"

namespace lotse::net {

class LoadedCertificate final : public TlsCertificate {
 public:
  const std::vector<std::string>& names() const override { return names_; }
  WallTime not_after() const override { return not_after_; }
  std::string_view key_type() const override { return EVP_PKEY_get0_type_name(key_.get()); }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::string& cert_file() const override { return cert_file_; }

  // Null when the context takes them; else OpenSSL's reason.
  const char* use_in(SSL_CTX* context) const;

 private:
  friend class TlsCertificate;
  Result<Unit, Problem> read_certificates(const std::string& file);
  Result<Unit, Problem> read_key(const std::string& file);
  void read_names();

  std::string cert_file_;
  X509Ptr certificate_;
  std::vector<X509Ptr> chain_;
  KeyPtr key_;
  std::vector<std::string> names_;
  WallTime not_after_{};
  std::string fingerprint_;
};

std::string sha256_of(X509* certificate);  // 64 hexadecimal digits

}  // namespace lotse::net

#include "net/tls_certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace lotse::net {
namespace {

using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, OpenSslDeleter<GENERAL_NAMES_free>>;

// An encrypted key is an error: there is nobody to ask.
int no_password(char*, int, int, void*) { return -1; }

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<std::size_t>(ASN1_STRING_length(string))};
}

Result<BioPtr, Problem> open_file(const std::string& file) {
  errno = 0;
  BioPtr bio(BIO_new_file(file.c_str(), "r"));
  int code = errno;
  ERR_clear_error();
  if (!bio) return fail(Problem{file, code != 0 ? std::strerror(code) : "cannot be opened"});
  return bio;
}

}  // namespace

std::string sha256_of(X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1) return {};
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

Result<std::shared_ptr<const TlsCertificate>, Problem> TlsCertificate::load(const std::string& cert_file,
                                                                            const std::string& key_file) {
  auto loaded = std::make_shared<LoadedCertificate>();
  loaded->cert_file_ = cert_file;
  if (auto read = loaded->read_certificates(cert_file); !read) return fail(read.error());
  if (auto read = loaded->read_key(key_file); !read) return fail(read.error());
  if (X509_check_private_key(loaded->certificate_.get(), loaded->key_.get()) != 1) {
    ERR_clear_error();
    return fail(Problem{key_file, "is not the key of the certificate in " + cert_file});
  }
  loaded->read_names();
  std::tm end{};
  ASN1_TIME_to_tm(X509_get0_notAfter(loaded->certificate_.get()), &end);
  loaded->not_after_ =
      std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::from_time_t(timegm(&end)));
  loaded->fingerprint_ = sha256_of(loaded->certificate_.get());
  return std::shared_ptr<const TlsCertificate>(std::move(loaded));
}

Result<Unit, Problem> LoadedCertificate::read_certificates(const std::string& file) {
  auto bio = open_file(file);
  if (!bio) return fail(bio.error());
  while (X509* one = PEM_read_bio_X509(bio->get(), nullptr, no_password, nullptr)) {
    if (certificate_)
      chain_.emplace_back(one);
    else
      certificate_.reset(one);
  }
  // The end of the file is reported as "no start line".
  const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const char* reason = take_openssl_reason();
  if (!certificate_ && is_end) return fail(Problem{file, "holds no certificate (PEM)"});
  if (!is_end) return fail(Problem{file, std::string("holds a broken certificate: ") + reason});
  return Unit{};
}

Result<Unit, Problem> LoadedCertificate::read_key(const std::string& file) {
  auto bio = open_file(file);
  if (!bio) return fail(bio.error());
  key_.reset(PEM_read_bio_PrivateKey(bio->get(), nullptr, no_password, nullptr));
  const char* reason = take_openssl_reason();
  if (!key_) return fail(Problem{file, std::string("holds no private key that can be read: ") + reason});
  return Unit{};
}

// The subject's common name counts only where there is no alternative name (RFC 6125 section 6.4.4).
void LoadedCertificate::read_names() {
  GeneralNamesPtr alternatives(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate_.get(), NID_subject_alt_name, nullptr, nullptr)));
  const int count = alternatives ? sk_GENERAL_NAME_num(alternatives.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (name->type == GEN_DNS) names_.push_back(lower(text_of(name->d.dNSName)));
  }
  if (count > 0) return;
  const X509_NAME* subject = X509_get_subject_name(certificate_.get());
  int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0) return;
  names_.push_back(lower(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)))));
}

const char* LoadedCertificate::use_in(SSL_CTX* context) const {
  STACK_OF(X509)* chain = sk_X509_new_null();
  for (const X509Ptr& one : chain_) sk_X509_push(chain, one.get());
  int done = SSL_CTX_use_cert_and_key(context, certificate_.get(), key_.get(), chain, 1);
  sk_X509_free(chain);
  return done == 1 ? nullptr : take_openssl_reason();
}

}  // namespace lotse::net

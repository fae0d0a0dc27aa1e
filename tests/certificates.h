// Certificates for tests, made while they run: an authority that issues what a test asks for, as PEM files in a folder
// of the test's. Nothing here is fit for anything else.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace lotse::test {

struct PemPair {
  std::string cert, key;  // files
};

struct Wanted {
  std::vector<std::string> names;  // DNS names; the first is the subject's common name as well
  bool is_rsa = false;
  int days = 30;  // until it ends; negative: it has
};

class Authority {
 public:
  explicit Authority(std::string folder, const std::string& name = "Test Authority") : folder_(std::move(folder)) {
    key_ = make_key(false);
    certificate_ = make(name, key_.get(), 3650);
    add(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    file_ = folder_ + "/" + file_name(name) + ".pem";
    write_certificate(file_, certificate_.get());
  }

  const std::string& file() const { return file_; }

  // <folder>/<file>.pem and .key; files that are there are replaced, each at once.
  PemPair issue(const Wanted& wanted, const std::string& file) {
    Key key = make_key(wanted.is_rsa);
    Certificate certificate = make(wanted.names.front(), key.get(), wanted.days);
    std::string alternatives;
    for (const std::string& name : wanted.names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
    add(certificate.get(), NID_subject_alt_name, alternatives + ",IP:127.0.0.1");
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    X509_sign(certificate.get(), key_.get(), EVP_sha256());
    PemPair pair{folder_ + "/" + file + ".pem", folder_ + "/" + file + ".key"};
    write_certificate(pair.cert, certificate.get());
    write_key(pair.key, key.get());
    return pair;
  }

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  static Key make_key(bool is_rsa) { return {is_rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free}; }
  static Certificate make(const std::string& subject, EVP_PKEY* key, int days) {
    static long serial = 1;
    Certificate certificate(X509_new(), X509_free);
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -400L * 86400);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * 86400L);
    X509_set_pubkey(certificate.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(subject.c_str()), -1, -1, 0);
    return certificate;
  }
  static void add(X509* certificate, int what, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static std::string file_name(std::string text) {
    for (char& c : text) c = c == ' ' ? '-' : c;
    return text;
  }
  template <typename Write>
  static void replace(const std::string& file, Write write) {
    const std::string fresh = file + ".new";
    std::FILE* out = std::fopen(fresh.c_str(), "w");
    write(out);
    std::fclose(out);
    std::rename(fresh.c_str(), file.c_str());
  }
  static void write_certificate(const std::string& file, X509* certificate) {
    replace(file, [&](std::FILE* out) { PEM_write_X509(out, certificate); });
  }
  static void write_key(const std::string& file, EVP_PKEY* key) {
    replace(file, [&](std::FILE* out) { PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
  }

  std::string folder_, file_;
  Key key_{nullptr, EVP_PKEY_free};
  Certificate certificate_{nullptr, X509_free};
};

}  // namespace lotse::test

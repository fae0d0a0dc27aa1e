#include "net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "net/tls_context.h"

namespace lotse::net {
namespace {

using Key = TlsTicketKeys::Key;
using Keys = TlsTicketKeys::Keys;
constexpr std::string_view kForm = "lotse-ticket-keys-1\n";
static_assert(std::is_trivially_copyable_v<Key> && sizeof(Key) == 80);

Key fresh_key() {
  Key key;
  CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key) == 1);
  return key;
}

// Keys leave no copy in memory that is given back.
std::shared_ptr<const Keys> guarded(Keys keys) {
  return {new Keys(std::move(keys)), [](const Keys* old) {
            OPENSSL_cleanse(const_cast<Key*>(old->data()), old->size() * sizeof(Key));
            delete old;
          }};
}

}  // namespace

TlsTicketKeys::TlsTicketKeys() : keys_(guarded({fresh_key()})) {}

void TlsTicketKeys::rotate() {
  Keys keys{fresh_key()};
  keys.reserve(kKeysMax);
  auto old = keys_.load();
  keys.insert(keys.end(), old->begin(), old->begin() + static_cast<long>(std::min(old->size(), kKeysMax - 1)));
  keys_.store(guarded(std::move(keys)));
}

std::string TlsTicketKeys::serialize() const {
  auto keys = keys_.load();
  std::string bytes(kForm);
  bytes.append(reinterpret_cast<const char*>(keys->data()), keys->size() * sizeof(Key));
  return bytes;
}

bool TlsTicketKeys::restore(std::string_view bytes) {
  if (!bytes.starts_with(kForm)) return false;
  bytes.remove_prefix(kForm.size());
  const std::size_t count = bytes.size() / sizeof(Key);
  if (bytes.size() % sizeof(Key) != 0 || count == 0 || count > kKeysMax) return false;
  Keys keys(count);
  std::memcpy(keys.data(), bytes.data(), bytes.size());
  keys_.store(guarded(std::move(keys)));
  return true;
}

// Sealing ---------------------------------------------------------------------------------------------------------

namespace {

// Looked up by name once: OpenSSL's own way asks for it with every ticket.
const EVP_CIPHER* ticket_cipher() {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return fetched;
}

bool set_mac_key(EVP_MAC_CTX* mac, const Key& key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.mac.data()), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

}  // namespace

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int seals) noexcept {
  const auto* tickets = static_cast<const TlsTicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0));
  auto keys = tickets->keys();
  if (seals != 0) {
    const Key& key = keys->front();
    std::copy(key.name.begin(), key.name.end(), name);
    bool is_ready = RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) == 1 &&
                    EVP_EncryptInit_ex2(cipher, ticket_cipher(), key.cipher.data(), iv, nullptr) == 1 &&
                    set_mac_key(mac, key);
    return is_ready ? 1 : -1;
  }
  for (const Key& key : *keys) {
    if (!std::equal(key.name.begin(), key.name.end(), name)) continue;
    bool is_ready =
        EVP_DecryptInit_ex2(cipher, ticket_cipher(), key.cipher.data(), iv, nullptr) == 1 && set_mac_key(mac, key);
    if (!is_ready) return -1;
    // 2: and a new one, sealed with the newest key. In TLS 1.3 always, as a ticket shown twice tells who shows it
    // (RFC 8446 appendix C.4) and the client has no other.
    return &key == keys->data() && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
  }
  return 0;  // a full handshake
}

void use_tickets(SSL_CTX* context, TlsTicketKeys& keys) {
  SSL_CTX_set_ex_data(context, 0, &keys);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
  SSL_CTX_set_timeout(context, std::chrono::duration_cast<std::chrono::seconds>(TlsTicketKeys::kLifetime).count());
}

}  // namespace lotse::net

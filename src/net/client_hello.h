// The name that a TLS client asks for (SNI), read from its first message without taking part in the handshake: for
// connections that are passed on as they come. Bytes in, a name out; no I/O, no cryptography. RFC 8446 sections 4.1.2
// and 5.1, RFC 6066 section 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lotse::net {

// Strict: what is no ClientHello by the letter is refused. It may be split at any byte and over any number of records.
class ClientHelloReader {
 public:
  enum class State : std::uint8_t { wants_more, done, refused };

  // Of the message, and of the bytes that bring it, headers of records included.
  explicit ClientHelloReader(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  State feed(std::span<const char> bytes);  // what follows the message in the last call is ignored

  const std::string& server_name() const { return server_name_; }  // lower case; empty: the client named none
  const char* reason() const { return reason_; }                   // why it was refused; static text
  bool is_tls() const { return is_tls_; }                          // it began like TLS: the client understands an alert

 private:
  State refuse(const char* reason);
  State take_record_header();
  State read_message();
  const char* read_extensions(std::string_view extensions);
  const char* read_server_names(std::string_view list);

  std::size_t bytes_max_;
  std::size_t bytes_seen_ = 0;
  std::string record_header_;    // of the record that begins
  std::size_t record_left_ = 0;  // bytes of the record under way
  std::string message_;          // the handshake message, its header first
  std::string server_name_;
  bool is_tls_ = false;
  const char* reason_ = "";
};

}  // namespace lotse::net

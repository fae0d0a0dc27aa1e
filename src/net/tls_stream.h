// The one implementation of TlsStream: OpenSSL between a stream below and a listener above. Ciphertext is read out of
// the loop's read buffer in place and records are collected until the call ends, so that a write of ours is one write
// of the socket. For net's .cc files. Owned by whoever owns the Stream; one loop thread.
#pragma once

#include <memory>
#include <vector>

#include "net/openssl.h"
#include "net/tls.h"
#include "net/tls_bench.h"

namespace lotse::net {

class OpenSslStream final : public TlsStream, private StreamListener, private HandshakeWork {
 public:
  OpenSslStream(Loop& loop, StreamListener& listener);
  ~OpenSslStream() override;

  void accept(std::unique_ptr<Stream> below, std::shared_ptr<const TlsServerContext> context);
  void connect(const Address& address, std::shared_ptr<const TlsClientContext> context, const std::string& server_name,
               TlsSessionSlot* sessions);
  void keep_session(SSL_SESSION* session);  // takes it; from OpenSSL

  void set_listener(StreamListener* listener) override { listener_ = listener; }
  void start_reading() override;
  void stop_reading() override;
  bool is_reading() const override { return wants_reading_; }
  using Stream::write;
  void write(std::span<const std::string_view> pieces) override;
  std::size_t queued_bytes() const override { return below_->queued_bytes() + early_.size(); }
  std::size_t undelivered_bytes() const override { return below_->undelivered_bytes() + early_.size(); }
  void shutdown() override;
  void reset() override;
  Address peer() const override { return below_->peer(); }
  Address local() const override { return below_->local(); }

  std::string_view protocol() const override;
  TlsVersion version() const override;
  bool is_resumed() const override;
  std::string_view server_name() const override;
  std::string peer_subject() const override;
  std::string peer_fingerprint() const override;
  std::string_view failure() const override { return failure_; }

 private:
  enum class State : std::uint8_t { handshaking, open, failed };
  class Survival;  // tells a function that a callback destroyed the stream it runs in

  // StreamListener of the stream below
  void on_connected() override;
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  // HandshakeWork
  void resume_handshake() override;

  bool open(SSL_CTX* context);
  void hold(std::span<const char> bytes);
  void take(std::span<const char> bytes);
  bool shake_hands();
  void read_records();
  bool deliver(std::size_t bytes);
  void seal(std::string_view bytes);
  void flush();
  void say_goodbye();
  void fail_from_openssl();
  void fail(Error error);
  void fail_later(Error error);

  friend struct StreamBio;
  std::size_t bio_read(char* into, std::size_t bytes);
  void bio_write(const char* from, std::size_t bytes);

  Loop& loop_;
  TlsBench& bench_;
  std::unique_ptr<Stream> below_;
  StreamListener* listener_;
  std::shared_ptr<const void> context_;  // the SSL_CTX's callbacks refer to it
  SslPtr ssl_;
  TlsSessionSlot* sessions_ = nullptr;
  State state_ = State::handshaking;
  bool wants_reading_ = false;
  bool shutdown_wanted_ = false, has_said_goodbye_ = false, has_ended_ = false;
  bool is_waiting_ = false;  // in the bench's queue, with `ticket_`
  std::uint64_t ticket_ = 0;
  std::size_t sealed_bytes_ = 0;  // in the bench's buffer, during a call of ours
  std::span<const char> input_;   // not read by OpenSSL yet; during a call of ours
  std::vector<char> held_;        // ciphertext that nobody could take when it came
  std::vector<char> early_;       // written before the handshake was done
  const char* failure_ = "";
  Survival* survival_ = nullptr;
  std::shared_ptr<char> alive_;  // made only for what has to be done later
};

}  // namespace lotse::net

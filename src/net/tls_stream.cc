#include "net/tls_stream.h"

#include <openssl/x509v3.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "net/loop.h"
#include "net/tls_certificate.h"
#include "net/tls_context.h"

namespace lotse::net {

// What OpenSSL answers the peer by itself (KeyUpdate, alerts) may wait for the socket up to here; a peer that asks for
// more and reads nothing is dropped.
constexpr std::size_t kUnaskedBytesMax = 256 * 1024;

// OpenSSL's side of the stream: reads what on_bytes() brought, writes into the bench's buffer.
struct StreamBio {
  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "lotse stream");
      CHECK(fresh != nullptr);
      BIO_meth_set_read(fresh, read);
      BIO_meth_set_write(fresh, write);
      BIO_meth_set_ctrl(fresh, control);
      return fresh;
    }();
    return made;
  }

  static int read(BIO* bio, char* into, int bytes) noexcept {
    BIO_clear_retry_flags(bio);
    auto* stream = static_cast<OpenSslStream*>(BIO_get_data(bio));
    std::size_t count = stream->bio_read(into, static_cast<std::size_t>(std::max(bytes, 0)));
    if (count > 0) return static_cast<int>(count);
    BIO_set_retry_read(bio);
    return -1;
  }
  static int write(BIO* bio, const char* from, int bytes) noexcept {
    BIO_clear_retry_flags(bio);
    static_cast<OpenSslStream*>(BIO_get_data(bio))->bio_write(from, static_cast<std::size_t>(std::max(bytes, 0)));
    return bytes;
  }
  static long control(BIO*, int command, long, void*) noexcept {
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
  }
};

// On the stack of every function that calls the listener and goes on afterwards.
class OpenSslStream::Survival {
 public:
  explicit Survival(OpenSslStream& stream) : stream_(&stream), outer_(stream.survival_) { stream.survival_ = this; }
  ~Survival() {
    if (stream_ != nullptr) stream_->survival_ = outer_;
  }
  Survival(const Survival&) = delete;
  explicit operator bool() const { return stream_ != nullptr; }
  void stream_has_gone() {
    stream_ = nullptr;
    if (outer_ != nullptr) outer_->stream_has_gone();
  }

 private:
  OpenSslStream* stream_;
  Survival* outer_;
};

std::unique_ptr<TlsStream> tls_accept(Loop& loop, std::unique_ptr<Stream> stream,
                                      std::shared_ptr<const TlsServerContext> context, StreamListener& listener) {
  auto tls = std::make_unique<OpenSslStream>(loop, listener);
  tls->accept(std::move(stream), std::move(context));
  return tls;
}

std::unique_ptr<TlsStream> tls_connect(Loop& loop, const Address& address,
                                       std::shared_ptr<const TlsClientContext> context, const std::string& server_name,
                                       StreamListener& listener, TlsSessionSlot* sessions) {
  auto tls = std::make_unique<OpenSslStream>(loop, listener);
  tls->connect(address, std::move(context), server_name, sessions);
  return tls;
}

OpenSslStream::OpenSslStream(Loop& loop, StreamListener& listener)
    : loop_(loop), bench_(loop.tls_bench()), listener_(&listener) {}

OpenSslStream::~OpenSslStream() {
  if (is_waiting_) bench_.forget(ticket_);
  if (survival_ != nullptr) survival_->stream_has_gone();
  if (state_ == State::open && !shutdown_wanted_) say_goodbye();
}

void OpenSslStream::accept(std::unique_ptr<Stream> below, std::shared_ptr<const TlsServerContext> context) {
  below_ = std::move(below);
  below_->set_listener(this);
  SSL_CTX* initial = static_cast<const ServerContext&>(*context).initial();
  context_ = std::move(context);
  if (!open(initial)) return;
  SSL_set_accept_state(ssl_.get());
  below_->start_reading();
}

void OpenSslStream::connect(const Address& address, std::shared_ptr<const TlsClientContext> context,
                            const std::string& server_name, TlsSessionSlot* sessions) {
  below_ = net::connect(loop_, address, *this);
  const auto& ours = static_cast<const ClientContext&>(*context);
  context_ = std::move(context);
  if (!open(ours.context())) return;
  SSL_set_connect_state(ssl_.get());
  const bool is_ip = Address::from_ip(server_name, 0).has_value();
  if (!is_ip && !server_name.empty()) {
    // SSL_set_tlsext_host_name() is a macro with a C cast.
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(server_name.c_str()));
  }
  if (ours.verifies()) {
    X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool is_set = is_ip ? X509_VERIFY_PARAM_set1_ip_asc(wanted, server_name.c_str()) == 1
                        : X509_VERIFY_PARAM_set1_host(wanted, server_name.c_str(), server_name.size()) == 1;
    // Without a name to check, any certificate of the authority would do.
    if (!is_set || server_name.empty()) return fail_later({.code = Errc::invalid_argument, .retry = Retry::always});
  }
  sessions_ = sessions;
  if (sessions != nullptr && sessions->session)
    SSL_set_session(ssl_.get(), static_cast<SSL_SESSION*>(sessions->session.get()));
  below_->start_reading();
}

void OpenSslStream::keep_session(SSL_SESSION* session) {
  std::shared_ptr<void> kept(session, [](void* gone) { SSL_SESSION_free(static_cast<SSL_SESSION*>(gone)); });
  if (sessions_ != nullptr && SSL_SESSION_is_resumable(session) == 1) sessions_->session = std::move(kept);
}

// OpenSSL's SSL_CTX_sess_set_new_cb(3): the server has said how this session may be resumed.
int on_new_session(SSL* ssl, SSL_SESSION* session) noexcept {
  static_cast<OpenSslStream*>(BIO_get_data(SSL_get_rbio(ssl)))->keep_session(session);
  return 1;
}

bool OpenSslStream::open(SSL_CTX* context) {
  ssl_.reset(SSL_new(context));
  BioPtr bio(BIO_new(StreamBio::method()));
  if (!ssl_ || !bio) {
    failure_ = take_openssl_reason();
    ssl_.reset();
    fail_later({.code = Errc::overloaded});
    return false;
  }
  BIO_set_data(bio.get(), this);
  BIO_set_init(bio.get(), 1);
  BIO_up_ref(bio.get());
  SSL_set0_rbio(ssl_.get(), bio.get());
  SSL_set0_wbio(ssl_.get(), bio.release());
  return true;
}

// Reading ---------------------------------------------------------------------------------------------------------

std::size_t OpenSslStream::bio_read(char* into, std::size_t bytes) {
  std::size_t count = std::min(bytes, input_.size());
  if (count == 0) return 0;
  std::memcpy(into, input_.data(), count);
  input_ = input_.subspan(count);
  return count;
}

void OpenSslStream::on_connected() {  // the stream below, of a client
  if (state_ == State::handshaking && ssl_) shake_hands();
}

void OpenSslStream::on_bytes(std::span<const char> bytes) {
  if (state_ == State::failed || has_ended_) return;
  if (state_ == State::handshaking && !bench_.has_time()) {
    hold(bytes);
    below_->stop_reading();
    if (!std::exchange(is_waiting_, true)) ticket_ = bench_.wait(*this);
    return;
  }
  take(bytes);
}

void OpenSslStream::resume_handshake() {
  is_waiting_ = false;
  below_->start_reading();
  auto bytes = std::exchange(held_, {});
  take(bytes);
}

void OpenSslStream::hold(std::span<const char> bytes) { held_.insert(held_.end(), bytes.begin(), bytes.end()); }

// Everything in `bytes` is given to OpenSSL, which keeps at most an incomplete record.
void OpenSslStream::take(std::span<const char> bytes) {
  Survival survives(*this);
  input_ = bytes;
  if (state_ == State::handshaking && !shake_hands()) return;
  if (!survives || state_ != State::open) return;
  if (!wants_reading_) {  // the listener of the handshake did not ask for more
    if (!input_.empty()) hold(input_);
    input_ = {};
    return below_->stop_reading();
  }
  read_records();
}

void OpenSslStream::start_reading() {
  if (wants_reading_ || has_ended_ || state_ == State::failed) return;
  wants_reading_ = true;
  if (state_ == State::handshaking) return;
  if (held_.empty() && SSL_has_pending(ssl_.get()) == 0) return below_->start_reading();
  if (survival_ != nullptr) return;  // inside take(), which goes on reading
  if (!alive_) alive_ = std::make_shared<char>();
  loop_.defer([this, weak = std::weak_ptr<char>(alive_)] {
    if (weak.expired() || !wants_reading_ || state_ != State::open) return;
    below_->start_reading();
    auto bytes = std::exchange(held_, {});
    take(bytes);
  });
}

void OpenSslStream::stop_reading() {
  wants_reading_ = false;
  if (state_ == State::open) below_->stop_reading();
}

// False: it is not done, it failed, or the listener destroyed us.
bool OpenSslStream::shake_hands() {
  Survival survives(*this);
  const auto began = std::chrono::steady_clock::now();
  int code = SSL_do_handshake(ssl_.get());
  bench_.spend(std::chrono::steady_clock::now() - began);
  flush();
  if (code != 1) {
    if (SSL_get_error(ssl_.get(), code) != SSL_ERROR_WANT_READ) fail_from_openssl();
    return false;
  }
  ERR_clear_error();
  state_ = State::open;
  if (listener_ != nullptr) listener_->on_connected();
  if (!survives) return false;
  if (!early_.empty() && state_ == State::open) {
    auto bytes = std::exchange(early_, {});
    seal({bytes.data(), bytes.size()});
    flush();
    if (shutdown_wanted_) say_goodbye(), below_->shutdown();
  }
  return state_ == State::open;
}

void OpenSslStream::read_records() {
  Survival survives(*this);
  std::span<char> plain = bench_.plain();
  std::size_t used = 0;
  int code = 1;
  do {
    code = SSL_read(ssl_.get(), plain.data() + used, static_cast<int>(plain.size() - used));
    if (code > 0) used += static_cast<std::size_t>(code);
    if (used == plain.size()) {  // cannot be, as one read brings less; but then it would be right
      if (!deliver(std::exchange(used, 0)) || !survives) return;
    }
  } while (code > 0 && (!input_.empty() || SSL_has_pending(ssl_.get()) != 0));
  flush();
  const int error = code > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), code);
  if (used > 0 && !deliver(used)) return;
  if (error == SSL_ERROR_NONE || error == SSL_ERROR_WANT_READ) {
    if (below_->queued_bytes() > kUnaskedBytesMax && used == 0) fail({.code = Errc::protocol});
    return;
  }
  if (error != SSL_ERROR_ZERO_RETURN) return fail_from_openssl();
  has_ended_ = true;  // close_notify
  wants_reading_ = false;
  below_->stop_reading();
  if (listener_ != nullptr) listener_->on_end();
}

// False: the listener destroyed us, or closed.
bool OpenSslStream::deliver(std::size_t bytes) {
  Survival survives(*this);
  if (listener_ != nullptr) listener_->on_bytes(bench_.plain().first(bytes));
  return survives && state_ == State::open;
}

void OpenSslStream::on_end() {
  if (state_ == State::failed || has_ended_) return;
  if (state_ == State::handshaking) failure_ = "connection closed";
  fail({.code = Errc::end_of_stream, .retry = Retry::on_reused_connection});
}

void OpenSslStream::on_error(Error error) {
  if (state_ == State::handshaking && *failure_ == '\0') failure_ = "connection broken";
  fail(error);
}

// Writing ---------------------------------------------------------------------------------------------------------

void OpenSslStream::bio_write(const char* from, std::size_t bytes) {
  std::span<char> sealed = bench_.sealed();
  if (sealed.size() - sealed_bytes_ < bytes) flush();
  if (bytes > sealed.size()) return below_->write(std::string_view(from, bytes));
  std::memcpy(sealed.data() + sealed_bytes_, from, bytes);
  sealed_bytes_ += bytes;
}

void OpenSslStream::flush() {
  if (sealed_bytes_ > 0) below_->write(std::string_view(bench_.sealed().data(), std::exchange(sealed_bytes_, 0)));
}

// Small pieces share a record: each record costs 22 bytes, a cipher's start and an entry on the other side.
void OpenSslStream::write(std::span<const std::string_view> pieces) {
  if (state_ == State::failed || shutdown_wanted_) return;
  if (state_ == State::handshaking) {
    for (std::string_view piece : pieces) early_.insert(early_.end(), piece.begin(), piece.end());
    return;
  }
  std::span<char> record = bench_.record();
  std::size_t used = 0;
  if (pieces.size() == 1) {
    seal(pieces.front());
  } else {
    for (std::string_view piece : pieces) {
      while (!piece.empty()) {
        if (used == 0 && piece.size() >= record.size()) {
          seal(piece.substr(0, record.size()));
          piece.remove_prefix(record.size());
          continue;
        }
        std::size_t count = std::min(piece.size(), record.size() - used);
        std::memcpy(record.data() + used, piece.data(), count);
        used += count;
        piece.remove_prefix(count);
        if (used == record.size()) seal({record.data(), std::exchange(used, 0)});
      }
    }
    seal({record.data(), used});
  }
  flush();
}

void OpenSslStream::seal(std::string_view bytes) {
  while (!bytes.empty() && state_ == State::open) {
    std::size_t count = std::min(bytes.size(), TlsBench::kRecordBytes);
    if (SSL_write(ssl_.get(), bytes.data(), static_cast<int>(count)) <= 0) {
      failure_ = take_openssl_reason();
      return fail_later({.code = Errc::protocol});
    }
    bytes.remove_prefix(count);
  }
}

void OpenSslStream::on_drained() {
  if (state_ == State::open && listener_ != nullptr) listener_->on_drained();
}

// Ending ----------------------------------------------------------------------------------------------------------

void OpenSslStream::shutdown() {
  if (state_ == State::failed || std::exchange(shutdown_wanted_, true)) return;
  if (state_ == State::handshaking) return;
  say_goodbye();
  below_->shutdown();
}

void OpenSslStream::say_goodbye() {
  if (std::exchange(has_said_goodbye_, true)) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  flush();
}

void OpenSslStream::reset() {
  state_ = State::failed;
  below_->reset();
}

// Failing ---------------------------------------------------------------------------------------------------------

void OpenSslStream::fail_from_openssl() {
  failure_ = take_openssl_reason();
  if (long code = SSL_get_verify_result(ssl_.get()); state_ == State::handshaking && code != X509_V_OK)
    failure_ = X509_verify_cert_error_string(code);
  if (state_ == State::handshaking && sessions_ != nullptr) sessions_->session.reset();
  fail({.code = Errc::protocol});
}

void OpenSslStream::fail(Error error) {
  if (std::exchange(state_, State::failed) == State::failed) return;
  wants_reading_ = false;
  below_->stop_reading();
  if (listener_ != nullptr) listener_->on_error(error);
}

void OpenSslStream::fail_later(Error error) {
  if (!alive_) alive_ = std::make_shared<char>();
  loop_.defer([this, error, weak = std::weak_ptr<char>(alive_)] {
    if (!weak.expired()) fail(error);
  });
}

// Asking ----------------------------------------------------------------------------------------------------------

std::string_view OpenSslStream::protocol() const {
  const unsigned char* name = nullptr;
  unsigned bytes = 0;
  if (ssl_) SSL_get0_alpn_selected(ssl_.get(), &name, &bytes);
  return {reinterpret_cast<const char*>(name), bytes};
}

TlsVersion OpenSslStream::version() const {
  return ssl_ && SSL_version(ssl_.get()) == TLS1_2_VERSION ? TlsVersion::tls1_2 : TlsVersion::tls1_3;
}

bool OpenSslStream::is_resumed() const { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }

std::string OpenSslStream::peer_subject() const {
  X509* certificate = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  if (certificate == nullptr) return {};
  BioPtr text(BIO_new(BIO_s_mem()));
  char* bytes = nullptr;
  if (!text || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0) return {};
  long count = BIO_ctrl(text.get(), BIO_CTRL_INFO, 0, &bytes);
  return {bytes, static_cast<std::size_t>(std::max(count, 0L))};
}

std::string OpenSslStream::peer_fingerprint() const {
  X509* certificate = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  return certificate == nullptr ? std::string() : sha256_of(certificate);
}

std::string_view OpenSslStream::server_name() const {
  const char* name = ssl_ ? SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name) : nullptr;
  return name == nullptr ? std::string_view() : std::string_view(name);
}

}  // namespace lotse::net

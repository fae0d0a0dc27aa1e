#include "proxy/tls_handshake.h"

#include <utility>

#include "base/log.h"
#include "proxy/worker.h"

namespace lotse::proxy {

// A slow handshake is a slow head: it has the same time, from the moment the connection was accepted.
TlsHandshake::TlsHandshake(Worker& worker, std::shared_ptr<WorkerListener> listener,
                           std::unique_ptr<net::Stream> stream)
    : worker_(worker), listener_(std::move(listener)), deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {
  stream_ = net::tls_accept(worker.loop(), std::move(stream), listener_->tls, *this);
  deadline_.set(worker.config().timeouts.header);
}

void TlsHandshake::on_connected() {
  Turn turn(worker_);
  WorkerCounters& counters = worker_.counters();
  (stream_->version() == net::TlsVersion::tls1_3 ? counters.tls13_handshakes : counters.tls12_handshakes).add();
  if (stream_->is_resumed()) counters.tls_resumptions.add();
  deadline_.stop();
  auto listener = std::move(listener_);
  auto stream = std::move(stream_);
  stream->protocol() == "h2" ? worker_.admit_h2(listener, std::move(stream))
                             : worker_.admit(listener, std::move(stream));
  worker_.bury(*this);
}

void TlsHandshake::on_error(Error) {
  Turn turn(worker_);
  worker_.counters().tls_failures.add();
  log::debug("proxy", "TLS handshake of {} on {} failed: {}", stream_->peer().to_string(), listener_->address,
             stream_->failure());
  close();
}

void TlsHandshake::on_deadline() {
  worker_.counters().header_timeouts.add();
  worker_.counters().tls_failures.add();
  close();
}

void TlsHandshake::close() {
  if (!stream_) return;
  stream_.reset();
  deadline_.stop();
  worker_.bury(*this);
}

}  // namespace lotse::proxy

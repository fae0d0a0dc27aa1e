#include "proxy/proxy_preface.h"

#include <utility>

#include "base/log.h"
#include "proxy/worker.h"

namespace lotse::proxy {

// A slow header is a slow head: it has the same time.
ProxyPreface::ProxyPreface(Worker& worker, std::shared_ptr<WorkerListener> listener,
                           std::unique_ptr<net::Stream> stream)
    : worker_(worker),
      listener_(std::move(listener)),
      stream_(std::move(stream)),
      reader_(worker.config().limits.proxy_header_bytes_max),
      deadline_(worker.loop(), [this] {
        Turn turn(worker_);
        on_deadline();
      }) {
  stream_->set_listener(this);
  stream_->limit_next_read(reader_.wanted());
  stream_->start_reading();
  deadline_.set(worker.config().timeouts.header);
}

void ProxyPreface::on_bytes(std::span<const char> bytes) {
  Turn turn(worker_);
  worker_.counters().downstream_bytes_in.add(bytes.size());
  switch (reader_.feed(bytes)) {
    case net::ProxyHeaderReader::State::wants_more:
      return stream_->limit_next_read(reader_.wanted());
    case net::ProxyHeaderReader::State::refused:
      return refuse(reader_.reason());
    case net::ProxyHeaderReader::State::done:
      return on_done();
  }
}

void ProxyPreface::on_done() {
  deadline_.stop();
  stream_->stop_reading();
  stream_->set_listener(nullptr);
  if (reader_.has_addresses()) stream_->tell_addresses(reader_.source(), reader_.destination());
  auto listener = std::move(listener_);
  auto stream = std::move(stream_);
  worker_.greet(listener, std::move(stream));
  worker_.bury(*this);
}

void ProxyPreface::on_end() {
  Turn turn(worker_);
  refuse("the connection ended in front of the header's end");
}

void ProxyPreface::on_error(Error error) {
  Turn turn(worker_);
  refuse(to_string(error.code).data());
}

void ProxyPreface::on_deadline() {
  worker_.counters().header_timeouts.add();
  refuse("the header did not come in time");
}

void ProxyPreface::refuse(const char* reason) {
  log::debug("proxy", "{} on {}: no PROXY header: {}", stream_->peer().to_string(), listener_->address, reason);
  listener_->stats->refuse(worker_.index(), Refusal::proxy_header);
  stream_->reset();
  close();
}

void ProxyPreface::close() {
  if (!stream_) return;
  stream_.reset();
  deadline_.stop();
  worker_.bury(*this);
}

}  // namespace lotse::proxy

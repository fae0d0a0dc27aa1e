// A client's connection to a TLS listener until its handshake is done: then its stream goes to a connection that speaks
// the agreed protocol. Knows its deadline; nothing of certificates or HTTP. Owned by the Worker; one loop thread.
#pragma once

#include <memory>

#include "net/tls.h"
#include "proxy/deadline.h"
#include "proxy/downstream.h"

namespace lotse::proxy {

class Worker;
struct WorkerListener;

class TlsHandshake final : public net::StreamListener, public Downstream {
 public:
  TlsHandshake(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream);

  void drain() override {}  // it has its deadline, and what follows it drains
  void close() override;
  bool is_of(const WorkerListener& listener) const override { return listener_.get() == &listener; }

 private:
  void on_connected() override;
  void on_bytes(std::span<const char>) override {}  // none before on_connected()
  void on_end() override { close(); }
  void on_error(Error error) override;
  void on_deadline();

  Worker& worker_;
  std::shared_ptr<WorkerListener> listener_;
  std::unique_ptr<net::TlsStream> stream_;
  Deadline deadline_;
};

}  // namespace lotse::proxy

// A connection of a balancer that we believe, until it has said by the PROXY protocol whose it is: then it goes on as
// that client's. Reads the header and not a byte more. Owned by the Worker; one loop thread.
#pragma once

#include <memory>

#include "net/proxy_protocol.h"
#include "net/stream.h"
#include "proxy/deadline.h"
#include "proxy/downstream.h"

namespace lotse::proxy {

class Worker;
struct WorkerListener;

class ProxyPreface final : public net::StreamListener, public Downstream {
 public:
  ProxyPreface(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream);

  void drain() override {}  // it has its deadline, and what follows it drains
  void close() override;
  bool is_of(const WorkerListener& listener) const override { return listener_.get() == &listener; }

 private:
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_deadline();
  void on_done();
  void refuse(const char* reason);

  Worker& worker_;
  std::shared_ptr<WorkerListener> listener_;
  std::unique_ptr<net::Stream> stream_;
  net::ProxyHeaderReader reader_;
  Deadline deadline_;
};

}  // namespace lotse::proxy

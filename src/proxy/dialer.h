// Begins a connection to an endpoint: finds its address and connects. Knows nothing of what is spoken then. Owned by
// the connection that it dials for; one loop thread.
#pragma once

#include <memory>

#include "net/resolver.h"
#include "net/stream.h"
#include "proxy/endpoint_record.h"

namespace lotse::proxy {

class Worker;

class DialerOwner : public net::StreamListener {
 public:
  virtual void on_dialled(std::unique_ptr<net::Stream> stream) = 0;  // it is connecting; may come from inside dial()
  virtual void on_name_unknown() = 0;                                // from the loop; no stream comes

 protected:
  ~DialerOwner() = default;
};

class Dialer {
 public:
  Dialer(Worker& worker, EndpointRecord& record, DialerOwner& owner)
      : worker_(worker), record_(record), owner_(owner) {}

  void dial();
  void cancel() { lookup_.reset(); }
  void on_failed();  // the address was no good: the next one's turn

 private:
  EndpointState& state();

  Worker& worker_;
  EndpointRecord& record_;
  DialerOwner& owner_;
  std::unique_ptr<net::Lookup> lookup_;
};

}  // namespace lotse::proxy

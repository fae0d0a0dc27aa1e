// The HTTP/2 connections to one endpoint of one worker: few, each shared by many exchanges; another is opened when all
// that are there are full. Knows what they can take together, which is what the balancer asks. One loop thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "proxy/intrusive_list.h"

namespace lotse::proxy {

class H2Upstream;
struct InH2Pool;  // tag: of its endpoint's pool

class H2Pool {
 public:
  struct Bounds {
    std::size_t connections_max = 1, streams_max = 1;
  };
  void configure(const Bounds& bounds);

  H2Upstream* with_room();  // the oldest that takes one more stream; null: none does
  bool may_open() const { return open_ < bounds_.connections_max; }
  std::size_t requests_max() const { return requests_max_; }  // at once; more wait in their app's queue
  // Of one connection that has not heard of the endpoint's bound yet.
  std::size_t expected_streams() const { return std::max<std::size_t>(std::min(expected_, bounds_.streams_max), 1); }
  std::size_t streams_max() const { return bounds_.streams_max; }
  std::size_t open() const { return open_; }
  void close_idle();  // those that are not go when their last stream has ended

  // From the connections.
  void add(H2Upstream& connection);
  void remove(H2Upstream& connection);
  void recount();  // what one of them takes has changed

 private:
  IntrusiveList<H2Upstream, InH2Pool> connections_;
  Bounds bounds_;
  std::size_t open_ = 0, requests_max_ = 1;
  std::size_t expected_ = static_cast<std::size_t>(-1);  // what the last one took
};

}  // namespace lotse::proxy

#include "proxy/h2_pool.h"

#include <algorithm>

#include "proxy/h2_upstream.h"

namespace lotse::proxy {

void H2Pool::configure(const Bounds& bounds) {
  bounds_ = bounds;
  recount();
}

H2Upstream* H2Pool::with_room() {
  for (H2Upstream* one = connections_.front(); one != nullptr; one = connections_.next(*one)) {
    if (one->has_room()) return one;
  }
  return nullptr;
}

void H2Pool::add(H2Upstream& connection) {
  connections_.push_back(connection);
  ++open_;
  recount();
}

void H2Pool::remove(H2Upstream& connection) {
  connection.ListNode<InH2Pool>::unlink();
  --open_;
  recount();
}

void H2Pool::recount() {
  std::size_t sum = 0;
  for (H2Upstream* one = connections_.front(); one != nullptr; one = connections_.next(*one)) {
    if (auto said = one->peer_streams_max()) expected_ = *said;
    sum += one->takes_new() ? one->streams_max() : one->stream_count();
  }
  if (open_ < bounds_.connections_max) sum += (bounds_.connections_max - open_) * expected_streams();
  requests_max_ = std::max<std::size_t>(sum, 1);
}

void H2Pool::close_idle() {
  for (H2Upstream* one = connections_.front(); one != nullptr;) {
    H2Upstream* next = connections_.next(*one);
    if (one->stream_count() == 0) one->retire();
    one = next;
  }
}

}  // namespace lotse::proxy

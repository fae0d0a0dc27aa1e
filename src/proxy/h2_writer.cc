#include "proxy/h2_writer.h"

#include "net/stream.h"
#include "proxy/worker.h"

namespace lotse::proxy {

// Twice what a body may have waiting: enough to keep a socket busy between two turns.
std::size_t H2Writer::room() {
  net::Stream* stream = output_stream();
  if (stream == nullptr) return 0;
  if (flushes_ != worker_.outbox().flushes()) {
    flushes_ = worker_.outbox().flushes();
    added_bytes_ = 0;
  }
  const std::size_t bytes_max = 2 * worker_.config().limits.buffer_bytes_max;
  const std::size_t used = stream->queued_bytes() + added_bytes_;
  return used < bytes_max ? bytes_max - used : 0;
}

void H2Writer::add_text(std::string_view bytes) {
  net::Stream* stream = output_stream();
  if (stream == nullptr) return;
  worker_.outbox().to(*stream);
  worker_.outbox().add_text(bytes);
  added_bytes_ += bytes.size();
}

void H2Writer::add_bytes(std::string_view bytes) {
  net::Stream* stream = output_stream();
  if (stream == nullptr) return;
  worker_.outbox().to(*stream);
  worker_.outbox().add_bytes(bytes);
  added_bytes_ += bytes.size();
}

void H2Writer::release_views() { worker_.outbox().release_views(); }

void H2Writer::on_h2_unsent() {
  if (!ListNode<InUnsent>::is_linked()) worker_.unsent().push_back(*this);
}

bool H2Writer::flush(http::H2Session& session) {
  for (;;) {
    session.flush();
    if (output_stream() == nullptr || room() > 0) return true;
    worker_.outbox().flush();
    if (output_stream()->queued_bytes() > 0) return false;
  }
}

}  // namespace lotse::proxy

// Frames of one HTTP/2 connection on their way into the worker's outbox. A session that has something to say is
// remembered by the worker and written when the poll's callbacks are over, so that the frames of a turn, of whichever
// streams, leave in one call; what a slow peer does not take stays with its streams. Base of the connections of both
// sides. One loop thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/h2_session.h"
#include "proxy/intrusive_list.h"

namespace lotse::net {
class Stream;
}

namespace lotse::proxy {

class Worker;
struct InUnsent;  // tag: has frames to write before the loop waits

class H2Writer : public http::H2Output, public ListNode<InUnsent> {
 public:
  explicit H2Writer(Worker& worker) : worker_(worker) {}

  // Worker::write_out(), or the stream has drained: flushes the session while the stream takes what it gets.
  virtual void write_frames() = 0;

  // http::H2Output
  std::size_t room() final;
  void add_text(std::string_view bytes) final;
  void add_bytes(std::string_view bytes) final;
  void release_views() final;
  void on_h2_unsent() final;

 protected:
  ~H2Writer() = default;
  // The stream to write to; null: nothing can be written (any more).
  virtual net::Stream* output_stream() = 0;
  // All that the session has, as long as the stream takes it at once. False: the rest waits for on_drained().
  bool flush(http::H2Session& session);

 private:
  Worker& worker_;
  std::uint64_t flushes_ = 0;    // of the outbox, when added_ began
  std::size_t added_bytes_ = 0;  // since then
};

}  // namespace lotse::proxy

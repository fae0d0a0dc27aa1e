// What a worker is about to write, to several streams: heads are composed in a scratch block that all connections of
// the worker share, larger bodies are views. A stream's share is one system call. Owned by the worker. What was copied
// may wait until the poll's callbacks are over (docs/decisions/0005-writes-wait-for-the-poll.md); views are valid until
// the read callback that brought them returns, so release_views() sends them before that (Worker::settle). One loop
// thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace lotse::net {
class Stream;
}

namespace lotse::proxy {

class Outbox {
 public:
  Outbox();

  // Everything added from here on goes to `stream`, in order, after what was added before.
  void to(net::Stream& stream) {
    if (batch_count_ > 0 && batches_[batch_count_ - 1].stream == &stream) return;
    open(stream);
  }

  // Room for `bytes` of text; commit() says how many were written. Nothing else may be added in between.
  char* reserve(std::size_t bytes);
  void commit(std::size_t bytes);

  void add_text(std::string_view text);    // copied
  void add_bytes(std::string_view bytes);  // small ones are copied, others referred to until they are sent

  void flush();           // everything is with its stream when this returns
  void release_views() {  // nothing refers to bytes that are not ours any more
    if (has_views_) flush();
  }
  bool is_empty() const { return batch_count_ == 0; }
  std::uint64_t flushes() const { return flushes_; }  // tells whether what was added at some time is still here
  void forget(const net::Stream& stream);             // it is about to be destroyed: drop what is there for it

 private:
  static constexpr std::size_t kScratchBytes = 64 * 1024;
  static constexpr std::size_t kCopiedBytesMax = 2048;  // copying this much is cheaper than another iovec
  static constexpr std::size_t kPiecesMax = 64;
  // More would keep the first one waiting without saving the rest anything.
  static constexpr std::size_t kBatchesMax = 16;

  struct Batch {  // for one stream: the pieces from `first` to the next batch's
    net::Stream* stream = nullptr;
    std::size_t first = 0;
  };

  void open(net::Stream& stream);

  std::unique_ptr<char[]> scratch_;
  std::size_t capacity_ = kScratchBytes, used_ = 0;
  std::array<std::string_view, kPiecesMax> pieces_;
  std::array<Batch, kBatchesMax> batches_;
  std::size_t piece_count_ = 0, batch_count_ = 0;
  std::uint64_t flushes_ = 0;
  bool has_views_ = false;
};

}  // namespace lotse::proxy

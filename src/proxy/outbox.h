// What a worker is about to write to one stream: heads are composed in a scratch block that all connections of the
// worker share, larger bodies are views, and one writev sends it all. Owned by the worker. The views are valid until
// the read callback that brought them returns, so everything is flushed before that (Worker::settle). One loop thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

namespace lotse::net {
class Stream;
}

namespace lotse::proxy {

class Outbox {
 public:
  Outbox();

  // Everything added from here on goes to `stream`; what is there for another one is flushed first.
  void to(net::Stream& stream) {
    if (stream_ == &stream) return;
    flush();
    stream_ = &stream;
  }

  // Room for `bytes` of text; commit() says how many were written. Nothing else may be added in between.
  char* reserve(std::size_t bytes);
  void commit(std::size_t bytes);

  void add_text(std::string_view text);    // copied
  void add_bytes(std::string_view bytes);  // small ones are copied, others referred to until flush()

  void flush();
  bool is_empty() const { return piece_count_ == 0; }
  void forget(const net::Stream& stream);  // it is about to be destroyed: drop what is there for it

 private:
  static constexpr std::size_t kScratchBytes = 64 * 1024;
  static constexpr std::size_t kCopiedBytesMax = 2048;  // copying this much is cheaper than another iovec
  static constexpr std::size_t kPiecesMax = 32;

  net::Stream* stream_ = nullptr;
  std::unique_ptr<char[]> scratch_;
  std::size_t capacity_ = kScratchBytes, used_ = 0;
  std::array<std::string_view, kPiecesMax> pieces_;
  std::size_t piece_count_ = 0;
};

}  // namespace lotse::proxy

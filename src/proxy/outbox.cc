#include "proxy/outbox.h"

#include <cstring>
#include <span>

#include "net/stream.h"

namespace lotse::proxy {

Outbox::Outbox() : scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {}

char* Outbox::reserve(std::size_t bytes) {
  if (capacity_ - used_ < bytes || piece_count_ == kPiecesMax) {
    net::Stream* stream = stream_;
    flush();
    stream_ = stream;
    if (capacity_ < bytes) {  // a head bound above our block: grow once, nothing points into the old one any more
      capacity_ = bytes;
      scratch_ = std::make_unique_for_overwrite<char[]>(bytes);
    }
  }
  return scratch_.get() + used_;
}

void Outbox::commit(std::size_t bytes) {
  if (bytes == 0) return;
  char* start = scratch_.get() + used_;
  used_ += bytes;
  if (piece_count_ > 0) {
    std::string_view& last = pieces_[piece_count_ - 1];
    if (last.data() + last.size() == start) {
      last = {last.data(), last.size() + bytes};
      return;
    }
  }
  pieces_[piece_count_++] = {start, bytes};
}

void Outbox::add_text(std::string_view text) {
  std::memcpy(reserve(text.size()), text.data(), text.size());
  commit(text.size());
}

void Outbox::add_bytes(std::string_view bytes) {
  if (bytes.size() <= kCopiedBytesMax) return add_text(bytes);
  reserve(0);  // makes room for a piece
  pieces_[piece_count_++] = bytes;
}

void Outbox::flush() {
  if (piece_count_ > 0) stream_->write(std::span<const std::string_view>(pieces_.data(), piece_count_));
  stream_ = nullptr;
  piece_count_ = 0;
  used_ = 0;
}

void Outbox::forget(const net::Stream& stream) {
  if (stream_ != &stream) return;
  stream_ = nullptr;
  piece_count_ = 0;
  used_ = 0;
}

}  // namespace lotse::proxy

#include "proxy/outbox.h"

#include <cstring>
#include <span>

#include "net/stream.h"

namespace lotse::proxy {

Outbox::Outbox() : scratch_(std::make_unique_for_overwrite<char[]>(kScratchBytes)) {}

void Outbox::open(net::Stream& stream) {
  if (has_views_ || batch_count_ == kBatchesMax) flush();
  batches_[batch_count_++] = {&stream, piece_count_};
}

char* Outbox::reserve(std::size_t bytes) {
  if (capacity_ - used_ < bytes || piece_count_ == kPiecesMax) {
    net::Stream& stream = *batches_[batch_count_ - 1].stream;
    flush();
    open(stream);
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
  if (piece_count_ > batches_[batch_count_ - 1].first) {
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
  has_views_ = true;
}

void Outbox::flush() {
  if (batch_count_ == 0) return;
  ++flushes_;
  for (std::size_t i = 0; i < batch_count_; ++i) {
    const auto& [stream, first] = batches_[i];
    const std::size_t end = i + 1 < batch_count_ ? batches_[i + 1].first : piece_count_;
    if (stream != nullptr && end > first) {
      stream->write(std::span<const std::string_view>(pieces_.data() + first, end - first));
    }
  }
  batch_count_ = piece_count_ = used_ = 0;
  has_views_ = false;
}

void Outbox::forget(const net::Stream& stream) {
  for (std::size_t i = 0; i < batch_count_; ++i) {
    if (batches_[i].stream == &stream) batches_[i].stream = nullptr;
  }
}

}  // namespace lotse::proxy

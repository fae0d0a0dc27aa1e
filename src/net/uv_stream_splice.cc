// The part of UvStream that passes bytes on without seeing them.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "net/uv_error.h"
#include "net/uv_stream.h"

namespace lotse::net {

namespace {
constexpr std::size_t kSpliceBytesMax = 1024 * 1024;  // by one call: then others have their turn
// libuv watches for room in a socket only while it has something to write. So it gets the first bytes of what is in a
// pipe that could not be emptied, copied; the rest follows when it has sent them.
constexpr std::size_t kScoutBytes = 4096;
}  // namespace

bool UvStream::splice_to(Stream& other, std::uint64_t bytes) {
  UvStream* to = other.plain_socket();
  if (to == nullptr || to == this || bytes == 0 || is_connecting_ || has_ended_ || has_failed_) return false;
  if (!to->can_be_spliced_into() || (to->splice_from_ != nullptr && to->splice_from_ != this)) return false;
  if (!loop_.splice_pipes().has_free()) return false;
  unlink_splice();
  splice_to_ = to;
  to->splice_from_ = this;
  splice_left_ = bytes;
  return true;
}

bool UvStream::can_be_spliced_into() const {
  return can_write() && !is_connecting_ && !is_sending_ && waiting_.empty();
}

UvStream::Came UvStream::splice_some(bool is_first) {
  UvStream& to = *splice_to_;
  if (to.can_be_spliced_into() && to.pipe_ == nullptr) to.pipe_ = loop_.splice_pipes().take();
  if (to.pipe_ == nullptr || !to.can_be_spliced_into()) {
    unlink_splice();
    return Came::some;  // by reading
  }
  auto bytes_max = static_cast<std::size_t>(std::min<std::uint64_t>(splice_left_, kSpliceBytesMax));
  ssize_t count = to.pipe_->fill(descriptor(), bytes_max);
  if (count <= 0) {
    to.drop_pipe();
    if (count == 0) {
      on_end_of_stream();
    } else if (count != -EAGAIN) {
      report(write_error_.value_or(error_from_uv(uv_translate_sys_error(static_cast<int>(-count)))));
    } else if (is_first) {
      unlink_splice();  // readable, but not for us: urgent data (MSG_OOB) stands in front, and only read() gets past it
      return Came::some;
    }
    return Came::nothing;
  }
  auto bytes = static_cast<std::size_t>(count);
  splice_left_ -= bytes;
  to.send_pipe();
  if (splice_left_ == 0) unlink_splice();
  if (listener_ != nullptr) listener_->on_spliced(bytes);
  return bytes == kSpliceBytesMax ? Came::some : Came::all;
}

// What the socket does not take waits in the pipe until libuv has sent the scout.
void UvStream::send_pipe() {
  ssize_t count = pipe_->empty_into(descriptor());
  if (count < 0 && count != -EAGAIN) return fail_write(uv_translate_sys_error(static_cast<int>(-count)));
  if (count > 0) is_held_back_ = false;
  if (pipe_->bytes() == 0) return drop_pipe();
  auto request = spare_ ? std::move(spare_) : std::make_unique<WriteRequest>(loop_);
  pipe_->take_out(request->bytes, kScoutBytes);
  loop_.count_queued(request->bytes.size(), 0);
  uv_buf_t buffer = uv_buf_init(request->bytes.data(), static_cast<unsigned>(request->bytes.size()));
  if (int code = uv_write(request.get(), stream(), &buffer, 1, on_uv_written); code != 0) return fail_write(code);
  request.release();
  is_sending_ = true;
  is_held_back_ = false;
  if (pipe_->bytes() == 0) drop_pipe();
}

void UvStream::drop_pipe() {
  if (pipe_ != nullptr) loop_.splice_pipes().give_back(std::move(pipe_));
}

// Bytes that arrive here come to the listener again.
void UvStream::unlink_splice() {
  UvStream* to = std::exchange(splice_to_, nullptr);
  if (to == nullptr) return;
  to->splice_from_ = nullptr;
  to->push();
}

void UvStream::stop_splicing() {
  unlink_splice();
  if (splice_from_ != nullptr) splice_from_->unlink_splice();
}

// Nothing follows at once what was held back for it: it goes now.
void UvStream::push() {
  if (!std::exchange(is_held_back_, false) || !can_write()) return;
  int on = 1;
  setsockopt(descriptor(), IPPROTO_TCP, TCP_NODELAY, &on,
             sizeof on);  // as it is already; this sends what waits (tcp(7))
}

}  // namespace lotse::net

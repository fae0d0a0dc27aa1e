#include "net/uv_stream.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "net/uv_error.h"

namespace lotse::net {

namespace {

// What uv_try_write() does when nothing is queued, with send(2), which costs the kernel less than write(2). How much
// was taken, of the first kPiecesMax pieces; or -errno.
ssize_t send_pieces(int fd, std::span<const std::string_view> pieces, int flags) {
  constexpr std::size_t kPiecesMax = 64;  // an exchange's head and body are a handful
  flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
  ssize_t sent = 0;
  if (pieces.size() == 1) {
    do sent = send(fd, pieces[0].data(), pieces[0].size(), flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
  }
  std::array<iovec, kPiecesMax> vectors;
  msghdr message{};
  message.msg_iov = vectors.data();
  for (std::string_view piece : pieces.first(std::min(pieces.size(), kPiecesMax))) {
    // The kernel does not write through iov_base, but its type is shared with reading.
    vectors[message.msg_iovlen++] = {const_cast<char*>(piece.data()), piece.size()};
  }
  do sent = sendmsg(fd, &message, flags);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? -errno : sent;
}

}  // namespace

std::unique_ptr<Stream> connect(Loop& loop, const Address& address, StreamListener& listener) {
  return UvStream::connect(loop, address, listener);
}

Result<std::unique_ptr<Stream>> adopt_stream(Loop& loop, int fd) {
  UniqueFd owned(fd);
  Address local = local_address(fd);
  if (local.is_empty()) return fail(error_from_uv(UV_ENOTSOCK));
  auto stream = UvStream::adopt(loop, std::move(owned), local.raw()->sa_family, Address());
  if (!stream) return fail(stream.error());
  return std::unique_ptr<Stream>(std::move(*stream));
}

Result<std::unique_ptr<UvStream>> UvStream::adopt(Loop& loop, UniqueFd fd, int family, const Address& peer) {
  bool is_unix = family == AF_UNIX;
  if (!is_unix && family != AF_INET && family != AF_INET6) return fail(error_from_uv(UV_EAFNOSUPPORT));
  auto stream = std::make_unique<UvStream>(loop);
  if (int code = stream->open(is_unix); code != 0) return fail(error_from_uv(code));
  int code = is_unix ? uv_pipe_open(&stream->handle_.raw()->pipe, fd.get())
                     : uv_tcp_open(&stream->handle_.raw()->tcp, fd.get());
  if (code != 0) return fail(error_from_uv(code));
  stream->peer_ = peer;
  if (peer.is_empty()) {
    sockaddr_storage raw{};
    socklen_t length = sizeof raw;
    if (getpeername(fd.get(), reinterpret_cast<sockaddr*>(&raw), &length) == 0) {
      stream->peer_ = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&raw), length);
    }
    if (!is_unix) uv_tcp_nodelay(&stream->handle_.raw()->tcp, 1);  // accepted ones have it from their listener
  }
  fd.release();
  return stream;
}

std::unique_ptr<UvStream> UvStream::connect(Loop& loop, const Address& address, StreamListener& listener) {
  auto stream = std::make_unique<UvStream>(loop);
  stream->listener_ = &listener;
  stream->peer_ = address;
  stream->begin_connect(address);
  return stream;
}

UvStream::~UvStream() {
  stop_splicing();
  drop_pipe();
  drop_waiting();
}

int UvStream::descriptor() const {
  uv_os_fd_t fd = -1;
  if (!handle_.is_open() || uv_fileno(reinterpret_cast<uv_handle_t*>(handle_.raw()), &fd) != 0) return -1;
  return fd;
}

int UvStream::open(bool is_unix) {
  return handle_.open(*this, [&](Raw* raw) {
    return is_unix ? uv_pipe_init(loop_.raw(), &raw->pipe, 0) : uv_tcp_init(loop_.raw(), &raw->tcp);
  });
}

// Connecting ------------------------------------------------------------------------------------------------------

void UvStream::begin_connect(const Address& address) {
  is_connecting_ = true;
  int code = address.is_empty() ? UV_EINVAL : open(address.is_unix());
  if (code == 0) {
    auto request = std::make_unique<uv_connect_t>();
    auto done = [](uv_connect_t* raw, int status) {
      std::unique_ptr<uv_connect_t> owned(raw);
      if (UvStream* self = Handle::owner_of(raw->handle); self != nullptr) self->on_connected(status);
    };
    if (address.is_unix()) {
      // libuv's own connect takes the path as text and so cannot say "abstract"; that is all that it cannot.
      std::string path = address.to_string().substr(5);
      if (path.front() == '@') {
        code = UV_EAFNOSUPPORT;
      } else {
        uv_pipe_connect(request.release(), &handle_.raw()->pipe, path.c_str(), done);
      }
    } else {
      code = uv_tcp_connect(request.get(), &handle_.raw()->tcp, address.raw(), done);
      if (code == 0) {
        request.release();
        uv_tcp_nodelay(&handle_.raw()->tcp, 1);
      }
    }
  }
  if (code == 0) return;
  write_error_ = error_from_uv(code);
  write_error_->retry = Retry::always;
  report_later();
}

void UvStream::on_connected(int status) {
  if (has_failed_ || write_error_) return;
  is_connecting_ = false;
  if (status != 0) {
    Error error = error_from_uv(status);
    error.retry = Retry::always;  // not a byte was sent
    return report(error);
  }
  if (wants_reading_) uv_read_start(stream(), on_uv_alloc, on_uv_read);
  if (!waiting_.empty()) send_waiting();
  if (shutdown_wanted_) send_shutdown();
  if (listener_ != nullptr) listener_->on_connected();
}

// Reading ---------------------------------------------------------------------------------------------------------

void UvStream::start_reading() {
  if (wants_reading_ || has_ended_ || has_failed_ || !handle_.is_open()) return;
  wants_reading_ = true;
  if (!is_connecting_) uv_read_start(stream(), on_uv_alloc, on_uv_read);
}

void UvStream::stop_reading() {
  if (!wants_reading_) return;
  wants_reading_ = false;
  if (handle_.is_open() && !is_connecting_) uv_read_stop(stream());
  if (write_error_) report_later();  // it waited for the end of the reading, which may now never come
}

// libuv only tells us that there is something to read: without a buffer it calls back with UV_ENOBUFS and does nothing.
void UvStream::on_uv_alloc(uv_handle_t*, std::size_t, uv_buf_t* buffer) noexcept { *buffer = uv_buf_init(nullptr, 0); }

void UvStream::on_uv_read(uv_stream_t* stream, ssize_t count, const uv_buf_t*) noexcept {
  UvStream* self = Handle::owner_of(stream);
  if (self == nullptr || self->has_failed_) return;
  if (count == UV_ENOBUFS) return self->on_readable();
  if (count == UV_EOF) self->on_end_of_stream();
}

// One connection with much to say gets a bounded share of the turn; libuv tells us again of what is left.
void UvStream::on_readable() {
  constexpr int kReadsMax = 16;
  const uv_stream_t* raw = stream();
  for (int reads = 0; reads < kReadsMax; ++reads) {
    Came came = splice_to_ != nullptr ? splice_some(reads == 0) : read_some();
    if (Handle::owner_of(raw) != this) return;  // the listener has destroyed us; the handle stays for this turn
    if (came != Came::some || !wants_reading_) break;
  }
  more_is_here_ = false;
  if (splice_to_ != nullptr) splice_to_->push();
}

UvStream::Came UvStream::read_some() {
  std::span<char> buffer = loop_.read_buffer();
  if (std::size_t bytes_max = std::exchange(next_read_bytes_max_, 0); bytes_max != 0)
    buffer = buffer.first(std::min(bytes_max, buffer.size()));
  ssize_t count = recv(descriptor(), buffer.data(), buffer.size(), 0);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) report(write_error_.value_or(error_from_uv(uv_translate_sys_error(errno))));
    return Came::nothing;
  }
  if (count == 0) {
    on_end_of_stream();
    return Came::nothing;
  }
  auto bytes = static_cast<std::size_t>(count);
  more_is_here_ = bytes == buffer.size();
  Came came = more_is_here_ ? Came::some : Came::all;
  if (listener_ != nullptr) listener_->on_bytes(buffer.first(bytes));
  return came;
}

void UvStream::on_end_of_stream() {
  wants_reading_ = false;
  has_ended_ = true;
  stop_splicing();
  uv_read_stop(stream());
  if (write_error_) return report(*write_error_);
  if (listener_ != nullptr) listener_->on_end();
}

// Writing ---------------------------------------------------------------------------------------------------------

void UvStream::write(std::span<const std::string_view> pieces) {
  if (!can_write()) return;
  std::size_t skip = 0;  // of the first piece
  if (!is_connecting_ && !is_sending_ && waiting_.empty() && !try_to_write(pieces, skip)) return;
  const std::size_t before = waiting_.size();
  for (std::string_view piece : pieces) {
    waiting_.insert(waiting_.end(), piece.begin() + static_cast<std::ptrdiff_t>(std::exchange(skip, 0)), piece.end());
  }
  loop_.count_queued(waiting_.size(), before);
  if (!is_connecting_ && !is_sending_ && !waiting_.empty()) send_waiting();
}

// Sends what the socket takes and leaves the rest in `pieces` and `skip`. False: it failed.
bool UvStream::try_to_write(std::span<const std::string_view>& pieces, std::size_t& skip) {
  const int fd = descriptor();
  // With the rest of a body about to be spliced, its head rides in the same packet.
  is_held_back_ = splice_from_ != nullptr && splice_from_->more_is_here_;
  const int flags = is_held_back_ ? MSG_MORE : 0;
  while (!pieces.empty()) {
    const ssize_t code = send_pieces(fd, pieces, flags);
    if (code == -EAGAIN) return true;
    if (code < 0) return fail_write(uv_translate_sys_error(static_cast<int>(-code))), false;
    auto sent = static_cast<std::size_t>(code);
    while (!pieces.empty() && sent >= pieces.front().size()) {
      sent -= pieces.front().size();
      pieces = pieces.subspan(1);
    }
    if (sent > 0) {  // the socket is full
      skip = sent;
      return true;
    }
  }
  return true;
}

void UvStream::send_waiting() {
  auto request = spare_ ? std::move(spare_) : std::make_unique<WriteRequest>(loop_);
  request->bytes.swap(waiting_);
  uv_buf_t buffer = uv_buf_init(request->bytes.data(), static_cast<unsigned>(request->bytes.size()));
  if (int code = uv_write(request.get(), stream(), &buffer, 1, on_uv_written); code != 0) return fail_write(code);
  request.release();
  is_sending_ = true;
}

void UvStream::drop_waiting() {
  loop_.count_queued(0, waiting_.size());
  std::vector<char>().swap(waiting_);
}

void UvStream::on_uv_written(uv_write_t* raw, int status) noexcept {
  std::unique_ptr<WriteRequest> request(static_cast<WriteRequest*>(raw));
  if (UvStream* self = Handle::owner_of(raw->handle); self != nullptr) self->on_written(std::move(request), status);
}

void UvStream::on_written(std::unique_ptr<WriteRequest> request, int status) {
  is_sending_ = false;
  if (has_failed_ || write_error_) return;
  if (status != 0) return fail_write(status);
  loop_.count_queued(0, request->bytes.size());
  request->bytes.clear();
  if (request->bytes.capacity() > kKeptBufferBytes) std::vector<char>().swap(request->bytes);  // `= {}` would keep it
  spare_ = std::move(request);
  if (pipe_ != nullptr) send_pipe();
  if (!is_sending_ && !write_error_ && !waiting_.empty()) send_waiting();
  if (write_error_) return;
  if (shutdown_wanted_ && pipe_ == nullptr && waiting_.empty()) send_shutdown();
  if (!is_sending_ && listener_ != nullptr) listener_->on_drained();
}

std::size_t UvStream::queued_bytes() const {
  if (!handle_.is_open()) return 0;
  return waiting_.size() + (pipe_ != nullptr ? pipe_->bytes() : 0) +
         (is_sending_ ? uv_stream_get_write_queue_size(stream()) : 0);
}

std::size_t UvStream::undelivered_bytes() const {
  int in_kernel = 0;
  if (ioctl(descriptor(), SIOCOUTQ, &in_kernel) != 0) in_kernel = 0;
  return queued_bytes() + static_cast<std::size_t>(std::max(in_kernel, 0));
}

// Ending ----------------------------------------------------------------------------------------------------------

void UvStream::shutdown() {
  if (!can_write()) return;
  shutdown_wanted_ = true;
  if (!is_connecting_ && pipe_ == nullptr && waiting_.empty()) send_shutdown();
}

// libuv sends the FIN after the write requests that it has.
void UvStream::send_shutdown() {
  if (std::exchange(shutdown_sent_, true)) return;
  auto request = std::make_unique<uv_shutdown_t>();
  int code = uv_shutdown(request.get(), stream(), [](uv_shutdown_t* raw, int status) {
    std::unique_ptr<uv_shutdown_t> owned(raw);
    UvStream* self = Handle::owner_of(raw->handle);
    if (self != nullptr && status != 0 && status != UV_ECANCELED) self->fail_write(status);
  });
  if (code == 0) {
    request.release();
  } else {
    fail_write(code);
  }
}

// What uv_tcp_close_reset() does, which refuses a stream that is shutting down.
void UvStream::reset() {
  if (!handle_.is_open()) return;
  linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  stop_splicing();
  drop_pipe();
  handle_.close();
  alive_.reset();
  wants_reading_ = false;
  has_failed_ = true;
}

void UvStream::tell_addresses(const Address& peer, const Address& local) {
  peer_ = peer;
  told_local_ = std::make_unique<const Address>(local);
}

Address UvStream::local() const {
  if (told_local_ != nullptr) return *told_local_;
  int fd = descriptor();
  return fd < 0 ? Address() : local_address(fd);
}

// Failing ---------------------------------------------------------------------------------------------------------

// A peer that answers early and closes makes our writing fail while its answer is still unread in the kernel. So while
// we are reading, the error waits until the reading has come to its end, which such a socket reaches for certain.
void UvStream::fail_write(int code) {
  if (has_failed_ || write_error_) return;
  write_error_ = error_from_uv(code);
  drop_waiting();
  drop_pipe();
  if (!wants_reading_ || is_connecting_) report_later();
}

void UvStream::report_later() {
  if (alive_) return;
  alive_ = std::make_shared<char>();
  loop_.defer([this, weak = std::weak_ptr<char>(alive_)] {
    if (weak.expired()) return;  // we have gone
    alive_.reset();
    if (write_error_ && !(wants_reading_ && !is_connecting_)) report(*write_error_);
  });
}

void UvStream::report(Error error) {
  if (std::exchange(has_failed_, true)) return;
  write_error_.reset();
  drop_waiting();
  stop_splicing();
  drop_pipe();
  wants_reading_ = false;
  if (handle_.is_open() && !is_connecting_) uv_read_stop(stream());
  if (listener_ != nullptr) listener_->on_error(error);
}

}  // namespace lotse::net

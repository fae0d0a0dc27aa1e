// A connected byte stream: TCP, unix socket, later TLS. Its listener sees bytes; whoever owns it (unique_ptr) closes it
// by destroying it. Callbacks never come from inside a call of the listener's into the stream, except where said.
// A listener may destroy the stream in any callback. One loop thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/result.h"
#include "net/address.h"

namespace lotse::net {

class Loop;
class TlsStream;
class UvStream;

class StreamListener {
 public:
  virtual void on_connected() {}                           // streams made by connect() only
  virtual void on_bytes(std::span<const char> bytes) = 0;  // valid during the call: the buffer is the loop's
  virtual void on_end() = 0;                               // the peer sent FIN; writing still works
  virtual void on_error(Error error) = 0;                  // the stream is dead; the last callback
  virtual void on_drained() {}                             // queued_bytes() reached 0 after a write left some
  virtual void on_spliced(std::size_t) {}  // so many bytes went from this stream to the one that splice_to() named

 protected:
  ~StreamListener() = default;
};

class Stream {
 public:
  virtual ~Stream() = default;  // closes at once; unsent bytes are lost (use shutdown() and wait for on_end to be kind)

  virtual void set_listener(StreamListener* listener) = 0;
  virtual void start_reading() = 0;
  virtual void stop_reading() = 0;  // back-pressure: the kernel's buffer fills, the peer stops
  virtual bool is_reading() const = 0;

  // Takes all of `pieces`: sends what the socket takes now (uv_try_write, one writev), copies the rest and sends it
  // when the socket is writable. The caller watches queued_bytes() and pauses its source above its high watermark.
  // A failure is reported later through on_error, never from inside write().
  virtual void write(std::span<const std::string_view> pieces) = 0;
  void write(std::string_view piece) { write(std::span(&piece, 1)); }
  virtual std::size_t queued_bytes() const = 0;
  // The same and what the kernel holds until the peer takes it, which may be megabytes: does a slow peer still read? A
  // system call.
  virtual std::size_t undelivered_bytes() const = 0;

  // The next `bytes` that arrive here go to `to` inside the kernel (splice(2)) and are not seen: on_spliced() comes in
  // place of on_bytes(). What has left this stream counts as written to `to`, so in its queued_bytes(); the caller
  // stops reading here while something is queued there, or the bytes that come meanwhile are copied. Ends by itself:
  // after `bytes`, when either stream ends, or when no pipe is free; then on_bytes() goes on where on_spliced() ended.
  // False, and nothing has changed: one of the two is no plain socket, `to` has bytes queued, or no pipe is free.
  virtual bool splice_to(Stream& /*to*/, std::uint64_t /*bytes*/) { return false; }
  virtual void end_splice() {}  // on_bytes() goes on where on_spliced() ended
  // The next read brings no more than this, so that what follows a head is still there to be spliced.
  virtual void limit_next_read(std::size_t /*bytes_max*/) {}

  virtual void shutdown() = 0;  // FIN after the queued bytes
  virtual void reset() = 0;     // RST at once (SO_LINGER 0); no further callbacks; the stream is closed
  virtual Address peer() const = 0;
  virtual Address local() const = 0;
  // What peer() and local() say from here on: somebody in front of us, whom the caller believes, speaks for the peer.
  virtual void tell_addresses(const Address& /*peer*/, const Address& /*local*/) {}
  virtual const TlsStream* tls() const { return nullptr; }  // null: what passes here is not encrypted by us

 protected:
  friend class UvStream;
  virtual UvStream* plain_socket() { return nullptr; }
};

// TCP (TCP_NODELAY set) or unix socket, by the address. Never fails at once: errors come through on_error, from the
// loop. on_connected comes before anything else. Destroying the stream cancels.
std::unique_ptr<Stream> connect(Loop& loop, const Address& address, StreamListener& listener);

// Adopts a connected socket (passed over a unix socket, socketpair in tests). Takes the descriptor.
Result<std::unique_ptr<Stream>> adopt_stream(Loop& loop, int fd);

}  // namespace lotse::net

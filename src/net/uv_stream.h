// The one implementation of Stream over libuv: TCP and unix sockets, connecting or connected. For the .cc files of net;
// everyone else sees Stream. Owned by whoever owns the Stream; one loop thread.
//
// Reading: libuv says when there is something; we read it ourselves, and so decide how much and by which call.
// Writing has at most three stores, sent in this order: a buffer that libuv is sending, a pipe that was spliced into,
// and a buffer that fills meanwhile. Buffers keep their capacity up to kKeptBufferBytes, so a stream that is warm
// allocates nothing; an idle one that never lagged has none.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "net/listen.h"
#include "net/loop.h"
#include "net/splice_pipe.h"
#include "net/stream.h"
#include "net/uv_handle.h"

namespace lotse::net {

class UvStream final : public Stream {
 public:
  // A connected socket. Takes the descriptor, also on failure. `peer` may be empty: then the kernel is asked.
  static Result<std::unique_ptr<UvStream>> adopt(Loop& loop, UniqueFd fd, int family, const Address& peer);
  static std::unique_ptr<UvStream> connect(Loop& loop, const Address& address, StreamListener& listener);
  explicit UvStream(Loop& loop) : loop_(loop) {}
  ~UvStream() override;

  void set_listener(StreamListener* listener) override { listener_ = listener; }
  void start_reading() override;
  void stop_reading() override;
  bool is_reading() const override { return wants_reading_; }
  using Stream::write;
  void write(std::span<const std::string_view> pieces) override;
  std::size_t queued_bytes() const override;
  std::size_t undelivered_bytes() const override;
  bool splice_to(Stream& to, std::uint64_t bytes) override;
  void end_splice() override { unlink_splice(); }
  void limit_next_read(std::size_t bytes_max) override { next_read_bytes_max_ = bytes_max; }
  void shutdown() override;
  void reset() override;
  Address peer() const override { return peer_; }
  Address local() const override;
  void tell_addresses(const Address& peer, const Address& local) override;

 private:
  union Raw {
    uv_stream_t stream{};
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  using Handle = UvHandle<Raw, UvStream>;
  struct WriteRequest : uv_write_t {
    explicit WriteRequest(Loop& of) : loop(of) {}
    ~WriteRequest() { loop.count_queued(0, bytes.size()); }
    Loop& loop;  // counts the bytes until they are sent or given up
    std::vector<char> bytes;
  };
  static constexpr std::size_t kKeptBufferBytes = 64 * 1024;
  enum class Came : std::uint8_t { nothing, all, some };  // some: more is waiting for certain, or may be

  UvStream* plain_socket() override { return this; }
  int open(bool is_unix);
  int descriptor() const;
  uv_stream_t* stream() const { return &handle_.raw()->stream; }
  bool can_write() const { return handle_.is_open() && !has_failed_ && !write_error_ && !shutdown_wanted_; }

  void begin_connect(const Address& address);
  void on_connected(int status);
  static void on_uv_alloc(uv_handle_t* handle, std::size_t suggested, uv_buf_t* buffer) noexcept;
  static void on_uv_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) noexcept;
  static void on_uv_written(uv_write_t* request, int status) noexcept;
  void on_readable();
  Came read_some();
  void on_end_of_stream();

  // Splicing (uv_stream_splice.cc).
  bool can_be_spliced_into() const;
  Came splice_some(bool is_first);
  void send_pipe();
  void drop_pipe();
  void unlink_splice();
  void stop_splicing();
  void push();

  bool try_to_write(std::span<const std::string_view>& pieces, std::size_t& skip);
  void send_waiting();
  void drop_waiting();
  void on_written(std::unique_ptr<WriteRequest> request, int status);
  void send_shutdown();

  void fail_write(int code);
  void report_later();
  void report(Error error);

  Loop& loop_;
  StreamListener* listener_ = nullptr;
  Handle handle_;
  bool is_connecting_ = false;
  bool wants_reading_ = false;
  bool has_ended_ = false;        // the peer sent FIN
  bool is_sending_ = false;       // libuv has a write request of ours
  bool shutdown_wanted_ = false;  // no more writes are taken
  bool shutdown_sent_ = false;
  bool has_failed_ = false;           // on_error was called: nothing more comes
  std::optional<Error> write_error_;  // not reported yet
  std::unique_ptr<WriteRequest> spare_;
  std::vector<char> waiting_;
  std::shared_ptr<char> alive_;      // made only to report an error later
  UvStream* splice_to_ = nullptr;    // what arrives here goes there
  UvStream* splice_from_ = nullptr;  // whose splice_to_ we are
  std::uint64_t splice_left_ = 0;
  std::unique_ptr<SplicePipe> pipe_;  // on its way to our socket
  std::size_t next_read_bytes_max_ = 0;
  bool more_is_here_ = false;  // the read under way has filled its buffer
  bool is_held_back_ = false;  // the kernel keeps what we wrote for what is about to be spliced (MSG_MORE)
  Address peer_;
  std::unique_ptr<const Address> told_local_;
};

}  // namespace lotse::net

// One HTTP/2 connection of a client: feeds its session, gives every request a stream with an exchange of its own, and
// knows what concerns them all: idling, draining, floods, the socket. Knows no fields and no frames. Owned by the
// Worker; one loop thread. Modes: open -> lingering (all is said; what still comes is thrown away) -> closed.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "http/h2_fields.h"
#include "http/h2_session.h"
#include "net/stream.h"
#include "proxy/deadline.h"
#include "proxy/downstream.h"
#include "proxy/forwarding.h"
#include "proxy/h2_writer.h"
#include "proxy/memory_share.h"
#include "proxy/upstream_link.h"

namespace lotse::proxy {

class H2DownstreamStream;

class H2Downstream final : public Downstream,
                           public net::StreamListener,
                           public http::H2SessionListener,
                           public H2Writer {
 public:
  H2Downstream(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream);
  ~H2Downstream();

  void start(std::string_view first_bytes, std::string_view next_bytes);  // what was read to know that this is HTTP/2
  // Downstream
  void drain() override;
  void close() override;
  std::size_t held_bytes() const override;
  void free_memory() override;
  bool is_of(const WorkerListener& listener) const override { return listener_.get() == &listener; }

  // For its streams.
  Worker& worker() { return worker_; }
  http::H2Session& session() { return session_; }
  http::H2HeadReader& trailers_reader() { return trailers_reader_; }
  const ClientInfo& client() const { return client_; }
  ClientAddresses client_addresses() const;
  std::string_view listener_name() const;
  std::size_t undelivered_bytes() const { return stream_ ? stream_->undelivered_bytes() : 0; }
  void touch(H2DownstreamStream& stream);  // bytes for it have come: its exchange looks at its queues when all are read
  void release(H2DownstreamStream& stream);  // it is over, on both its ends

 private:
  enum class Mode : std::uint8_t { open, lingering, closed };

  // net::StreamListener
  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;
  // http::H2SessionListener
  void on_h2_request(http::H2Stream& stream, std::span<const http::Field> fields, bool ends) override;
  void on_h2_stream_error(http::H2Error error) override;
  void on_h2_answered_early() override;
  // H2Writer
  void write_frames() override;
  net::Stream* output_stream() override { return mode_ == Mode::open ? stream_.get() : nullptr; }

  void feed(std::string_view bytes);
  void after_reading();
  void count_held();
  void count_end();
  void give_streams_up();
  void linger();
  void on_deadline();
  bool is_stuck();
  void arm();

  Worker& worker_;
  std::shared_ptr<WorkerListener> listener_;
  std::unique_ptr<net::Stream> stream_;
  ClientInfo client_;
  http::H2Session session_;
  http::H2HeadReader trailers_reader_;
  std::vector<std::unique_ptr<H2DownstreamStream>> streams_;
  std::vector<H2DownstreamStream*> touched_;
  Mode mode_ = Mode::open;
  enum class Goodbye : std::uint8_t { none, announced, said } goodbye_ = Goodbye::none;
  bool head_deadline_set_ = false;
  Instant answered_until_ = Instant::max();  // then streams whose answer came early are reset
  Instant head_until_{}, idle_since_{}, linger_until_{}, goodbye_at_{};
  Instant looked_at_{};  // is_stuck(), and what it saw
  std::uint64_t data_frames_seen_ = 0;
  std::size_t undelivered_seen_ = 0;
  HeldBytes held_;
  Deadline deadline_;
};

}  // namespace lotse::proxy

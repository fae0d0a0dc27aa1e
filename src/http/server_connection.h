// One connection of the server: reads requests one after the other, hands each to the router, writes the answers in
// order. Bytes of later requests wait, bounded, while one is answered. Shared between the server's list, its own
// running callbacks and the responders' weak references; closed once, then deaf. Internal to the server.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http/h1_parser.h"
#include "http/server.h"
#include "net/stream.h"
#include "net/timers.h"

namespace lotse::http {

class ServerConnection;

// What a connection needs of its server.
class ServerConnectionOwner {
 public:
  virtual net::Loop& loop() = 0;
  virtual const Router& router() const = 0;
  virtual const Server::Options& options() const = 0;
  virtual bool is_draining() const = 0;  // answers say Connection: close
  virtual void forget(ServerConnection& connection) = 0;

 protected:
  ~ServerConnectionOwner() = default;
};

class ServerBody;

class ServerConnection final : public net::StreamListener,
                               public RequestListener,
                               public std::enable_shared_from_this<ServerConnection> {
 public:
  ServerConnection(ServerConnectionOwner& owner, std::unique_ptr<net::Stream> stream);
  void start();
  void close();          // the owner's wish too; no answer comes any more
  void close_if_idle();  // has answered something and waits for the next request

  // From a Responder: exchange numbers tell an old one from the current one.
  bool is_answerable(std::uint64_t exchange) const { return state_ == State::answering && exchange == exchange_; }
  void respond(std::uint64_t exchange, ServerResponse response);
  std::unique_ptr<ServerStream> begin_stream(std::uint64_t exchange, StreamOptions options);

  // From the ServerStream.
  bool write_to_stream(std::string_view bytes);
  void end_stream();
  std::size_t queued_bytes() const { return stream_ ? stream_->queued_bytes() : 0; }

 private:
  enum class State : std::uint8_t { reading, answering, streaming, lingering, closed };
  enum class Wait : std::uint8_t { none, idle, head, body, writing, linger };  // what the timer is for

  void on_bytes(std::span<const char> bytes) override;
  void on_end() override;
  void on_error(Error error) override;
  void on_drained() override;

  void on_request_head(const RequestHead& head) override;
  void on_request_body(std::span<const char> bytes) override;
  void on_request_trailers(std::span<const Field>) override {}
  void on_request_complete() override {}

  void read_on(std::span<const char> bytes);
  bool may_take_request() const;
  void keep(std::span<const char> bytes);
  void take_kept_later();
  void take_kept();
  void dispatch();
  void refuse(int status, std::string_view reason);
  void write_head(int status, const Fields& fields, std::string_view content_type, std::string_view framing);
  void end_answer();
  void linger();
  void update_timer();
  void wait_for(Wait wait, Duration delay);
  void on_timer();

  ServerConnectionOwner& owner_;
  std::unique_ptr<net::Stream> stream_;
  RequestParser parser_;
  net::Timer timer_;
  State state_ = State::reading;
  Wait wait_ = Wait::none;
  bool is_reading_on_ = false;  // read_on() is on the stack and will go on by itself
  bool keep_alive_ = true;
  bool is_head_request_ = false;
  bool is_http_1_0_ = false;
  bool peer_has_ended_ = false;
  bool is_chunking_ = false;  // the stream's body goes out in chunks
  int refusal_ = 0;           // status of a refusal found in a parser callback
  std::uint64_t exchange_ = 0;
  std::size_t unread_bytes_ = 0;  // of what read_on() was given
  std::size_t queued_at_last_look_ = 0;
  std::size_t stream_queue_bytes_max_ = 0;
  ServerRequest request_;
  std::string kept_;            // bytes of later requests
  std::string head_;            // of the answer under way; reused
  ServerBody* body_ = nullptr;  // while streaming: the ServerStream, which its user owns
};

struct Responder::Sink {
  Sink(std::weak_ptr<ServerConnection> to, std::uint64_t number) : connection(std::move(to)), exchange(number) {}
  ~Sink();  // unanswered: 500
  std::weak_ptr<ServerConnection> connection;
  std::uint64_t exchange;
  bool is_used = false;
};

}  // namespace lotse::http

// One HTTP request and its response on their way through the proxy: route, endpoint, connection, retries, timeouts.
// Lent by the worker to a downstream connection (the DownstreamUser it answers to); borrows an UpstreamConnection and
// gives it back or abandons it. Knows no wire format, and nothing of TLS or how an endpoint is picked. One loop thread.
// States and transitions: docs/architecture.md, "Exchange".
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "proxy/app_stats.h"
#include "proxy/deadline.h"
#include "proxy/forwarding.h"
#include "proxy/intrusive_list.h"
#include "proxy/load_balancer.h"
#include "proxy/memory_share.h"
#include "proxy/message_out.h"
#include "proxy/routing_state.h"
#include "proxy/upstream_link.h"

namespace lotse::proxy {

class H2Upstream;
class UpstreamConnection;
class Worker;
struct TunnelCounters;
struct InWaiting;   // tag: waits for a connection slot or for an agent's word
struct InFinished;  // tag: its exchange is over, to be looked at when the callbacks are done

// The client's side of one exchange: an h1 connection or an h2 stream.
class DownstreamUser : public ListNode<InFinished> {
 public:
  virtual void send_informational(const ResponseOut& head) = 0;  // 1xx; drops it for clients that do not know them
  virtual void send_head(const ResponseOut& head) = 0;
  virtual void send_body(std::string_view bytes) = 0;
  virtual void send_end(std::span<const http::Field> trailers) = 0;
  virtual void send_abort() = 0;                           // the response must look truncated
  virtual void start_tunnel(const ResponseOut& head) = 0;  // a 101
  virtual void tunnel_write(std::string_view bytes) = 0;
  virtual void tunnel_end() = 0;  // FIN towards the client
  virtual void pause_request() = 0;
  virtual void resume_request() = 0;
  virtual net::Stream* response_socket() { return nullptr; }  // UpstreamUser
  virtual std::size_t queued_bytes() const = 0;
  virtual std::size_t undelivered_bytes() const = 0;  // net::Stream
  virtual void on_exchange_over() = 0;                // into Worker::finished(), for:
  virtual void after_exchange() = 0;                  // the callbacks are done: give it back with Worker::release()
  virtual const ClientInfo& client() const = 0;
  virtual ClientAddresses client_addresses() const = 0;
  virtual std::string_view listener_name() const = 0;

 protected:
  ~DownstreamUser() = default;
};

class Exchange final : public UpstreamUser, public ListNode<InWaiting> {
 public:
  explicit Exchange(Worker& worker);

  // `head` and what it points to stay valid until on_exchange_over().
  void start(DownstreamUser& downstream, const http::RequestHead& head);
  void on_request_body(std::string_view bytes);
  net::Stream* request_socket();  // where the body may be spliced to; null: nowhere
  void on_request_spliced(std::size_t bytes);
  void on_request_end(std::span<const http::Field> trailers);
  void on_request_read();  // after each read of the client's bytes, when what they brought was written
  void on_downstream_drained();
  void on_request_broken(int status, std::string_view why);  // the rest of the request cannot be understood
  void on_downstream_gone();                                 // no answer can be sent any more
  void on_tunnel_from_downstream(std::string_view bytes);
  void on_tunnel_spliced_from_downstream(std::size_t bytes);
  void on_tunnel_end_from_downstream();
  void reset();  // into the free list: keeps its memory

  // 503 before the answer has begun, to give back what it holds. False: it has begun, or is over.
  bool refuse(std::string_view why);
  std::size_t held_bytes() const { return heap_bytes(body_) + arena_.bytes(); }
  std::size_t queued_bytes() const { return upstream_ != nullptr ? upstream_->queued_bytes() : 0; }

  bool is_over() const { return phase_ == Phase::over; }
  bool is_tunnel() const { return phase_ == Phase::tunnel; }
  bool is_answering() const { return phase_ == Phase::responding; }  // the head of the answer has gone

  // From the worker.
  bool on_capacity();      // a connection may be free now; true: it no longer waits
  void on_confirmation();  // an agent has answered for the endpoint it waits for
  const EndpointRecord* confirming() const { return phase_ == Phase::confirming ? endpoint_ : nullptr; }

 private:
  enum class Phase : std::uint8_t {
    idle,
    waiting,     // every endpoint has all the connections it may have: in the app's queue
    confirming,  // the table may be old: an agent is asked whether the task is still there
    connecting,
    sending,     // the request is on its way, no response head yet
    responding,  // the response head has been sent on
    tunnel,
    over,
  };
  struct Failure {             // what came of one try
    std::string_view address;  // in the arena: the endpoint may be gone by the time it is told
    UpstreamFailure what;
  };
  static constexpr std::size_t kTriesMax = 16;
  static constexpr int kConnectTriesMax = 3;  // free of budget, on as many endpoints

  // UpstreamUser
  ClientAddresses client_addresses() const override { return downstream_->client_addresses(); }
  void on_upstream_connected() override;
  void on_response_head(const http::ResponseHead& head) override;
  void on_response_body(std::string_view bytes) override;
  net::Stream* response_socket() override;
  void on_response_spliced(std::size_t bytes) override;
  void on_response_end(std::span<const http::Field> trailers) override;
  void on_upstream_read() override;
  void on_upstream_drained() override;
  void on_upstream_failed(const UpstreamFailure& failure) override;
  void on_tunnel_from_upstream(std::string_view bytes) override;
  void on_tunnel_spliced_from_upstream(std::size_t bytes) override;
  void on_tunnel_end_from_upstream() override;

  // Routing (exchange.cc).
  bool read_path(std::string_view& matched);
  void set_target(int strip_segments);
  void answer_no_route(std::string_view host, std::string_view path);

  // Answering (exchange.cc).
  void answer(int status, std::string_view text, bool try_later = false);
  void abort(std::string_view error);
  void finish();
  void maybe_end_tunnel();
  void relay_interim(const http::ResponseHead& head);
  void begin_tunnel(std::string_view protocol);
  void count_tunnel_in(std::size_t bytes);
  void count_tunnel_out(std::size_t bytes);
  void note_first_byte();
  AppWorkerStats& my_stats();

  // Choosing, connecting, sending (exchange_tries.cc).
  void choose();
  void use(const Pick& pick, Slot& slot);
  Pick pick_from(Slot& slot);
  void answer_nobody(const Slot& slot);
  void enqueue(Slot& slot);
  void leave_queue();
  void take(const EndpointSet::Member& member);
  void connect();
  void share(H2Upstream& connection);
  void let_endpoint_go();
  void send_request();
  void arm_for_answer();
  void on_deadline();
  void on_tries_deadline();
  bool has_moved();

  // Retrying (exchange_retry.cc).
  // The client sends its body when the endpoint has said 100, or an answer instead: it is the endpoint that is slow.
  bool waits_for_continue() const {
    return head_->expects_continue && head_->has_body() && !was_continued_ && bytes_in_ == 0;
  }
  bool may_replay() const { return !replay_is_lost_; }
  bool retry_after(const UpstreamFailure& failure);
  bool retry_on_another(const UpstreamFailure& failure);
  bool replay_on_fresh();
  bool retry_unprocessed();
  bool take_budget(bool is_configured);
  bool retry_status(int status);
  bool retry_answered(const char* reason);
  void note_failure(const UpstreamFailure& failure);
  void answer_failure();
  void keep_for_replay(std::string_view bytes);

  // gRPC (exchange_grpc.cc).
  void begin_call();
  void on_call_deadline();
  void answer_call(int http_status, std::string_view text);
  bool retry_call();
  int final_grpc_status() const;

  Worker& worker_;
  DownstreamUser* downstream_ = nullptr;
  const http::RequestHead* head_ = nullptr;
  Phase phase_ = Phase::idle;
  Arena arena_;
  std::vector<http::Field> request_fields_, response_fields_;
  std::vector<http::Field> request_trailers_;  // in the arena
  std::string path_buffer_, text_;             // keep their capacity
  std::string_view path_, target_;             // as forwarded, without and with the query
  SlotRef slot_;
  EndpointRecord* endpoint_ = nullptr;  // counted in its in_flight, which keeps it alive
  bool endpoint_has_agent_ = false;
  UpstreamLink* upstream_ = nullptr;
  AppStats* stats_ = nullptr;
  TunnelCounters* tunnel_ = nullptr;  // of its kind, while it is one
  RetryRules retry_;
  std::array<Failure, kTriesMax> failures_;
  std::array<const EndpointRecord*, kTriesMax> failed_{};  // to be avoided; compared, never followed
  std::size_t failure_count_ = 0;
  int attempts_ = 0, connect_failures_ = 0, unprocessed_ = 0;
  bool has_replayed_ = false, has_retried_empty_ = false;
  bool wants_fresh_ = false;  // no pooled connection: the last one was dead
  bool request_is_whole_ = false;
  bool was_continued_ = false;  // a 100 has been passed on
  bool request_is_paused_ = false, upstream_is_paused_ = false;
  bool request_is_spliced_ = false, response_is_spliced_ = false;   // what came last of it was
  bool keeps_body_ = false;                                         // bytes go into body_ as well, for a retry
  bool replay_is_lost_ = false;                                     // more was sent than we keep
  bool head_was_sent_ = false;                                      // the final one, to the client
  bool upstream_has_ended_ = false, downstream_has_ended_ = false;  // FINs of a tunnel
  bool may_repeat_ = false;  // a configured retry may go to the same endpoint when it is the only one
  // What the client and the endpoint had not taken when we last looked, while the other side is paused: has it moved?
  std::size_t stalled_bytes_ = 0, stalled_request_bytes_ = 0;
  std::string body_;                                // of the request: not sent yet, or kept for a retry
  std::string_view error_;                          // for the access log: static text or in the arena
  std::string_view logged_task_, logged_endpoint_;  // in the arena; only while there is an access log
  int status_ = 0;
  int grpc_status_ = -1;  // as the client gets it; -1: not known yet
  bool is_call_ = false;  // of gRPC
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  Instant started_{}, sent_at_{};  // sent_at_: of the try under way; before it is sent, when it began to connect
  Duration first_byte_{};
  Deadline deadline_;
};

}  // namespace lotse::proxy

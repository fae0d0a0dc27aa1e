// One connection of a client of a TCP listener and its connection to an endpoint: picks the endpoint, connects, and
// passes bytes both ways until both sides have ended. Knows nothing of what they mean. Owned by the Worker; one loop
// thread. States: reading_name (TLS passed through) -> confirming (the table may be old) -> connecting -> open ->
// closed; a failed connect goes back to the choice of an endpoint.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "net/client_hello.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "proxy/deadline.h"
#include "proxy/downstream.h"
#include "proxy/intrusive_list.h"
#include "proxy/load_balancer.h"
#include "proxy/memory_share.h"
#include "proxy/routing_state.h"
#include "proxy/splicing.h"

namespace lotse::proxy {

class Worker;
struct TunnelCounters;
struct WorkerListener;
enum class Refusal : std::uint8_t;
struct InAsking;  // tag: waits for an agent's word on its endpoint

class TcpRelay final : public Downstream, public ListNode<InAsking> {
 public:
  TcpRelay(Worker& worker, std::shared_ptr<WorkerListener> listener, std::unique_ptr<net::Stream> stream);
  ~TcpRelay() override;

  void start();  // the worker keeps it by now
  // Downstream
  void drain() override {}  // what is begun goes on until both have ended, or the drain's deadline
  void close() override;
  std::size_t held_bytes() const override;
  void free_memory() override;
  bool is_of(const WorkerListener& listener) const override { return listener_.get() == &listener; }

  // From the worker.
  const EndpointRecord* confirming() const { return state_ == State::confirming ? record_ : nullptr; }
  void on_confirmation();

 private:
  enum class State : std::uint8_t { reading_name, choosing, confirming, connecting, open, closed };
  static constexpr std::size_t kConnectTriesMax = 3;  // on as many endpoints

  struct Side final : net::StreamListener {  // one of the two connections
    Side(TcpRelay& of_relay, Side& other_side) : relay(of_relay), other(other_side) {}
    void on_connected() override { relay.on_connected(); }
    void on_bytes(std::span<const char> bytes) override { relay.on_bytes(*this, bytes); }
    void on_end() override { relay.on_end(*this); }
    void on_error(Error error) override { relay.on_error(*this, error); }
    void on_drained() override { relay.on_drained(*this); }
    void on_spliced(std::size_t bytes) override { relay.on_spliced(*this, bytes); }

    TcpRelay& relay;
    Side& other;
    std::unique_ptr<net::Stream> stream;
    std::uint64_t bytes_seen = 0;  // that came from here
    std::size_t stalled_on = 0;    // what the other side had not taken when we stopped reading here
    SpliceChoice choice;
    bool has_ended = false;  // FIN came from here
    bool is_paused = false;  // not read until the other side has taken what is queued
  };

  void on_connected();
  void on_bytes(Side& from, std::span<const char> bytes);
  void on_spliced(Side& from, std::size_t bytes);
  void on_end(Side& from);
  void on_error(Side& from, Error error);
  void on_drained(Side& to);
  void on_deadline();

  void take_hello(std::span<const char> bytes);
  void refuse_hello(Refusal why, const char* reason, std::string_view alert);
  void find_app();
  void choose();
  void take(const EndpointSet::Member& member);
  void connect();
  void open_stream(const net::Address& address);
  void on_connect_failed(Errc code);
  void let_endpoint_go();
  void give_up(Refusal why, std::string_view text);

  void count(Side& from, std::size_t bytes);
  void pause(Side& from);
  bool has_moved();
  void note_lost();
  void end_if_both_have();
  void cut(std::string_view why);
  void finish();

  EndpointState& endpoint_state();
  TunnelCounters& tunnels();

  Worker& worker_;
  std::shared_ptr<WorkerListener> listener_;
  Side client_{*this, endpoint_}, endpoint_{*this, client_};
  State state_ = State::choosing;
  SlotRef slot_;
  AppStats* stats_ = nullptr;         // null: no app was found
  EndpointRecord* record_ = nullptr;  // counted in its in_flight, which keeps it alive
  bool record_has_agent_ = false;
  bool is_judged_ = false;  // passive health has heard what came of it
  std::unique_ptr<net::Lookup> lookup_;
  std::array<const EndpointRecord*, kConnectTriesMax> failed_{};  // to be avoided; compared, never followed
  std::size_t failure_count_ = 0;
  std::uint32_t attempts_ = 0;
  Instant started_, connecting_since_{};
  Duration connect_took_{};
  // Where TLS is passed through: what came until the name was known, to be sent on.
  struct Hello {
    explicit Hello(Worker& worker);
    net::ClientHelloReader reader;
    std::string bytes;
    HeldBytes held;
  };
  std::unique_ptr<Hello> hello_;
  std::string server_name_;
  std::string error_, logged_task_, logged_endpoint_;
  Deadline deadline_;
};

}  // namespace lotse::proxy
